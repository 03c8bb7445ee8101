"""The files that a project has got from Slipway: which are shipped now, and which version each was copied from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.core.codefiles import IGNORED
from sidecar.core.workspace import Workspace, write_atomically
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

RECORD = "infra/slipway.files.json"
CODE = "inference/"


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore")
    version: str
    files: dict[str, str]


@dataclass(frozen=True)
class Record:
    """`files`: sha256 of each file as it was shipped when it was copied, by its path. `version`: Slipway's, then."""

    version: str
    files: Mapping[str, str]


def shipped_files(top: Path) -> dict[str, bytes]:
    """What a project is given, by path. `top`: the folder that holds inference/ and infra/."""
    found: dict[str, bytes] = {}
    for pattern in ("infra/provision/inference.*", "inference/**/*"):
        for file in sorted(top.glob(pattern)):
            relative = file.relative_to(top)
            if file.is_file() and not IGNORED & set(relative.parts) and file.suffix != ".pyc":
                found[relative.as_posix()] = file.read_bytes()
    return found


def record_of(workspace: Workspace) -> Record | None:
    """None for a project that was made before there was one, or by somebody else."""
    file = workspace.folder / RECORD
    if not file.exists():
        return None
    try:
        known = _Record.model_validate_json(file.read_bytes())
    except (ValidationError, OSError) as error:
        raise WorkspaceError(
            Text("{file} can't be read: {reason}.", file=RECORD, reason=str(error).splitlines()[0]),
            Text("Restore it from version control, or delete it: then each file that differs is asked about."),
            code="BadFilesRecord",
        ) from None
    return Record(known.version, known.files)


def keep_record(workspace: Workspace, record: Record, state: Path, contents: Mapping[str, bytes]) -> None:
    """`contents`: of the files that are new in it, kept on this machine: what a later update compares with."""
    for content in contents.values():
        kept = _kept(state, digest(content))
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, content)
    text = json.dumps({"version": record.version, "files": dict(sorted(record.files.items()))}, indent=2) + "\n"
    file = workspace.folder / RECORD
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        write_atomically(file, text)


def kept_base(state: Path, sha256: str) -> bytes | None:
    """A file as it was shipped once; None where this machine has not seen that version."""
    kept = _kept(state, sha256)
    if not kept.exists():
        return None
    content = kept.read_bytes()
    return content if digest(content) == sha256 else None


def _kept(state: Path, sha256: str) -> Path:
    return state / "shipped" / sha256


def digest(content: bytes) -> str:
    """Whatever the line ends: a clone on Windows may have others."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def write_whole(file: Path, content: bytes) -> None:
    """The old content or the new, never a part."""
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(file)


def own_code(workspace: Workspace, shipped: Mapping[str, bytes]) -> tuple[str, ...]:
    """Files in `inference/` of a project that has none of ours there: somebody's own server."""
    if record_of(workspace) is not None or not workspace.code.is_dir():
        return ()
    there = {
        each.relative_to(workspace.folder).as_posix()
        for each in workspace.code.rglob("*")
        if each.is_file() and not IGNORED & set(each.relative_to(workspace.folder).parts) and each.suffix != ".pyc"
    }
    ours = [
        path
        for path in there
        if path in shipped and digest((workspace.folder / path).read_bytes()) == digest(shipped[path])
    ]
    return () if ours else tuple(sorted(there))
