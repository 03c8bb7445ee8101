"""Looks at the models on a share: lists its folders, reads configurations and the headers of weights, never the weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from sidecar.decisions.adapter_check import WEIGHTS as ADAPTER_WEIGHTS
from sidecar.decisions.base_check import INDEX, WEIGHTS
from sidecar.decisions.checks import Unread
from sidecar.decisions.model_facts import (
    NAMING,
    Adapter,
    Base,
    Broken,
    Json,
    ModelFacts,
    Settings,
    Tensors,
    unknown,
    wanted_base,
)
from sidecar.decisions.models_on_share import ADAPTER_CONFIG, CACHE, NOT_WALKED, Models, models_among
from sidecar.decisions.safetensors import PREFIX, header_length, tensors_of
from sidecar.decisions.tokenizer_check import SETTINGS
from sidecar.gateway.listed import Listed
from sidecar.words.errors import NotFound, SlipwayError
from sidecar.words.text import Text

MOST_FOLDERS = 200
"""Listed while looking for models: a share of datasets may hold millions of files."""

MOST_ENTRIES = 5000
"""Of one folder."""

MOST_SHARDS = 64
MOST_ADAPTERS = 16
"""As many as the server loads, unless it is told otherwise."""

MOST_JSON = 4 << 20
MOST_HEADER = 8 << 20
"""Bytes. A larger one is left to the server: it is said that nobody looked."""

FIRST = 64 << 10
"""Bytes of a file of weights that are asked for first: most headers are in them whole."""

READERS = 8
T = TypeVar("T")


class Files(Protocol):
    """A share, as far as it is looked at here."""

    def list(self, folder: str, most: int | None = None) -> list[Listed]: ...

    def part(self, path: str, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True)
class Walked:
    """`files`: sizes by path below the mount. `whole`: whether the share was small enough to be listed."""

    files: Mapping[str, int]
    whole: bool

    @property
    def models(self) -> Models:
        return models_among(self.files, whole=self.whole)

    def of(self, folder: str) -> Mapping[str, int]:
        """What lies directly in a folder."""
        found = ((path.rpartition("/"), size) for path, size in self.files.items())
        return {name: size for (above, _, name), size in found if above == folder}


def walked(share: Files, folder: str, pool: ThreadPoolExecutor) -> Walked:
    """Looks through the share as the app's mount shows it, depth by depth, the model cache no deeper than its models."""

    def listing(place: str) -> list[Listed]:
        return share.list(_path(folder, place), MOST_ENTRIES)

    waiting, files, seen, whole = [""], dict[str, int](), 0, True
    while waiting and seen < MOST_FOLDERS:
        places, waiting = waiting[: MOST_FOLDERS - seen], waiting[MOST_FOLDERS - seen :]
        seen += len(places)
        for place, found in zip(places, pool.map(listing, places), strict=True):
            whole = whole and len(found) < MOST_ENTRIES
            for each in found:
                path = _path(place, each.name)
                if not each.is_directory:
                    files[path] = each.size
                elif not each.name.startswith(".") and each.name not in NOT_WALKED and not _too_deep(path):
                    waiting.append(path)
    return Walked(files, whole and not waiting)


def _too_deep(path: str) -> bool:
    return path.startswith(f"{CACHE}/") and path.count("/") > 2


