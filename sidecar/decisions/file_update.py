"""What becomes of each file of a project when a newer Slipway brings others: the person's edits are kept. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sidecar.core.merging import merged
from sidecar.core.project_files import digest
from sidecar.words.names import FileFate

GENERATED = frozenset({"infra/provision/inference.json"})
"""Made of another file: no edit of a person's is lost with it, for the template is compiled anew where its source differs."""


@dataclass(frozen=True)
class Fate:
    """`content`: what the file is to hold; None where it stays as it is, or goes."""

    path: str
    kind: FileFate
    content: bytes | None = None


@dataclass(frozen=True)
class Versions:
    """`own`: the project's files by path, of those that are shipped or were. `copied`: by path the digest of what each was
    copied from; empty where nobody knows. `base`: content by digest, where this machine has it."""

    own: Mapping[str, bytes]
    new: Mapping[str, bytes]
    copied: Mapping[str, str]
    base: Callable[[str], bytes | None]


def fates(versions: Versions, mine: Collection[str] = (), theirs: Collection[str] = ()) -> tuple[Fate, ...]:
    """In the order of their paths; `mine`, `theirs`: conflicts that the person has decided."""
    paths = sorted({*versions.own, *versions.new, *versions.copied})
    found = [_fate(path, versions, mine, theirs) for path in paths]
    return tuple(each for each in found if each is not None)


def _fate(path: str, versions: Versions, mine: Collection[str], theirs: Collection[str]) -> Fate | None:
    own, new, base = versions.own.get(path), versions.new.get(path), versions.copied.get(path)
    if new is None:
        if own is None:
            return None
        return Fate(path, "removed") if base == digest(own) else Fate(path, "kept") if base is not None else None
    if own is None:
        # Known and gone: the person has deleted it.
        return Fate(path, "added", new) if base is None else Fate(path, "deleted")
    if digest(own) == digest(new):
        return Fate(path, "same")
    if path in mine or (base == digest(new) and path not in theirs):
        return Fate(path, "kept")
    if base == digest(own) or path in theirs or (path in GENERATED and base is not None):
        return Fate(path, "replaced", new)
    text = _merged(None if base is None else versions.base(base), own, new)
    return Fate(path, "conflict") if text is None else Fate(path, "merged", text)


def _merged(base: bytes | None, own: bytes, new: bytes) -> bytes | None:
    if base is None:
        return None
    try:
        text = merged(base.decode(), own.decode(), new.decode())
    except UnicodeDecodeError:
        return None
    return None if text is None else text.encode()
