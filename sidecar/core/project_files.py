"""The files that a project has got from Slipway: which are shipped now, and which version each was copied from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.core.codefiles import IGNORED
from sidecar.core.workspace import Workspace, write_atomically
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

RECORD = "infra/slipway.files.json"
CODE = "inference/"
OURS = re.compile(r"(inference/|infra/provision/inference\.)[^\\:\0]*")
DIGEST = re.compile(r"[0-9a-f]{64}")


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
    strange = sorted(path for path, sha256 in known.files.items() if not (_is_ours(path) and DIGEST.fullmatch(sha256)))
    if strange:
        raise WorkspaceError(
            Text("{file} names what can't be a file of Slipway's: {paths}.", file=RECORD, paths=", ".join(strange[:3])),
            Text("Nothing was changed. Restore the file from version control, or delete it."),
            code="BadFilesRecord",
        )
    return Record(known.version, known.files)


def _is_ours(path: str) -> bool:
    """The record comes with a repository: it may name nothing but what Slipway ships, whichever version did."""
    return OURS.fullmatch(path) is not None and all(part not in ("", ".", "..") for part in path.split("/"))


def inside(workspace: Workspace, path: str) -> Path:
    """Where a project's file lies. Raises WorkspaceError where a link leads out of the project, or a folder stands there."""
    target = workspace.folder / path
    if not target.parent.resolve().is_relative_to(workspace.folder.resolve()) or target.is_symlink():
        raise WorkspaceError(
            Text("{path} is a link, or lies behind one that leads out of the project: it is left alone.", path=path),
            Text("Put a plain file or folder there, then try again."),
            code="LinkedFile",
        )
    if target.is_dir():
        raise WorkspaceError(
            Text("{path} is a folder, and Slipway has a file of that name.", path=path),
            Text("Move it away, then try again."),
            code="FolderInPlaceOfFile",
        )
    return target


@contextmanager
def told_of_files() -> Generator[None]:
    """What the system refuses is told as what it is: a file of the project's."""
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            Text("{file}: {reason}.", file=error.filename or RECORD, reason=error.strerror or str(error)),
            Text("Files that were written stay; the same command goes on from there."),
            code="FileRefused",
        ) from error


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
    """The old content or the new, never a part; never through a link."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def own_code(workspace: Workspace, shipped: Mapping[str, bytes]) -> tuple[str, ...]:
    """Files in `inference/` of a project that has none of ours there: somebody's own server."""
    known = record_of(workspace)
    copied = known is not None and any(path.startswith(CODE) for path in known.files)
    if copied or not workspace.code.is_dir():
        return ()
    there = {
        each.relative_to(workspace.folder).as_posix(): each
        for each in workspace.code.rglob("*")
        if each.is_file() and not IGNORED & set(each.relative_to(workspace.folder).parts) and each.suffix != ".pyc"
    }
    told = {path: content for path, content in shipped.items() if content.strip()}  # an empty file is anybody's
    ours = any(path in told and digest(file.read_bytes()) == digest(told[path]) for path, file in there.items())
    return () if ours else tuple(sorted(there))
