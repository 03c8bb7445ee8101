"""Names that a share holds to be one: Azure Files keeps the case of a name and tells none apart by it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath


def twins(paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of paths, or of the folders in them, that differ in case alone."""
    first: dict[str, str] = {}
    found: dict[tuple[str, str], None] = {}
    for path in sorted(paths):
        pure = PurePosixPath(path)
        for each in (*reversed(pure.parents[:-1]), pure):
            known = first.setdefault(str(each).casefold(), str(each))
            if known != str(each):
                found[known, str(each)] = None
                break  # what lies below differs for the same reason
    return tuple(found)


def renamed(delete: Iterable[str], upload: Iterable[str]) -> tuple[str, ...]:
    """Of what is deleted: what an upload brings back in another case. It has to go first, or the upload would go with it."""
    coming = {path.casefold() for path in upload}
    return tuple(path for path in delete if path.casefold() in coming)
