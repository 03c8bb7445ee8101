"""Model and adapter folders on the mount: where they are, and that they are safe to read before anything is read."""

import hashlib
import json
import logging
import os
import re
import struct
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.engine.files.native import code_named, is_known
from inference.engine.files.quantised import WAY_ON, refusal, refusal_of_names

log = logging.getLogger(__name__)

MAX_JSON = 64 << 20
MAX_HEADER = 100 << 20
DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
INDEX, WEIGHTS = "model.safetensors.index.json", "model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
CHECKPOINT = re.compile(r"checkpoint-(\d+)")
NOT_WALKED = ("node_modules", "site-packages")  # packages' folders: thousands of them, and no adapter
LFS = b"version https://git-lfs.github.com/"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TOOL_TEMPLATE = "additional_chat_templates/tool_use.jinja"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    TOOL_TEMPLATE,
)  # what an adapter may bring of its own
ADAPTER_FILES = (ADAPTER_CONFIG, ADAPTER_WEIGHTS, *TOKENIZER_FILES)
UNFINISHED = (
    ".slipway-upload.json"  # stands in a folder while an upload switches its files, longer only where it was cut off
)
WATCHED_FILES = (*ADAPTER_FILES, UNFINISHED)
Fingerprint = frozenset[tuple[str, int, int]]  # name, size and mtime_ns of those of the watched files that are there


class FolderError(ValueError):
    """A folder that is missing or refused; the message names the file and the reason."""


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor's bytes are: file, first byte, length, and what they mean."""

    file: Path
    start: int
    length: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def is_floating(self) -> bool:
        return self.dtype.startswith(("F", "BF"))


@dataclass(frozen=True)
class ModelFolder:
    """A checked base model."""

    name: str
    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, TensorPlace]

    @property
    def size(self) -> int:
        return sum(place.length for place in self.tensors.values())

    @property
    def dtypes(self) -> frozenset[str]:
        return frozenset(place.dtype for place in self.tensors.values())


@dataclass(frozen=True)
class AdapterFolder:
    """A checked adapter: its configuration, its tensors, and the hash of all files that its answers depend on."""

    name: str
    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, TensorPlace]
    digest: str


def find_base(mount: Path, wanted: str) -> tuple[str, Path]:
    """Name and folder of the base model: the one that is asked for, or the only one under model-cache."""
    cache = mount / "model-cache"
    found = base_models(mount)
    if wanted:
        if wanted not in found:
            there = ", ".join(sorted(found)) or "none"
            raise FolderError(f"base model {wanted!r} is not under {cache}; there: {there}")
        return wanted, found[wanted]
    if not found:
        raise FolderError(f"no base model under {cache}: expected <organisation>/<model>/config.json")
    if len(found) > 1:
        names = ", ".join(sorted(found))
        raise FolderError(f"several base models under {cache} ({names}); name one in SLIPWAY_BASE_MODEL")
    return next(iter(found.items()))


def base_models(mount: Path) -> dict[str, Path]:
    return {
        f"{organisation.name}/{model.name}": model
        for organisation in folders_in(mount / "model-cache")
        for model in folders_in(organisation)
        if (model / "config.json").is_file() and not only_an_adapter(model)
    }


def only_an_adapter(folder: Path) -> bool:
    """Trainers leave the base's config.json beside an adapter; that makes it no base."""
    weights = (folder / INDEX).is_file() or (folder / WEIGHTS).is_file()
    return (folder / ADAPTER_CONFIG).is_file() and not weights


def find_adapters(mount: Path) -> dict[str, Path]:
    """Every adapter under the mount by name: the shortest ending of its path that no other adapter shares, and no base
    is called."""
    found = set(walk_adapters(mount))
    paths = sorted(results(found), key=by_use)
    if len(paths) < len(found):
        left = len(found) - len(paths)
        log.info("%d checkpoints of trainings are left out: what came of each lies beside or above them", left)
    parts = {path: naming_parts(mount, path) for path in paths}
    bases = base_models(mount)
    return {shortest_name(parts[path], [p for q, p in parts.items() if q != path], bases): path for path in paths}


def results(found: Collection[Path]) -> set[Path]:
    """Without the checkpoints that a trainer kept beside or below its result: they would take the slots of others."""
    whole = {path for path in found if not CHECKPOINT.fullmatch(path.name)}

    def is_left_out(path: Path) -> bool:
        return any(path.parent == each or path.parent in each.parents or each in path.parents for each in whole)

    return whole | {path for path in found if path not in whole and not is_left_out(path)}


def by_use(path: Path) -> tuple[bool, Path, int, str]:
    """Checkpoints come last, the latest of each training first."""
    step = CHECKPOINT.fullmatch(path.name)
    return (False, path, 0, "") if step is None else (True, path.parent, -int(step[1]), path.name)


