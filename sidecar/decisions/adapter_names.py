"""Under which name our server serves an adapter's folder: the shortest ending of its path that no other shares. Pure.

The rule is the model server's (inference/engine/files/folder.py)."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

LAST = "adapter"
"""A folder of this name is called by the one that it lies in."""


def adapter_names(folders: Sequence[str], bases: Container[str]) -> Mapping[str, str]:
    """Each folder's name, as a server that starts now gives it. `folders`: below the mount. `bases`: names that are taken."""
    parts = {folder: _parts(folder) for folder in folders}
    return {
        folder: _shortest(parts[folder], [each for other, each in parts.items() if other != folder], bases)
        for folder in folders
    }


def name_for(folder: str, others: Sequence[str], taken: Container[str]) -> str:
    """Of one folder more, while a server runs. `taken`: the names of bases, and of the adapters that are served."""
    return _shortest(_parts(folder), [_parts(other) for other in others if other != folder], taken)


def _parts(folder: str) -> tuple[str, ...]:
    parts = tuple(folder.split("/"))
    return parts[:-1] if len(parts) > 1 and parts[-1] == LAST else parts


def _shortest(parts: tuple[str, ...], others: Sequence[tuple[str, ...]], taken: Container[str]) -> str:
    for length in range(1, len(parts) + 1):
        ending = parts[-length:]
        if "/".join(ending) not in taken and not any(other[-length:] == ending for other in others):
            return "/".join(ending)
    return "/".join((*parts, LAST))
