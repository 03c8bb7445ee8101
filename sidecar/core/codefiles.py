"""Which files of a project are its code: what a release carries, and what never travels or is left out by ignore files."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, Protocol, cast

from sidecar.core.textfile import read_text
from sidecar.words.errors import WorkspaceError
from sidecar.words.names import LeftOutWhy
from sidecar.words.text import Text

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORED = frozenset(
    {
        "__pycache__", ".git", ".hg", ".svn", ".venv", "venv", "node_modules", ".pytest_cache", ".ruff_cache", ".mypy_cache",
        ".DS_Store",
    }
)  # fmt: skip
"""Names that never travel: what tools leave beside code."""

SECRETS = (".env*",)
"""Names of files that hold secrets; a release lies on a share that more people read than the folder."""

MODELS = (
    "*.safetensors", "*.gguf", "*.ggml", "*.pt", "*.pth", "*.ckpt", "*.onnx", "*.h5", "*.tflite",
    "pytorch_model*.bin", "adapter_model*.bin",
)  # fmt: skip
"""Weights belong on the share, where they are read; in a release they would be copied with every change of a line."""

IGNORE_FILES = (".gitignore", ".slipwayignore")
"""Git's syntax and rules; the second has the last word in its folder, so that it can take back what Git is not told."""

Why = LeftOutWhy


@dataclass(frozen=True)
class Entry:
    """One path of the code. `size` in bytes, of a link 0; `target` is a link's."""

    path: str
    kind: Literal["file", "link"]
    source: Path
    size: int
    executable: bool = False
    target: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A path that does not travel, which somebody may miss; `by` is the ignore file that says so, with its line's pattern."""

    path: str
    why: Why
    by: str = ""


@dataclass(frozen=True)
class Tree:
    """The code, sorted by path. `top`: its folder's name, which the start commands know."""

    top: str
    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)

    @property
    def files(self) -> int:
        return sum(entry.kind == "file" for entry in self.entries)


def read_tree(code: Path, root: Path | None = None) -> Tree:
    """Looks at names and sizes; no file but the ignore files is read. `root`: the project, whose ignore files count as well.

    Raises WorkspaceError for a link that leads out, and for an ignore file that can't be read."""
    left_out: list[LeftOut] = []
    rules = (
        []
        if root is None or root == code
        else [each for folder in _up_to_the_repository(root) for each in _rules(folder)]
    )
    entries = sorted(_walk(code, code, rules, left_out), key=lambda entry: entry.path)
    return Tree(code.name, tuple(entries), tuple(sorted(left_out, key=lambda each: each.path)))


def _up_to_the_repository(root: Path) -> list[Path]:
    """The project's folder and those above it up to the one that Git's repository begins in, which comes first; Git's ignore
    files of all of them count."""
    above = [root, *root.parents]
    top = next((number for number, each in enumerate(above) if (each / ".git").exists()), 0)
    return above[top::-1]


def overlaid(below: Tree, above: Tree) -> Tree:
    """The files of `below`, with those of `above` in place of and beside them."""
    entries = {entry.path: entry for entry in (*below.entries, *above.entries)}
    return Tree(above.top, tuple(entries[path] for path in sorted(entries)), above.left_out)


@dataclass(frozen=True)
class _Rules:
    """One ignore file: its folder, how it is called, and its patterns."""

    folder: Path
    shown: str
    spec: GitIgnoreSpec


class _Pattern(Protocol):
    """One line of an ignore file, as pathspec reads it; both None for an empty line and a comment."""

    include: bool | None
    regex: re.Pattern[str] | None


def _rules(folder: Path) -> list[_Rules]:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  (only who looks at code waits for it)
    from pathspec.patterns.gitignore import GitIgnorePatternError  # noqa: PLC0415  (as above)

    found: list[_Rules] = []
    for name in IGNORE_FILES:
        file = folder / name
        if not file.is_file():
            continue
        lines = read_text(file, str(file)).splitlines()
        try:
            found.append(_Rules(folder, name, GitIgnoreSpec.from_lines(lines)))
        except GitIgnorePatternError as error:
            raise WorkspaceError(
                Text("{file} can't be understood: {problem}", file=file, problem=error),
                Text("Correct the pattern; they are written as Git's."),
                code="BadIgnoreFile",
            ) from error
    return found