def _path(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def model_facts(share: Files, folder: str, settings: Settings, kind: str | None) -> ModelFacts:
    """`folder`: of the share, as the app mounts it. `settings`: the server's, as variables. `kind`: of the app's profile."""
    with ThreadPoolExecutor(READERS, "models") as pool:
        found = walked(share, folder, pool)
        models, wanted = found.models, wanted_base(settings)
        name = wanted or (models.bases[0] if len(models.bases) == 1 else "")
        if name not in models.bases or unknown(settings, *NAMING):
            return ModelFacts(models, wanted, None, (), 0, settings, kind)
        reader = Reader(share, folder, found, pool)
        adapters = [reader.adapter(each) for each in models.adapters[:MOST_ADAPTERS]]
        base = reader.base(name)
        looked = tuple(wait() for wait in adapters)
    return ModelFacts(models, wanted, base, looked, len(models.adapters) - len(looked), settings, kind)


def facts_by_place(share: Files, folder: str, settings: Settings, kind: str | None) -> ModelFacts:
    """For a start of another server than ours: where models lie. What one has to hold only that server knows."""
    return ModelFacts(models_on(share, folder), wanted_base(settings), None, (), 0, settings, kind)


def models_on(share: Files, folder: str) -> Models:
    """What is there, by its places alone."""
    with ThreadPoolExecutor(READERS, "models") as pool:
        return walked(share, folder, pool).models


@dataclass(frozen=True)
class Reader:
    """Reads beside one another what needs nothing of each other."""

    share: Files
    mount: str
    walked: Walked
    pool: ThreadPoolExecutor

    def base(self, name: str) -> Base:
        folder = f"{CACHE}/{name}"
        files = self.walked.of(folder)
        config = self._later(self.json, f"{folder}/config.json")
        indexed = INDEX in files and WEIGHTS not in files  # one that was left behind is not read
        index = self._later(self.json, f"{folder}/{INDEX}") if indexed else lambda: None
        tokenizer = self._settings(folder, files)
        names = _shards_of(index())
        there = [each for each in (names if isinstance(names, tuple) else (WEIGHTS,)) if each in files]
        shards = {each: self._later(self.header, f"{folder}/{each}") for each in there[:MOST_SHARDS]}
        read: dict[str, Tensors | Broken | Unread] = {each: wait() for each, wait in shards.items()}
        if len(there) > MOST_SHARDS:
            read[there[-1]] = Unread(Text("{name} has many files of weights: not all were looked into.", name=name))
        return Base(name, files, config(), names, read, tokenizer())

    def adapter(self, folder: str) -> Callable[[], Adapter]:
        files = self.walked.of(folder)
        config = self._later(self.json, _path(folder, ADAPTER_CONFIG))
        there = ADAPTER_WEIGHTS in files
        tensors = self._later(self.header, _path(folder, ADAPTER_WEIGHTS)) if there else lambda: None
        tokenizer = self._settings(folder, files)
        return lambda: Adapter(folder or "/", files, config(), tensors(), tokenizer())

    def _settings(self, folder: str, files: Mapping[str, int]) -> Callable[[], Json | Broken | Unread | None]:
        """Of the tokenizer in a folder."""
        return self._later(self.json, _path(folder, SETTINGS)) if SETTINGS in files else lambda: None

    def _later(self, read: Callable[..., T], *arguments: Any) -> Callable[[], T]:
        return self.pool.submit(read, *arguments).result

    def json(self, path: str) -> Json | Broken | Unread:
        """An object from a file of bounded size."""
        size = self.walked.files[path]
        if size > MOST_JSON:
            return Unread(Text("{path} has {size} MiB: it was not read.", path=path, size=size >> 20))
        content = self._bytes(path, 0, size)
        if not isinstance(content, bytes):
            return content
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            return Broken(Text("it is not JSON"))
        return cast("Json", document) if isinstance(document, dict) else Broken(Text("it does not hold a JSON object"))

    def header(self, path: str) -> Tensors | Broken | Unread:
        """The tensors of a file of weights: its header alone is read."""
        size = self.walked.files[path]
        first = self._bytes(path, 0, min(FIRST, size))
        if not isinstance(first, bytes):
            return first
        length = header_length(first, size)
        if isinstance(length, Broken):
            return length
        if length > MOST_HEADER:
            return Unread(Text("The header of {path} has {size} MiB: it was not read.", path=path, size=length >> 20))
        more = PREFIX + length - len(first)
        rest = self._bytes(path, len(first), more) if more > 0 else b""
        if not isinstance(rest, bytes):
            return rest
        return tensors_of((first + rest)[PREFIX : PREFIX + length], size)

    def _bytes(self, path: str, offset: int, length: int) -> bytes | Broken | Unread:
        if not length:
            return b""
        try:
            return self.share.part(_path(self.mount, path), offset, length)
        except NotFound:
            return Broken(Text("it has gone meanwhile"))
        except SlipwayError as error:
            return Unread(error.message)


def _shards_of(index: Json | Broken | Unread | None) -> tuple[str, ...] | Broken | Unread | None:
    """The files that an index names; each lies beside it, or the server refuses it."""
    if index is None or isinstance(index, (Broken, Unread)):
        return index
    named = index.get("weight_map")
    if not isinstance(named, dict) or not named:
        return Broken(Text("it has no weight_map"))
    names = list(cast("dict[str, Any]", named).values())
    for name in names:
        if not isinstance(name, str) or "/" in name or not name.endswith(".safetensors"):
            return Broken(Text("it names a file outside of its folder or of another kind: {name}", name=name))
    return tuple(sorted(set(names)))
