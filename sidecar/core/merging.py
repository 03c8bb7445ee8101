"""Two versions of a text brought together by what each has changed of a third, from which both were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher


def merged(base: str, own: str, new: str) -> str | None:
    """By lines, as `diff3` does; None where both have changed the same place differently. Line ends are `own`'s."""
    windows = "\r\n" in own
    texts = [each.replace("\r\n", "\n").splitlines(keepends=True) for each in (base, own, new)]
    made: list[str] = []
    for before, mine, theirs in _regions(*texts):
        if mine == before:
            made += theirs
        elif theirs in (before, mine):
            made += mine
        else:
            return None
    text = "".join(made)
    return text.replace("\n", "\r\n") if windows else text


Lines = Sequence[str]


def _regions(base: Lines, own: Lines, new: Lines) -> Iterator[tuple[Lines, Lines, Lines]]:
    """The texts cut at the lines that all three share: in turn what stands between two such places, and the place itself."""
    at = (0, 0, 0)
    for start, length, in_own, in_new in [*_shared(base, own, new), (len(base), 0, len(own), len(new))]:
        yield base[at[0] : start], own[at[1] : in_own], new[at[2] : in_new]
        same = base[start : start + length]
        yield same, same, same
        at = (start + length, in_own + length, in_new + length)


def _shared(base: Lines, own: Lines, new: Lines) -> list[tuple[int, int, int, int]]:
    """Places of `base` that are in both others: start and length, and where each of them has it."""
    mine = SequenceMatcher(None, base, own, autojunk=False).get_matching_blocks()
    theirs = SequenceMatcher(None, base, new, autojunk=False).get_matching_blocks()
    found: list[tuple[int, int, int, int]] = []
    one = other = 0
    while one < len(mine) and other < len(theirs):
        (a, in_own, size), (b, in_new, length) = mine[one], theirs[other]
        start, end = max(a, b), min(a + size, b + length)
        if start < end:
            found.append((start, end - start, in_own + start - a, in_new + start - b))
        if a + size < b + length:
            one += 1
        else:
            other += 1
    return found
