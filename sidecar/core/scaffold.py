"""A project's files: those that are missing, from the shipped ones; and which of both a release is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sidecar import __version__
from sidecar.core.codefiles import Tree, overlaid, read_tree
from sidecar.core.packages import stated
from sidecar.core.parameters import in_bicep
from sidecar.core.project_files import (
    CODE,
    Record,
    digest,
    inside,
    keep_record,
    own_code,
    record_of,
    shipped_files,
    told_of_files,
    write_whole,
)
from sidecar.core.workspace import CONFIG_KEYS, Workspace, write_atomically
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

PACKAGE = Path(__file__).resolve().parents[1]


def shipped() -> Path:
    """The folder that holds inference/ and infra/: inside the package in the wheel, beside it in the extension and a checkout."""
    inside = PACKAGE / "shipped"
    return inside if inside.is_dir() else PACKAGE.parent


def shipped_template() -> dict[str, object]:
    """The compiled template as it is shipped now, whatever copy a project holds."""
    file = shipped() / "infra" / "provision" / "inference.json"
    return cast("dict[str, object]", json.loads(file.read_text(encoding="utf-8")))


def in_checkout() -> bool:
    """Whether this runs from the project's own repository, where build/ is nobody's but its developers'."""
    return (PACKAGE.parent / "pyproject.toml").is_file() and (PACKAGE.parent / "tests").is_dir()


@dataclass(frozen=True)
class Made:
    """Paths relative to the workspace. `own`: files in `inference/` that are a server of somebody's own: ours was not put beside
    it."""

    created: list[str]
    own: tuple[str, ...]


def scaffold(workspace: Workspace, state: Path, *, beside: bool = False) -> Made:
    """Copies what is missing. A file that exists is left alone; so is the whole of `inference/` where it holds a server of
    somebody's own, unless ours is to stand `beside` it. Parameters in Bicep's language get none in JSON beside them.

    What a project keeps of its own (its id, its endpoint) is never copied: the configuration begins with nulls."""
    with told_of_files():
        files = shipped_files(shipped())
        own = () if beside else own_code(workspace, files)
        left = workspace.parameters_file.relative_to(workspace.folder).as_posix() if in_bicep(workspace) else None
        wanted = {path: each for path, each in files.items() if path != left and not (own and path.startswith(CODE))}
        return Made(_copied(workspace, state, wanted), own)


def _copied(workspace: Workspace, state: Path, files: dict[str, bytes]) -> list[str]:
    made: list[str] = []
    for path, content in files.items():
        if (workspace.folder / path).exists():
            continue
        target = inside(workspace, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
        made.append(path)
    if not workspace.config_file.exists():
        write_atomically(workspace.config_file, json.dumps(dict.fromkeys(CONFIG_KEYS), indent=2) + "\n")
        made.append(workspace.config_file.relative_to(workspace.folder).as_posix())
    remember(workspace, state, files, made)
    return made


def remember(workspace: Workspace, state: Path, files: dict[str, bytes], made: list[str]) -> None:
    """What was copied now, beside what was before: of these the record says the version that they are still of."""
    known = record_of(workspace)
    if known is None and not made:
        return
    copied = {path: digest(files[path]) for path in made if path in files}
    if known is None:  # files that are as they are shipped were copied too, whoever did it
        there = {path: workspace.folder / path for path in files if path not in copied}
        copied |= {
            path: digest(files[path])
            for path, file in there.items()
            if file.is_file() and digest(file.read_bytes()) == digest(files[path])
        }
    before = {} if known is None else dict(known.files)
    version = __version__ if known is None else known.version
    keep_record(workspace, Record(version, {**before, **copied}), state, {path: files[path] for path in copied})


WORKSPACE = "workspace"
SHIPPED = "shipped@"


def code_of(workspace: Workspace, choice: str) -> Tree:
    """What a release is made of: the project's `inference/` (`workspace`), or this Slipway's own with the project's files in
    place of and beside it (`shipped@<version>`): then every machine of a team makes the same release, or none."""
    if choice == WORKSPACE:
        return read_tree(workspace.code, workspace.folder) if workspace.code.is_dir() else Tree(workspace.code.name, ())
    version = choice.removeprefix(SHIPPED)
    if not choice.startswith(SHIPPED) or not version:
        raise WorkspaceError(
            Text("{choice} is no choice of code.", choice=choice),
            Text("It is workspace, or shipped@{version}: this Slipway's own server.", version=__version__),
            code="UnknownCode",
        )
    if version != __version__:
        raise WorkspaceError(
            Text("The code of Slipway {version} is asked for, and this is {own}.", version=version, own=__version__),
            Text(
                "Install Slipway {version}, or change slipway.code to shipped@{own}.", version=version, own=__version__
            ),
            code="OtherVersion",
        )
    own = code_of(workspace, WORKSPACE)
    return overlaid(_shipped_code(), own)


def shipped_packages() -> frozenset[str]:
    """What our own lock installs."""
    file = shipped() / "inference" / "requirements.txt"
    return stated(file.read_text(encoding="utf-8")).names


def shipped_lock() -> str:
    """Our own requirements by version and hash."""
    return (shipped() / "inference" / "requirements.lock").read_text(encoding="utf-8")


def _shipped_code() -> Tree:
    """What a wheel and an extension carry; a checkout may hold more."""
    found = read_tree(shipped() / "inference")
    carried = (".py", ".md", "requirements.txt", "requirements.lock")
    return Tree(found.top, tuple(entry for entry in found.entries if entry.path.endswith(carried)))
