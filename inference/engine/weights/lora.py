"""LoRA adapters in the decoder: read from their folder to the shapes of the base, and kept unmerged."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inference.engine.files.adapter import AdapterError
from inference.engine.files.families import PLACES, Place
from inference.engine.files.folder import ADAPTER_CONFIG, AdapterFolder
from inference.engine.files.spec import ModelSpec, Projection
from inference.engine.weights.loader import interleaved, read_tensor
from inference.engine.weights.ranks import MAX_RANK, MOST_WAYS, rank_of, scale_of, ways
from inference.engine.weights.whole_modules import KEY as WHOLE_KEY
from inference.engine.weights.whole_modules import LORA as WHOLE_LORA
from inference.engine.weights.whole_modules import NO_PLACES, WHOLE, Places, Saved, read_saved

Pair = tuple[Tensor, Tensor]  # [in, rank] and [rank, out], the scale in the second
KEY = re.compile(r"^base_model\.model\.model\.layers\.(\d+)\.([a-z_.]+)\.lora_([AB])\.weight$")


class Block(NamedTuple):
    """One projection's B within a pair's second matrix, which holds nothing but zeros beside its blocks."""

    rank: int  # the first of its ranks
    ranks: int
    column: int
    columns: int


@dataclass(frozen=True)
class Lora:
    """An adapter's matrices: for each layer, by place. Where `blocks` says nothing, a pair is one block. And the
    embedding and head that it has of its own."""

    layers: tuple[Mapping[Place, Pair], ...]
    blocks: tuple[Mapping[Place, tuple[Block, ...]], ...] = ()
    saved: Saved | None = None


@contextmanager
def one_thread() -> Generator[None]:
    """This thread's operations run on it alone. Beside the engine's, which take every core, those of a second team would
    make both wait for threads that have no core. The number is each thread's own once it has computed something."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def read_lora(
    folder: AdapterFolder, spec: ModelSpec, dtype: torch.dtype, device: torch.device, base: Places = NO_PLACES
) -> Lora:
    """Reads and checks an adapter; AdapterError names what does not fit the base model or is not supported. `base`: where the
    base's own tensors are."""
    refuse_unsupported(folder)
    with one_thread():
        return read_checked(folder, spec, dtype, device, base)


@dataclass(frozen=True)
class Stored:
    """An adapter's matrices as its files hold them, by layer, projection and `A` or `B`; and the model that they are for."""

    folder: AdapterFolder
    spec: ModelSpec
    tensors: Mapping[tuple[int, str, str], Tensor]


def read_checked(
    folder: AdapterFolder, spec: ModelSpec, dtype: torch.dtype, device: torch.device, base: Places
) -> Lora:
    stored = read_stored(folder, spec)
    saved = read_saved(folder, spec, dtype, device, base)
    if not stored.tensors and saved is None:
        raise AdapterError(f"{folder.path} holds no LoRA weights")
    layers: list[dict[Place, Pair]] = [{} for _ in range(spec.layers)]
    blocks: list[dict[Place, tuple[Block, ...]]] = [{} for _ in range(spec.layers)]
    for layer in range(spec.layers):
        for place in PLACES:
            fused = fuse(stored, layer, place, dtype)
            if fused is not None:
                (left, right), blocks[layer][place] = fused
                layers[layer][place] = left.to(device), right.to(device)
    return Lora(tuple(layers), tuple(blocks), saved)


def read_stored(folder: AdapterFolder, spec: ModelSpec) -> Stored:
    found: dict[tuple[int, str, str], Tensor] = {}
    known = {projection.name for place in PLACES for _, projection in spec.adaptable(place)}
    for key, place in folder.tensors.items():
        if WHOLE_KEY.match(key) or WHOLE_LORA.match(key):
            continue
        match = KEY.match(key)
        if match is None or match[2] not in known or int(match[1]) >= spec.layers:
            raise AdapterError(f"{folder.path} has a tensor that the base model has no place for: {key}")
        tensor = read_tensor(place).float()
        if not bool(torch.isfinite(tensor).all()):
            raise AdapterError(f"{folder.path}: tensor {key} is not finite")
        found[int(match[1]), match[2], match[3]] = tensor
    return Stored(folder, spec, found)


# What changes the arithmetic or the model's shape in ways that are not computed here.
UNSUPPORTED = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "fan_in_fan_out",
    "lora_bias",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "target_parameters",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
)
CHANGE_THE_BASE = ("pissa", "olora", "corda", "lora_ga", "loftq")


FOREIGN_TYPES = ("LORA", "LOHA", "LOKR", "IA3", "OFT")
"""What the fallback serves; others add tokens or layers, which a cache made step by step misses."""
FOREIGN_UNSUPPORTED = (
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
    "layer_replication",
    "kasa_config",
)
"""And what it does not."""
ELSEWHERE = "; SLIPWAY_ENGINE=transformers serves it, more slowly"