def _walk(code: Path, folder: Path, rules: list[_Rules], left_out: list[LeftOut]) -> Iterator[Entry]:
    """Files and links below a folder; links to folders are not followed."""
    rules = [*rules, *_rules(folder)]
    try:
        inside = sorted(os.scandir(folder), key=lambda each: each.name)
    except OSError as error:
        raise unreadable(folder, error) from error
    for each in inside:
        path = Path(each.path)
        name = path.relative_to(code).as_posix()
        is_folder = each.is_dir(follow_symlinks=False)
        if each.name in IGNORED or each.name in IGNORE_FILES or each.name.endswith(".pyc"):
            continue
        if is_folder and ((path / "pyvenv.cfg").is_file() or (path / "conda-meta").is_dir()):
            continue  # an environment by another name
        if each.name.startswith(".#"):
            continue  # an editor's lock
        why = _never(each.name, is_folder=is_folder)
        if why:
            left_out.append(LeftOut(f"{name}/" if is_folder else name, why))
        elif (by := _ignored_by(path, rules, is_folder=is_folder)) is not None:
            left_out.append(LeftOut(f"{name}/" if is_folder else name, "ignored", by))
        elif is_folder:
            yield from _walk(code, path, rules, left_out)
        elif (entry := _entry(path, name)) is not None:
            yield entry


def _never(name: str, *, is_folder: bool) -> Why | Literal[""]:
    lowered = name.lower()
    if any(fnmatch.fnmatchcase(lowered, pattern) for pattern in SECRETS):
        return "secret"
    if is_folder:
        return ""
    return "model" if any(fnmatch.fnmatchcase(lowered, pattern) for pattern in MODELS) else ""


def _ignored_by(path: Path, rules: list[_Rules], *, is_folder: bool) -> str | None:
    """The ignore file that leaves a path out; the innermost that names it decides, as in Git."""
    for each in reversed(rules):
        name = path.relative_to(each.folder).as_posix() + ("/" if is_folder else "")
        found = _last_that_names(each.spec, name)
        if found is not None:
            return each.shown if found else None
    return None


def _last_that_names(spec: GitIgnoreSpec, name: str) -> bool | None:
    """Whether the last pattern that names this very path leaves it out; None where none does. A pattern that names a folder above
    decided there, whether it is entered: `!dir/` brings back nothing below."""
    for pattern in reversed(cast("list[_Pattern]", spec.patterns)):
        found = None if pattern.include is None or pattern.regex is None else pattern.regex.match(name)
        if found is None:
            continue  # an empty line, a comment, or another path's
        above = found.re.groupindex.get("ps_d")
        if above is None or found[above] is None or found.end(above) == len(name):
            return pattern.include
    return None


def _entry(path: Path, name: str) -> Entry | None:
    try:
        if path.is_symlink():
            return Entry(name, "link", path, 0, target=_inner(path, name, os.readlink(path)))
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return None  # sockets and pipes are no code
        return Entry(name, "file", path, found.st_size, executable=_runs(path))
    except OSError as error:
        raise unreadable(path, error) from error


def _runs(path: Path) -> bool:
    """Known by its first bytes, a script's or a program's: Windows keeps no bit for it, some mounts set it for every file, and a
    release is the same wherever it was made."""
    with path.open("rb") as stream:
        return stream.read(4).startswith((b"#!", b"\x7fELF"))


def _inner(path: Path, name: str, target: str) -> str:
    target = target.replace(os.sep, "/")
    inside = os.path.normpath(PurePosixPath(name).parent / target)
    if Path(target).is_absolute() or PurePosixPath(target).is_absolute() or inside.startswith(".."):
        raise WorkspaceError(
            Text("{file} is a link that leads out of the code folder (to {target}).", file=path, target=target),
            Text("Copy the file in, or take the link away."),
        )
    return target


def unreadable(path: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        Text("{file} can't be read: {problem}", file=path, problem=error.strerror or error),
        Text("Check who may read it, then try again."),
        code="Unreadable",
    )