def walk_adapters(mount: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(mount, followlinks=False):
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in NOT_WALKED]
        if ADAPTER_CONFIG in files:
            yield Path(folder)


def name_among(mount: Path, path: Path, others: Iterable[Path], taken: Container[str]) -> str:
    """A name for one more adapter: as `find_adapters` would choose it, and not one that is in use."""
    parts = naming_parts(mount, path)
    bases = base_models(mount)
    for length in range(1, len(parts) + 1):
        name = "/".join(parts[-length:])
        if (
            name not in taken
            and name not in bases
            and not any(naming_parts(mount, other)[-length:] == parts[-length:] for other in others)
        ):
            return name
    return "/".join((*parts, "adapter"))


def fingerprint(path: Path) -> Fingerprint:
    """The state of an adapter's files; OSError when the share does not answer."""
    seen: set[tuple[str, int, int]] = set()
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name in WATCHED_FILES:
                    found = (path / entry.name).stat()
                    seen.add((entry.name, found.st_size, found.st_mtime_ns))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset(seen)  # the folder, or a file between listing and looking
    return frozenset(seen)


def is_adapter(state: Fingerprint) -> bool:
    return any(name == ADAPTER_CONFIG for name, _, _ in state)


def naming_parts(mount: Path, path: Path) -> tuple[str, ...]:
    parts = path.relative_to(mount).parts
    return parts[:-1] if len(parts) > 1 and parts[-1] == "adapter" else parts


def shortest_name(parts: tuple[str, ...], others: list[tuple[str, ...]], taken: Container[str]) -> str:
    for length in range(1, len(parts) + 1):
        ending = parts[-length:]
        if "/".join(ending) not in taken and not any(other[-length:] == ending for other in others):
            return "/".join(ending)
    return "/".join((*parts, "adapter"))  # the same path with and without a last `adapter`


TOKENIZERS = (("tokenizer.json",), ("tokenizer.model",), ("vocab.json", "merges.txt"))
"""Any of these is a tokenizer."""


