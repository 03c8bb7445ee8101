"""Weights from disk into memory: parallel reads of bounded pieces, straight to where they belong."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inference.engine.files.families import Place
from inference.engine.files.folder import FolderError, ModelFolder, TensorPlace
from inference.engine.files.patience import patiently
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.matrix import Matrix
from inference.engine.weights.nf4 import Packing, four_bits
from inference.engine.weights.nf4 import check as check_nf4
from inference.engine.weights.weights import Draft, LayerWeights, Part, Weights

READERS = 8  # a network share gives each file, and each request, only part of its bandwidth
PIECE = 3 << 20  # bytes a read
AHEAD = 3  # parts that are read while one is packed
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Target:
    """Where a tensor of the checkpoint goes. The first `turning` rows are reordered head by head for rotation."""

    tensor: Tensor
    part: Part
    turning: int = 0


def load_weights(
    folder: ModelFolder,
    spec: ModelSpec,
    *,
    dtype: torch.dtype,
    device: torch.device,
    packing: Packing = "full",
    note: Callable[[float], None] = lambda share: None,
) -> Weights:
    """Allocates the model and fills it; `note` gets the share that is read, from 0 to 1. In nf4 the layers' matrices are
    packed one by one: they are read into memory, and only their 4 bits reach the device."""
    if four_bits(packing):
        check_nf4(device, spec.hidden, spec.intermediate, spec.query)
        draft, targets = allocate(spec, dtype, torch.device("cpu"))
        draft.four_bits_on = device
    else:
        draft, targets = allocate(spec, dtype, device)
    places = {strip(name): place for name, place in folder.tensors.items()}
    refuse_misfits(folder, targets, places)
    total = sum(places[name].length for name in targets)
    done = 0
    with ThreadPoolExecutor(READERS, "reader") as pool:
        under_way: deque[tuple[Part, list[Future[int]]]] = deque()
        for part, names in parts_of(targets).items():
            under_way.append((part, read_part(pool, {name: targets.pop(name) for name in names}, places, spec)))
            while len(under_way) > AHEAD:
                done += finish_part(draft, *under_way.popleft())
                note(done / total)
        while under_way:
            done += finish_part(draft, *under_way.popleft())
            note(done / total)
    return draft.packed()


def refuse_misfits(folder: ModelFolder, targets: dict[str, Target], places: dict[str, TensorPlace]) -> None:
    """FolderError names a tensor that is missing, or is not what the configuration says."""
    missing = sorted(targets.keys() - places.keys())
    if missing:
        raise FolderError(f"{folder.path} lacks the tensors {', '.join(missing[:3])}{' …' if missing[3:] else ''}")
    for name, target in targets.items():
        if places[name].shape != tuple(target.tensor.shape):
            shapes = f"{places[name].shape}, not {tuple(target.tensor.shape)}"
            raise FolderError(f"{places[name].file}: tensor {name} has the shape {shapes}")
        if not places[name].is_floating:
            stored = f"{places[name].dtype}: quantised weights, whose scales we do not know"
            raise FolderError(f"{places[name].file}: tensor {name} is stored as {stored}")


def parts_of(targets: dict[str, Target]) -> dict[Part, list[str]]:
    """The tensors of each part, in the order of the model."""
    parts: dict[Part, list[str]] = {}
    for name, target in targets.items():
        parts.setdefault(target.part, []).append(name)
    return parts


def read_part(
    pool: ThreadPoolExecutor, targets: dict[str, Target], places: dict[str, TensorPlace], spec: ModelSpec
) -> list[Future[int]]:
    return [
        pool.submit(fill, piece, places[name], target, spec)
        for name, target in targets.items()
        for piece in pieces(places[name], target, spec)
    ]


def finish_part(draft: Draft, part: Part, reads: list[Future[int]]) -> int:
    """Waits for a part's reads and packs it while the next parts are read: no more than a few are held twice."""
    read = sum(task.result() for task in reads)
    reads.clear()  # a task holds the tensor that it filled
    draft.pack(part)
    return read


def allocate(spec: ModelSpec, dtype: torch.dtype, device: torch.device) -> tuple[Draft, dict[str, Target]]:
    """Empty weights, and for each tensor of the checkpoint the part of them that it fills."""
    targets: dict[str, Target] = {}

    def new(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=device)

    def whole(name: str, *shape: int) -> Tensor:
        tensor = new(*shape)
        targets[name] = Target(tensor, (-1, name))
        return tensor

    embedding = whole("embed_tokens.weight", spec.vocabulary, spec.hidden)
    head = embedding if spec.tied else whole("lm_head.weight", spec.vocabulary, spec.hidden)
    norm = whole("norm.weight", spec.hidden)
    layers = [allocate_layer(spec, index, new, targets) for index in range(spec.layers)]
    return Draft(embedding, layers, norm, Matrix(head)), targets


