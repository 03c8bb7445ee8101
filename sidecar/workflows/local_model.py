"""A model's folder on this machine: what it holds, read as a share's is, and its weights spread over more files on request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sidecar.core.pieces import Content, Part, content_of, content_of_bytes, joined
from sidecar.decisions.base_check import INDEX, WEIGHTS
from sidecar.decisions.checks import Unread
from sidecar.decisions.model_facts import Adapter, Base, Broken, Json
from sidecar.decisions.models_on_share import CACHE, Models
from sidecar.decisions.resharding import Slice, index_of, reshard
from sidecar.decisions.safetensors import PREFIX, header_length
from sidecar.decisions.upload import TEMPLATES, Travelling, kind_of, travelling
from sidecar.gateway.listed import Listed
from sidecar.words.errors import NotFound, WorkspaceError
from sidecar.words.names import ModelKind
from sidecar.words.text import Text
from sidecar.workflows.model_files import READERS, Reader, Walked


@dataclass(frozen=True)
class LocalModel:
    """`index`: the files of weights that a base's index names. `config`: the base's, where it can be read."""

    folder: Path
    kind: ModelKind
    sizes: Mapping[str, int]
    index: tuple[str, ...] | None
    config: Json | None

    @property
    def travels(self) -> Travelling:
        return travelling(self.kind, self.sizes, self.index)

    @property
    def weights(self) -> tuple[str, ...]:
        return tuple(each for each in self.travels.goes if each.endswith(".safetensors"))


@dataclass(frozen=True)
class _AsOnShare:
    """The folder's files, where they will be on the share."""

    folder: Path
    place: str
    sizes: Mapping[str, int]

    def list(self, folder: str, most: int | None = None) -> list[Listed]:
        found = [Listed(name, False, size) for name, size in self.sizes.items()] if folder == self.place else []
        return found[:most]

    def part(self, path: str, offset: int, length: int) -> bytes:
        file = self.folder / path.rpartition("/")[2]
        try:
            with file.open("rb") as stream:
                stream.seek(offset)
                return stream.read(length)
        except FileNotFoundError as error:
            raise NotFound(Text("{file} is not there.", file=file)) from error
        except OSError as error:
            raise WorkspaceError(
                Text("{file} can't be read: {problem}", file=file, problem=error.strerror or error)
            ) from error


def local_model(folder: Path) -> LocalModel:
    try:
        found = [*folder.iterdir(), *(folder / TEMPLATES).glob("*.jinja")]
        sizes = {each.relative_to(folder).as_posix(): each.stat().st_size for each in sorted(found) if each.is_file()}
    except OSError as error:
        raise WorkspaceError(
            Text("The folder {folder} can't be read: {problem}", folder=folder, problem=error.strerror or error),
            Text("Name the folder that holds adapter_config.json, or a base model's config.json."),
            code="NoModelFolder",
        ) from error
    kind = kind_of(sizes)
    if kind is None:
        raise WorkspaceError(
            Text(
                "{folder} holds neither adapter_config.json nor config.json: no adapter and no base model.",
                folder=folder,
            ),
            Text("Name the folder that holds one of them, as training or a download has left it."),
            code="NoModelFolder",
        )
    if kind == "adapter":
        return LocalModel(folder, kind, sizes, None, None)
    base = base_facts(LocalModel(folder, kind, sizes, None, None), "local/model")
    index = base.index if isinstance(base.index, tuple) else None
    return LocalModel(folder, kind, sizes, index, None if isinstance(base.config, (Broken, Unread)) else base.config)


def base_facts(model: LocalModel, name: str) -> Base:
    with ThreadPoolExecutor(READERS, "models") as pool:
        return _reader(model, f"{CACHE}/{name}", pool).base(name)


def adapter_facts(model: LocalModel, place: str) -> Adapter:
    with ThreadPoolExecutor(READERS, "models") as pool:
        return _reader(model, place, pool).adapter(place)()


def _reader(model: LocalModel, place: str, pool: ThreadPoolExecutor) -> Reader:
    walked = Walked({f"{place}/{name}": size for name, size in model.sizes.items()}, whole=True)
    return Reader(_AsOnShare(model.folder, place, model.sizes), "", walked, pool)


def with_model(models: Models, model: LocalModel, name: str, place: str) -> Models:
    """What the share holds once it is there."""
    bases = sorted({*models.bases, name}) if model.kind == "base" else models.bases
    adapters = sorted({*models.adapters, place}) if model.kind == "adapter" else models.adapters
    return Models(tuple(bases), tuple(adapters), models.whole)


def contents(model: LocalModel, shards: int) -> Mapping[str, Content]:
    """What goes to the share, by name. `shards`: of a base, as many files of weights at least; 0: as they are."""
    goes = [each for each in model.travels.goes if shards <= len(model.weights) or not _is_weights(each)]
    plain = {name: content_of(model.folder / name) for name in goes}
    return plain if shards <= len(model.weights) else {**plain, **_spread(model, shards)}


def _is_weights(name: str) -> bool:
    return name == INDEX or name.endswith(".safetensors")


def _spread(model: LocalModel, shards: int) -> Mapping[str, Content]:
    tensors: dict[str, Slice] = {}
    metadata: Mapping[str, str] = {}
    for name in sorted(model.index or (WEIGHTS,)):
        found, stated = _slices(model.folder / name)
        tensors |= {each.name: each for each in found}  # of two of one name the server takes the later file's
        metadata = metadata or stated
    made = reshard(list(tensors.values()), shards, metadata)
    files = {
        shard.name: joined(
            shard.header, [Part(model.folder / each.file, each.start, each.length) for each in shard.tensors]
        )
        for shard in made
    }
    return {**files, INDEX: content_of_bytes(index_of(made, _index_metadata(model)))}


def _slices(file: Path) -> tuple[list[Slice], Mapping[str, str]]:
    """The tensors of a file whose header was judged before, and what else that says."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(PREFIX)
        length = header_length(first, size)
        if isinstance(length, Broken):
            raise WorkspaceError(Text("{file}: {reason}", file=file, reason=length.reason))
        header = cast("dict[str, dict[str, Any]]", json.loads(stream.read(length)))
    stated = header.pop("__metadata__", {})
    data = PREFIX + length
    found = [
        Slice(
            name=name,
            dtype=str(each["dtype"]),
            shape=tuple(each["shape"]),
            file=file.name,
            start=data + each["data_offsets"][0],
            length=each["data_offsets"][1] - each["data_offsets"][0],
        )
        for name, each in header.items()
    ]
    return sorted(found, key=lambda each: each.start), {name: str(value) for name, value in stated.items()}


def _index_metadata(model: LocalModel) -> Mapping[str, object]:
    if INDEX not in model.sizes:
        return {}
    said = cast("dict[str, Any]", json.loads((model.folder / INDEX).read_bytes())).get("metadata")
    return cast("dict[str, object]", said) if isinstance(said, dict) else {}
