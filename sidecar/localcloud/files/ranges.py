"""Which ranges of a file were written: what its file system holds data for, in the pages that Azure counts in."""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_PAGE = 512
Range = tuple[int, int]
"""First and last byte."""


def written_ranges(place: Path) -> list[Range]:
    """The whole file where its system knows of no holes. A cleared range counts as written: it is filled with zeros here."""
    size = place.stat().st_size
    if not hasattr(os, "SEEK_DATA"):
        return [(0, size - 1)] if size else []
    with place.open("rb") as file:
        return [(first, min(-(-last // _PAGE) * _PAGE, size) - 1) for first, last in _extents(file.fileno())]


def within(ranges: Sequence[Range], first: int, last: int) -> list[Range]:
    """The parts of `ranges` from `first` to `last`."""
    cut = [(max(begin, first), min(end, last)) for begin, end in ranges]
    return [(begin, end) for begin, end in cut if begin <= end]


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
