"""What of a share's folders is a base model or an adapter, as our server will find them. Pure, over listed paths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.core.codefiles import Tree
from sidecar.words.text import Text

CACHE = "model-cache"
ADAPTER_CONFIG = "adapter_config.json"

OUR_SERVER = "engine/files/folder.py"
"""A file of the code's folder that only our server has: it finds the models."""


@dataclass(frozen=True)
class Models:
    """`bases`: `<organisation>/<model>`. `adapters`: folders. `whole`: whether the share was small enough to look through."""

    bases: tuple[str, ...]
    adapters: tuple[str, ...]
    whole: bool = True


def models_among(files: Iterable[str], *, whole: bool) -> Models:
    """`files`: paths below the mount."""
    bases: set[str] = set()
    adapters: set[str] = set()
    for each in files:
        *folders, name = each.split("/")
        if name == "config.json" and len(folders) == 3 and folders[0] == CACHE:
            bases.add("/".join(folders[1:]))
        elif name == ADAPTER_CONFIG:
            adapters.add("/".join(folders))
    return Models(tuple(sorted(bases)), tuple(sorted(adapters)), whole)


def is_our_server(tree: Tree) -> bool:
    """Whether the code looks for its base model as our server does; another one may find it anywhere."""
    return any(entry.path == OUR_SERVER for entry in tree.entries)


def missing_base(found: Models, wanted: str) -> Text | None:
    """Why our server would find no base model; None where it finds one. `wanted`: the app's SLIPWAY_BASE_MODEL."""
    if wanted and wanted not in found.bases:
        return Text(
            "The base model {wanted} is not under {cache} on the share; there: {found}.",
            wanted=wanted,
            cache=CACHE,
            found=", ".join(found.bases) or "none",
        )
    if not found.bases:
        return Text(
            "No base model is on the share: {cache}/<organisation>/<model>/config.json is expected.", cache=CACHE
        )
    if len(found.bases) > 1 and not wanted:
        return Text(
            "Several base models are on the share ({found}): the app's SLIPWAY_BASE_MODEL has to name one.",
            found=", ".join(found.bases),
        )
    return None
