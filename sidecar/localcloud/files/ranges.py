"""Which ranges of a file were written, in pages as Azure counts: told by its file system, or by a record where it is coarser."""

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sidecar.localcloud.files.tree import Notes

_PAGE = 512
Range = tuple[int, int]
"""First and last byte."""


def written_ranges(place: Path, notes: Notes) -> list[Range]:
    """By the record, where nobody has written to the file past it; else what the file system holds data for, in its own blocks.
    The whole file where that knows of no holes."""
    size, changed = place.stat().st_size, place.stat().st_mtime_ns
    if notes.recorded == changed:
        return [(first, last) for first, last in notes.written]
    if not hasattr(os, "SEEK_DATA"):
        return [(0, size - 1)] if size else []
    with place.open("rb") as file:
        return [(first, min(_up(last), size) - 1) for first, last in _extents(file.fileno())]


def recorded(place: Path, notes: Notes, written: Sequence[Range]) -> Notes:
    """`notes` after a write, by which `written` are the ranges of the file. Recorded only where the file system tells otherwise:
    it counts in blocks, and in a cleared range it holds zeros."""
    plain = replace(notes, written=(), recorded=0)
    if written_ranges(place, plain) == list(written):
        return plain
    return replace(notes, written=tuple(written), recorded=place.stat().st_mtime_ns)


def with_range(ranges: Sequence[Range], first: int, last: int, size: int) -> list[Range]:
    """`ranges` and one more that was written; whole pages, those that touch as one."""
    found: list[Range] = []
    for begin, end in sorted([*ranges, (first - first % _PAGE, min(_up(last + 1), size) - 1)]):
        if found and begin <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def without_range(ranges: Sequence[Range], first: int, last: int, size: int) -> list[Range]:
    """`ranges` without one that was cleared: of a page that was cleared in part, the rest is zeros and counts as written."""
    begin = _up(first)
    end = size if last + 1 >= size else (last + 1) - (last + 1) % _PAGE
    if begin >= end:
        return list(ranges)
    return sorted([*within(ranges, 0, begin - 1), *within(ranges, end, size - 1)])


def within(ranges: Sequence[Range], first: int, last: int) -> list[Range]:
    """The parts of `ranges` from `first` to `last`."""
    cut = [(max(begin, first), min(end, last)) for begin, end in ranges]
    return [(begin, end) for begin, end in cut if begin <= end]


def _up(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def _extents(file: int) -> Iterator[Range]:
    """(where data begins, where the hole after it begins)"""
    end = 0
    while True:
        try:
            first = os.lseek(file, end, os.SEEK_DATA)
        except OSError as problem:
            if problem.errno != errno.ENXIO:  # said where there is no more data
                raise
            return
        end = os.lseek(file, first, os.SEEK_HOLE)
        yield first, end