def allocate_layer(spec: ModelSpec, index: int, new: Callable[..., Tensor], targets: dict[str, Target]) -> LayerWeights:
    prefix = f"layers.{index}."

    def joined(place: Place, kind: str, *inputs: int) -> Tensor:
        tensor = new(spec.outputs(place), *inputs)
        first = 0
        for name, rows, turning in spec.projections(place):
            targets[f"{prefix}{name}.{kind}"] = Target(tensor[first : first + rows], (index, place), turning)
            first += rows
        return tensor

    def matrix(place: Place) -> Matrix:
        weight = joined(place, "weight", spec.inputs(place))
        return Matrix(weight, joined(place, "bias") if spec.biased(place) else None)

    def norm(name: str, size: int, turning: int = 0) -> Tensor:
        tensor = new(size)
        targets[f"{prefix}{name}.weight"] = Target(tensor, (index, name), turning)
        return tensor

    dim = spec.head_dim
    return LayerWeights(
        input_norm=norm("input_layernorm", spec.hidden),
        qkv=matrix("qkv"),
        query_norm=norm("self_attn.q_norm", dim, dim) if spec.qk_norm else None,
        key_norm=norm("self_attn.k_norm", dim, dim) if spec.qk_norm else None,
        output=matrix("output"),
        mlp_norm=norm("post_attention_layernorm", spec.hidden),
        gate_up=matrix("gate_up"),
        down=matrix("down"),
    )


def strip(name: str) -> str:
    return name.removeprefix("model.")


def pieces(place: TensorPlace, target: Target, spec: ModelSpec) -> Iterator[tuple[int, int]]:
    """Ranges of rows of about PIECE bytes; where rows are reordered, whole heads."""
    rows = place.shape[0]
    row_bytes = max(place.length // max(rows, 1), 1)
    unit = spec.head_dim if target.turning else 1
    step = max(PIECE // row_bytes // unit, 1) * unit
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


def fill(piece: tuple[int, int], place: TensorPlace, target: Target, spec: ModelSpec) -> int:
    """Reads some rows and puts them where they belong; returns the bytes read."""
    first, last = piece
    row_bytes = place.length // place.shape[0]
    start, length = place.start + first * row_bytes, (last - first) * row_bytes
    turning = min(max(target.turning - first, 0), last - first)
    there = target.tensor[first:last]
    if not turning and there.device.type == "cpu" and there.dtype == DTYPES[place.dtype]:
        read_into(place.file, start, memory_of(there))
        return length
    raw = staging(length)
    read_into(place.file, start, raw)
    rows = torch.frombuffer(raw, dtype=DTYPES[place.dtype]).view(last - first, *place.shape[1:])
    if turning:
        interleave(there[:turning], rows[:turning], spec.head_dim, spec.rope.dims)
    if turning < last - first:
        there[turning:].copy_(rows[turning:])
    return length


buffers = threading.local()


def read_all(folder: ModelFolder, note: Callable[[float], None]) -> dict[str, Tensor]:
    """Every tensor by its name in the files, for who builds the model otherwise; `note` gets the share that is read."""
    tensors: dict[str, Tensor] = {}
    done, total = 0, max(folder.size, 1)
    with ThreadPoolExecutor(READERS, "reader") as pool:
        for (name, place), tensor in zip(
            folder.tensors.items(), pool.map(read_tensor, folder.tensors.values()), strict=True
        ):
            tensors[name] = tensor
            done += place.length
            note(done / total)
    return tensors


def staging(length: int) -> memoryview:
    """This thread's buffer: one each, however many pieces it reads, so that what is held beside the model is bounded."""
    held: bytearray | None = getattr(buffers, "held", None)
    if held is None or len(held) < length:
        held = buffers.held = bytearray(max(length, PIECE))
    return memoryview(held)[:length]


def read_tensor(place: TensorPlace) -> Tensor:
    if not place.length:
        return torch.empty(place.shape, dtype=DTYPES[place.dtype])
    raw = read_bytes(place.file, place.start, place.length)
    return torch.frombuffer(raw, dtype=DTYPES[place.dtype]).view(place.shape)


def read_bytes(file: Path, start: int, length: int) -> bytearray:
    raw = bytearray(length)
    read_into(file, start, memoryview(raw))
    return raw


def read_into(file: Path, start: int, view: memoryview) -> None:
    """Fills `view` with the file's bytes from `start` on, however often a share has to be asked."""
    patiently(lambda: read_once(file, start, view))


def read_once(file: Path, start: int, view: memoryview) -> None:
    with file.open("rb", buffering=0) as handle:
        done = 0
        while done < len(view):
            got = os.preadv(handle.fileno(), [view[done:]], start + done)
            if not got:
                raise FolderError(f"{file} is truncated")
            done += got


def memory_of(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous tensor on the CPU, to be written to."""
    array: Any = tensor.flatten().view(torch.uint8).numpy()
    return memoryview(array)


def interleave(there: Tensor, rows: Tensor, head_dim: int, dims: int) -> None:
    """Writes rows of whole heads so that the i-th and the (i + dims/2)-th of each stand side by side."""
    heads, half = rows.shape[0] // head_dim, dims // 2
    new = there.view(heads, head_dim, *rows.shape[1:])
    old = rows.view(heads, head_dim, *rows.shape[1:])
    new[:, 0:dims:2] = old[:, :half]
    new[:, 1:dims:2] = old[:, half:dims]
    new[:, dims:] = old[:, dims:]


def interleaved(rows: Tensor, head_dim: int, dims: int) -> Tensor:
    """The same rows (or entries) in the order of `interleave`."""
    new = torch.empty_like(rows)
    interleave(new, rows, head_dim, dims)
    return new
