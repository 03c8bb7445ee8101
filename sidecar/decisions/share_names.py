"""Which names a file share can't hold, of a whole set at once: Azure Files has rules that a Linux folder has not."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from sidecar.words.text import Text

FORBIDDEN = '"\\:|<>*?'
RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CLOCK$", ".", "..", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
)  # fmt: skip
LONGEST_NAME, LONGEST_PATH, DEEPEST = 255, 2048, 250


@dataclass(frozen=True)
class BadName:
    """A path that the share would refuse, or take for another one."""

    path: str
    reason: Text

    def told(self) -> Text:
        return Text("{path} ({reason})", path=shown(self.path), reason=self.reason)

    def __str__(self) -> str:
        return str(self.told())


def folded(path: str) -> str:
    """Paths that are one on the share have this in common. It compares character by character, unlike Python's casefold."""
    return "".join(_raised(each) for each in path)


def shown(path: str) -> str:
    """A path that can be printed, whatever bytes its name has."""
    return "".join(
        each if unicodedata.category(each) not in ("Cc", "Cs", "Co") else each.encode("unicode_escape").decode()
        for each in path
    )


def bad_names(paths: Iterable[str], below: str = "") -> tuple[BadName, ...]:
    """Every path of the set that can't be on a share as itself. `below`: the folder that they go to, `a/b/` or empty."""
    listed = sorted(paths)
    found = [BadName(path, reason) for path in listed if (reason := _refused(path, below)) is not None]
    return tuple(found + _twins(listed))


def _raised(character: str) -> str:
    upper = character.upper()
    return upper if len(upper) == 1 and upper.isascii() == character.isascii() else character


def _refused(path: str, below: str) -> Text | None:
    names = path.split("/")
    if _length(below + path) > LONGEST_PATH:
        return Text("its path is longer than {limit} characters", limit=LONGEST_PATH)
    if below.count("/") + len(names) > DEEPEST:
        return Text("it lies more than {limit} folders deep", limit=DEEPEST)
    return next((reason for name in names if (reason := _refused_name(name)) is not None), None)


def _refused_name(name: str) -> Text | None:
    kinds = {unicodedata.category(each) for each in name}
    if "Cs" in kinds:
        return Text("its name is no UTF-8")
    if "Cc" in kinds or "Co" in kinds:
        return Text("a control or private character")
    if wrong := [each for each in FORBIDDEN if each in name]:
        return Text("a share allows no {characters} in names", characters=" ".join(wrong))
    if name.endswith((".", " ")):
        return Text("it ends with a dot or a space, which a share drops")
    if name.upper() in RESERVED:
        return Text("the name is reserved")
    if _length(name) > LONGEST_NAME:
        return Text("a name longer than {limit} characters", limit=LONGEST_NAME)
    return None


def _length(text: str) -> int:
    """In the units that Windows counts in: characters beyond the first 65,536 are two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _twins(paths: list[str]) -> list[BadName]:
    """Files and folders whose names differ only in their case; a file and a folder as well."""
    spellings: dict[str, set[str]] = {}
    for path in paths:
        for each in (path, *(str(above) for above in PurePosixPath(path).parents if str(above) != ".")):
            spellings.setdefault(folded(each), set()).add(each)
    return [
        BadName(
            each, Text("on a share it is the same as {other}", other=", ".join(sorted(shown(o) for o in same - {each})))
        )
        for same in spellings.values()
        if len(same) > 1
        for each in sorted(same)
    ]