def refuse_foreign_form(folder: AdapterFolder) -> None:
    if not folder.config.get("peft_type"):
        raise AdapterError(
            f"{folder.path / ADAPTER_CONFIG} names no peft_type, so it is not PEFT's (mlx-lm writes such files); convert the "
            "adapter to PEFT's form"
        )


def refuse_unsupported(folder: AdapterFolder) -> None:
    refuse_foreign_form(folder)
    config, kind = folder.config, folder.config.get("peft_type")
    if kind != "LORA":
        way_on = ELSEWHERE if kind in FOREIGN_TYPES else ""
        raise AdapterError(f"{folder.path} is a {kind!r} adapter; only LORA is supported{way_on}")
    for name in UNSUPPORTED:
        if config.get(name):
            way_on = "" if name in FOREIGN_UNSUPPORTED else ELSEWHERE
            raise AdapterError(f"{folder.path} uses {name}, which is not supported{way_on}")
    refuse_changed_base(folder)
    whole: list[Any] = list(config.get("modules_to_save") or [])
    others = [str(name) for name in whole if str(name).split(".")[-1] not in WHOLE]
    if others:
        raise AdapterError(
            f"{folder.path} replaces the whole modules {', '.join(others)}; only {' and '.join(WHOLE)} may be"
        )
    if config.get("bias", "none") != "none":
        raise AdapterError(f"{folder.path} trains biases, which is not supported")
    refuse_patterns(folder)


def refuse_patterns(folder: AdapterFolder) -> None:
    """Before anybody matches them."""
    for key in ("rank_pattern", "alpha_pattern"):
        for pattern in dict[str, Any](folder.config.get(key) or {}):
            if ways(pattern) > MOST_WAYS:
                raise AdapterError(f"{folder.path}: its {key} {pattern[:80]} may match in too many ways to be tried")


def refuse_changed_base(folder: AdapterFolder) -> None:
    started = str(folder.config.get("init_lora_weights")).lower()
    if started.startswith(CHANGE_THE_BASE):
        raise AdapterError(
            f"{folder.path} was started with {started}, which changes the base's weights too; save it converted to "
            "plain LoRA (path_initial_model_for_weight_conversion)"
        )


def fuse(stored: Stored, layer: int, place: Place, dtype: torch.dtype) -> tuple[Pair, tuple[Block, ...]] | None:
    """The projections of one matrix as one pair: A's side by side, B's on the diagonal, and where those stand."""
    parts: list[tuple[int, Tensor, Tensor]] = []
    for row, projection in stored.spec.adaptable(place):
        pair = scaled_pair(stored, layer, projection, stored.spec.inputs(place))
        if pair is not None:
            parts.append((row, *pair))
    if not parts:
        return None
    ranks = [a.shape[0] for _, a, _ in parts]
    joined = torch.zeros(sum(ranks), stored.spec.outputs(place))
    blocks: list[Block] = []
    first = 0
    for begin, _, b in parts:
        joined[first : first + b.shape[1], begin : begin + b.shape[0]] = b.t()
        blocks.append(Block(first, b.shape[1], begin, b.shape[0]))
        first += b.shape[1]
    left = torch.cat([a for _, a, _ in parts]).t().contiguous().to(dtype)
    joined = joined.to(dtype)
    if not bool(left.isfinite().all() and joined.isfinite().all()):
        # Beside others in a batch: what is not finite would spoil their rows too.
        where = f"{stored.folder.path}: layer {layer} {place}"
        raise AdapterError(f"{where} is not finite once it is scaled and in {dtype}")
    return (left, joined), tuple(blocks)


def scaled_pair(stored: Stored, layer: int, projection: Projection, inputs: int) -> tuple[Tensor, Tensor] | None:
    """One projection's A, and its B with the scale in it and its rows in the base's order; None when it has neither."""
    config, name, outputs = stored.folder.config, projection.name, projection.rows
    a, b = stored.tensors.get((layer, name, "A")), stored.tensors.get((layer, name, "B"))
    if a is None and b is None:
        return None
    where = f"{stored.folder.path}: layer {layer} {name}"
    if a is None or b is None:
        raise AdapterError(f"{where} has only one of its two matrices")
    rank = a.shape[0]
    if tuple(a.shape) != (rank, inputs) or tuple(b.shape) != (outputs, rank):
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise AdapterError(f"{where} has shapes {shapes}; the base needs (r, {inputs}) and ({outputs}, r)")
    if rank > MAX_RANK:
        raise AdapterError(f"{where} has rank {rank}; at most {MAX_RANK} is supported")
    module = f"model.layers.{layer}.{name}"
    said = rank_of(config, module)
    if said and said != rank:
        raise AdapterError(f"{where} has rank {rank}; {stored.folder.path / 'adapter_config.json'} says {said}")
    return a, reorder(stored.spec, projection.turning, b * scale_of(config, module, rank))


def reorder(spec: ModelSpec, turning: int, b: Tensor) -> Tensor:
    """The same order of rows that the base's q and k have."""
    return torch.cat([interleaved(b[:turning], spec.head_dim, spec.rope.dims), b[turning:]]) if turning else b