def check_model(name: str, path: Path, mount: Path) -> ModelFolder:
    """Reads configuration and headers of a base model, refusing what is unsafe or broken."""
    refuse_unfinished(path)
    config = read_json(inside(path / "config.json", mount))
    others = [path / TOOL_TEMPLATE] if (path / TOOL_TEMPLATE).exists() else []
    for file in (*path.iterdir(), *others):  # the tokenizer's, templates and what transformers finds are read by others
        if file.is_file():
            inside(file, mount)
    refuse_needed_code(path / "config.json", config)
    if why := refusal(config):
        raise FolderError(f"{path / 'config.json'}: {why}")
    if not any(all((path / file).exists() for file in files) for files in TOKENIZERS):
        raise FolderError(f"{path} has neither tokenizer.json nor tokenizer.model, nor vocab.json with merges.txt")
    if (path / WEIGHTS).exists():  # whatever index was left behind when the model was saved again, as one file
        shards = [inside(path / WEIGHTS, mount)]
    else:
        shards = shard_files(path / INDEX, mount) if (path / INDEX).exists() else []
    if not shards:
        others = ", ".join(
            sorted(p.name for p in path.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"})
        )
        instead_of_them = f"; {others} may hold code and is not read" if others else ""
        if any(path.glob("*.gguf")):
            instead_of_them += f"; GGUF is not served: {WAY_ON}"
        raise FolderError(f"{path} has no safetensors weights{instead_of_them}")
    tensors: dict[str, TensorPlace] = {}
    for shard in shards:
        places = read_header(shard)
        if why := refusal_of_names(places):
            raise FolderError(f"{shard}: {why}")
        tensors.update(places)
    return ModelFolder(name, path, config, tensors)


def check_adapter(name: str, path: Path, mount: Path) -> AdapterFolder:
    """Reads configuration and header of an adapter, refusing what is unsafe or broken."""
    refuse_unfinished(path)
    config = read_json(inside(path / ADAPTER_CONFIG, mount))
    weights = path / ADAPTER_WEIGHTS
    if not weights.exists():
        pickled = "; adapter_model.bin may hold code and is not read" if (path / "adapter_model.bin").exists() else ""
        raise FolderError(f"{path} has no {ADAPTER_WEIGHTS}{pickled}")
    tensors = read_header(inside(weights, mount))
    digest = hashlib.sha256()
    for file in ADAPTER_FILES:
        if (path / file).exists():
            with inside(path / file, mount).open("rb") as handle:
                digest.update(file.encode() + hashlib.file_digest(handle, "sha256").digest())
    return AdapterFolder(name, path, config, tensors, digest.hexdigest())


def shard_files(index: Path, mount: Path) -> list[Path]:
    weight_map = read_json(inside(index, mount)).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise FolderError(f"{index} has no weight_map")
    entries: dict[str, Any] = dict(weight_map)  # pyright: ignore[reportUnknownArgumentType]  (it is from JSON)
    names: set[Any] = set(entries.values())
    for name in names:
        if not isinstance(name, str) or name != os.path.basename(name) or not name.endswith(".safetensors"):
            raise FolderError(f"{index} names a shard outside of its folder or of another kind: {name!r}")
    return [inside(index.parent / name, mount) for name in sorted(names)]


def inside(file: Path, mount: Path) -> Path:
    """The file itself, when it exists and no link leads it out of the mount."""
    if not file.is_file():
        raise FolderError(f"{file} is missing")
    if not file.resolve().is_relative_to(mount.resolve()):
        raise FolderError(f"{file} leads out of {mount}")
    return file


def refuse_unfinished(path: Path) -> None:
    """Of a folder whose files are being switched, some may be the old ones and some the new."""
    try:
        with (path / UNFINISHED).open("rb"):  # a look at its attributes may be half a minute old on a mount
            pass
    except (FileNotFoundError, NotADirectoryError):
        return
    raise FolderError(f"{path}: an upload of it was cut off while its files were switched; upload it again")


def refuse_needed_code(file: Path, config: Mapping[str, Any]) -> None:
    """A base model may speak of code of its own (`auto_map`), not need it: it is never run."""
    auto_map = config.get("auto_map")
    if not auto_map:
        return
    kind, code = config.get("model_type"), code_named(auto_map)
    if not is_known(config):
        raise FolderError(
            f"{file}: model_type {kind!r} is known neither to us nor to transformers; it would need {code!r} of its own "
            "(auto_map), which is never run"
        )
    log.info("%s: model_type %r needs no code of its own, so auto_map (%r) is left alone", file, kind, code)


def read_json(file: Path) -> dict[str, Any]:
    """An object from a JSON file of bounded size."""
    if file.stat().st_size > MAX_JSON:
        raise FolderError(f"{file} is larger than {MAX_JSON >> 20} MiB")
    content = file.read_bytes()
    try:
        value: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FolderError(f"{file} is not JSON: {instead(content) or error}") from error
    if not isinstance(value, dict):
        raise FolderError(f"{file} does not hold a JSON object")
    return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def instead(content: bytes) -> str:
    """What lies in a file's place, where that is known; else nothing."""
    return "it is a Git LFS pointer, and the file itself was not fetched" if content.startswith(LFS) else ""


def read_header(file: Path) -> dict[str, TensorPlace]:
    """The tensors of a safetensors file, after checking that all of them lie inside it and none overlap."""
    size = file.stat().st_size
    with file.open("rb") as handle:
        first = handle.read(8)
        length: int = struct.unpack("<Q", first)[0] if len(first) == 8 else MAX_HEADER + 1
        if length > min(MAX_HEADER, size - 8):
            why = instead(first + handle.read(len(LFS)))
            raise FolderError(f"{file} is not a safetensors file, or is truncated" + (f": {why}" if why else ""))
        raw = handle.read(length)
    try:
        header: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FolderError(f"{file} has a broken header: {error}") from error
    if not isinstance(header, dict):
        raise FolderError(f"{file} has a broken header")
    entries: dict[str, Any] = dict(header)  # pyright: ignore[reportUnknownArgumentType]  (it is from JSON)
    places = {
        name: place_of(file, name, entry, 8 + length) for name, entry in entries.items() if name != "__metadata__"
    }
    end = 8 + length
    for place in sorted(places.values(), key=lambda place: place.start):
        if place.start < end:
            raise FolderError(f"{file} has overlapping tensors")
        end = place.start + place.length
    if end > size:
        raise FolderError(f"{file} is truncated: {size} bytes, its header speaks of {end}")
    return places


def place_of(file: Path, name: str, entry: Any, data: int) -> TensorPlace:
    try:
        dtype, shape, (start, end) = str(entry["dtype"]), tuple(int(n) for n in entry["shape"]), entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise FolderError(f"{file}: tensor {name} is described wrongly") from error
    if dtype.startswith("F8_"):
        raise FolderError(f"{file}: tensor {name} is FP8 ({dtype}), which is not served; {WAY_ON}")
    if dtype not in DTYPES:
        raise FolderError(f"{file}: tensor {name} has the unknown type {dtype}")
    expected = DTYPES[dtype]
    for extent in shape:
        expected *= extent
    if any(extent < 0 for extent in shape) or not isinstance(start, int) or start < 0 or end - start != expected:
        raise FolderError(f"{file}: tensor {name} has a size that does not fit its shape")
    return TensorPlace(file, data + start, expected, dtype, shape)


def folders_in(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")) if path.is_dir() else []
