"""What of a share's folders is a base model or an adapter, as our server will find them. Pure, over listed paths."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from sidecar.core.codefiles import Tree
from sidecar.words.text import Text

CACHE = "model-cache"
NOT_WALKED = ("node_modules", "site-packages")
"""Folders of packages, in which neither the server nor we look for models."""

ADAPTER_CONFIG = "adapter_config.json"
INDEX, WEIGHTS = "model.safetensors.index.json", "model.safetensors"
CHECKPOINT = re.compile(r"checkpoint-\d+")

UNFINISHED = ".slipway-upload.json"
"""Stands in a model's folder while its files are switched: until it is gone the server takes nothing of them."""

CUT_OFF = Text("an upload of it was cut off while its files were switched; upload it again")

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
    weights: set[str] = set()
    for each in files:
        *folders, name = each.split("/")
        if name == "config.json" and len(folders) == 3 and folders[0] == CACHE:
            bases.add("/".join(folders[1:]))
        elif name == ADAPTER_CONFIG:
            adapters.add("/".join(folders))
        elif name in (INDEX, WEIGHTS):
            weights.add("/".join(folders))
    for base in sorted(bases):  # trainers leave the base's config.json beside an adapter
        folder = f"{CACHE}/{base}"
        if folder in adapters and folder not in weights:
            bases.discard(base)
    return Models(tuple(sorted(bases)), _results(adapters), whole)


def _results(found: Collection[str]) -> tuple[str, ...]:
    """Without the checkpoints beside or below what came of their training: the server leaves those out. Others come last."""
    paths = {each: PurePosixPath("/", each) for each in found}
    results = [each for each in sorted(found) if not CHECKPOINT.fullmatch(paths[each].name)]
    others = [paths[each] for each in results]

    def counts(path: PurePosixPath) -> bool:
        return not any(path.parent == each or path.parent in each.parents or each in path.parents for each in others)

    alone = sorted(each for each in found if each not in results and counts(paths[each]))
    return (*results, *alone)


def is_our_server(tree: Tree) -> bool:
    """Whether the code looks for its base model as our server does; another one may find it anywhere."""
    return any(entry.path == OUR_SERVER for entry in tree.entries)


def missing_base(found: Models, wanted: str) -> Text | None:
    """Why our server would find no base model; None where it finds one. `wanted`: as `wanted_base` has it."""
    if wanted and wanted not in found.bases:
        return Text(
            "The base model {wanted} is not under {cache} on the share; there: {found}.",
            wanted=wanted,
            cache=CACHE,
            found=", ".join(found.bases) or Text("none"),
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
