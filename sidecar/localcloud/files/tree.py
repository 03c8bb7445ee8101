"""A share on disk: a plain folder that a replica sees too, named as Azure Files names things, its metadata kept beside it."""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f"\\/:|<>*?]')
# Names of devices: Azure Files takes none of them, whatever their case.
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|CLOCK\$|COM[1-9]|LPT[1-9])", re.IGNORECASE)
Dots = Literal["drop", "keep"]
LONGEST_NAME = 255
LONGEST_PATH = 2048


class FilesError(Exception):
    """An answer of the Files service that is not a success."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


@dataclass(frozen=True)
class Notes:
    """What Azure keeps of a file or directory and a plain folder can't hold."""

    metadata: dict[str, str] = field(default_factory=dict[str, str])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """content-type and its kin, by header name."""
    written: tuple[tuple[int, int], ...] = ()
    """First and last byte of each range that was written, where the file system tells less."""
    smb: dict[str, str] = field(default_factory=dict[str, str])
    """Attributes and times that a request stated (attributes.py)."""
    recorded: int = 0
    """When the file was changed last as `written` was true, in ns; 0: `written` says nothing."""


@dataclass(frozen=True)
class ShareTree:
    root: Path
    notes: Path
    """A second tree with the notes: `name:notes` for each name (no name in a share holds a colon), of long ones their digest."""
    dots: Dots = "drop"
    """What becomes of dots that a name ends with."""

    def locate(self, path: str) -> Path:
        """Where `path` is or would be: names match whatever their case, `..` and links never lead out of the share."""
        here = self.root
        for part in split_path(path, self.dots):
            here = here / (_actual_name(here, part) or part)
            if here.is_symlink() and not _inside(here, self.root):
                raise not_found()
        return here

    def parent_of(self, path: str) -> Path:
        """The directory that `path` would be made in; ParentNotFound where there is none."""
        parent = self.locate("/".join(split_path(path, self.dots)[:-1]))
        if not parent.is_dir():
            raise FilesError(404, "ParentNotFound", "The specified parent path does not exist.")
        return parent

    def require_parent(self, found: Path) -> Path:
        """What is missing is the parent, where that is not there either."""
        if not found.exists() and found != self.root and not found.parent.exists():
            raise FilesError(404, "ParentNotFound", "The specified parent path does not exist.")
        return found

    def file(self, path: str) -> Path:
        found = self.require_parent(self.locate(path))
        if found.is_dir() or not found.exists():
            raise not_found()
        return found

    def directory(self, path: str) -> Path:
        found = self.require_parent(self.locate(path))
        if not found.is_dir():
            raise not_found()
        return found

    def read_notes(self, place: Path) -> Notes:
        file = self._notes_of(place)
        if not file.exists():
            return Notes()
        said = json.loads(file.read_text(encoding="utf-8"))
        written = tuple((first, last) for first, last in said.pop("written", ()))
        return Notes(**said, written=written)

    def write_notes(self, place: Path, notes: Notes) -> None:
        file = self._notes_of(place)
        if notes == Notes():
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.part")
        unfinished.write_text(json.dumps(notes.__dict__), encoding="utf-8")
        unfinished.replace(file)

    def remove(self, place: Path) -> None:
        self._notes_of(place).unlink(missing_ok=True)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(self.notes / place.relative_to(self.root), ignore_errors=True)
            place.rmdir()
        else:
            place.unlink()

    def move(self, source: Path, target: Path) -> None:
        """Renames, the notes with it. Whether a target may be replaced was decided before."""
        self._notes_of(target).unlink(missing_ok=True)
        source.replace(target)
        with contextlib.suppress(FileNotFoundError):
            self._notes_of(target).parent.mkdir(parents=True, exist_ok=True)
            self._notes_of(source).replace(self._notes_of(target))
        old, new = (self.notes / place.relative_to(self.root) for place in (source, target))
        if old.is_dir():
            shutil.rmtree(new, ignore_errors=True)
            old.replace(new)

    def size(self) -> int:
        """Bytes that the share's files take."""
        return sum(entry.stat().st_size for entry in _files_under(self.root))

    def _notes_of(self, place: Path) -> Path:
        relative = place.relative_to(self.root)
        name = relative.name
        if (
            len(name.encode(errors="surrogateescape")) + len(":notes.part") > LONGEST_NAME
        ):  # no file of this machine's could hold it
            name = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
        return self.notes / relative.parent / f"{name}:notes"


def split_path(path: str, dots: Dots = "drop") -> list[str]:
    """The names in a path, checked as Azure checks them."""
    parts = [part for part in path.split("/") if part]
    if len(path) > LONGEST_PATH or len(parts) > 250:
        raise FilesError(
            400, "InvalidResourceName", "The specified resource name length is not within the permissible limits."
        )
    return [check_name(part, dots) for part in parts]


def check_name(name: str, dots: Dots = "drop") -> str:
    """A file's or directory's name: trailing dots are dropped, as the service does unless asked otherwise."""
    shortened = name.rstrip(".") if dots == "drop" and name.strip(".") else name
    if not 1 <= len(shortened) <= LONGEST_NAME or len(shortened.encode()) > LONGEST_NAME:
        raise FilesError(
            400, "InvalidResourceName", "The specified resource name length is not within the permissible limits."
        )
    if _FORBIDDEN.search(shortened) or _RESERVED.fullmatch(shortened) or shortened.strip(".") == "":
        raise FilesError(400, "InvalidFileOrDirectoryPathName", "The specified file or directory path name is invalid.")
    try:
        shortened.encode()
    except UnicodeEncodeError as problem:
        raise FilesError(
            400, "InvalidResourceName", "The specified resource name contains invalid characters."
        ) from problem
    return shortened


def not_found() -> FilesError:
    return FilesError(404, "ResourceNotFound", "The specified resource does not exist.")


def held_open_for_writing(place: Path, processes: Iterable[int]) -> bool:
    """Whether one of the processes (those of replicas) has the file open for writing. Linux tells; elsewhere nobody has."""
    target = place.stat()
    for folder in (Path(f"/proc/{process}/fd") for process in processes):
        try:
            for descriptor in folder.iterdir():
                with contextlib.suppress(OSError):
                    held = descriptor.stat()
                    if (held.st_dev, held.st_ino) == (target.st_dev, target.st_ino) and _writable(descriptor):
                        return True
        except (PermissionError, FileNotFoundError):
            continue
    return False


def _writable(descriptor: Path) -> bool:
    info = descriptor.parent.parent / "fdinfo" / descriptor.name
    flags = re.search(r"flags:\s*0?(\d+)", info.read_text())
    return flags is not None and int(flags.group(1), 8) & (os.O_WRONLY | os.O_RDWR) != 0


def _actual_name(folder: Path, name: str) -> str | None:
    """The name in `folder` that equals `name` but for its case."""
    if os.path.lexists(folder / name):
        return name
    wanted = one_case(name)
    try:
        return next((entry.name for entry in os.scandir(folder) if one_case(entry.name) == wanted), None)
    except (FileNotFoundError, NotADirectoryError):
        return None


def one_case(name: str) -> str:
    """Windows compares names character by character: `ß` is not `ss`, nor is the Kelvin sign a K."""
    return "".join(
        upper if len(upper := each.upper()) == 1 and upper.isascii() == each.isascii() else each for each in name
    )


def _inside(place: Path, root: Path) -> bool:
    return place.resolve().is_relative_to(root.resolve())


def _files_under(folder: Path) -> Iterator[os.DirEntry[str]]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files_under(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield entry
