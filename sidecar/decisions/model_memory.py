"""What a base model needs of a GPU's memory, in 16 bits and in 4, and whether the app's profile has it. Pure.

Counted as the model server counts before it loads (inference/engine/compute/device.py `gpu_share`): the weights, the scores of a
step, and a stated overhead with the least cache. How much of a GPU is really free only its driver knows: near the edge is said
to be near the edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sidecar.decisions.checks import Check, Unread, failed, passed, unverified, warned
from sidecar.decisions.gpu_memory import AS_OF, Gpu, gpu_of
from sidecar.decisions.model_facts import Base, Broken, Json, ModelFacts, Settings, Tensors, unknown
from sidecar.decisions.model_shape import Shape, shape_of
from sidecar.words.text import Text

NAME = "memory"
BYTES = 2
"""Of a number on a GPU: bfloat16, or float16 where the GPU has none."""

SPARE, LEAST_CACHE, SHARE = 1 << 30, 256 << 20, 0.85
"""For activations, graphs and cuBLAS; for keys and values at least; the part of what is left that these may take."""

SCORES, RUNNING = 36, 32
"""Bytes for each row and token of the vocabulary, and the rows of a step (SLIPWAY_MAX_RUNNING)."""

BLOCK, IN_FOUR_BITS = 64, 0.5 + 4 / 64
"""Of nf4: numbers that share a scale, and the bytes of a number with its part of that."""

SET = ("SLIPWAY_ENGINE", "SLIPWAY_DEVICE", "SLIPWAY_WEIGHTS", "SLIPWAY_MAX_RUNNING", "SLIPWAY_KV_BYTES")
"""The settings that decide what is needed, and of what."""

DRIVER = 1 << 30
"""Of a GPU's memory a driver and PyTorch may hold this much before anything is loaded."""


@dataclass(frozen=True)
class Need:
    """Bytes: of the weights, and of all that the server asks for. `token`: of keys and values of one token; 0: not known."""

    weights: int
    total: int
    token: int

    def tokens(self, memory: int, fixed: int) -> int:
        """For how many tokens of all conversations together there is room. `fixed`: bytes of the cache; 0: what is left."""
        cache = fixed or int((memory - self.weights) * SHARE) - SPARE
        return max(cache, 0) // self.token if self.token else 0


def need(tensors: Tensors, shape: Shape | None, vocabulary: int, running: int, *, four_bits: bool = False) -> Need:
    weights = in_four_bits(tensors) if four_bits else _loaded(tensors)
    scores = SCORES * running * vocabulary
    total = int(weights + scores + (SPARE + LEAST_CACHE) / SHARE)
    token = 0 if shape is None else shape.layers * 2 * shape.kv_heads * shape.head_dim * BYTES
    return Need(weights + scores, total, token)


def _loaded(tensors: Tensors) -> int:
    """In 16 bits, but for what is quantised: that stays as it is stored."""
    return sum(each.numbers * BYTES if each.is_floating else each.stored for each in tensors.values())


def in_four_bits(tensors: Tensors) -> int:
    """The projections in nf4, all else as it is stored."""
    return sum(
        int(each.numbers * IN_FOUR_BITS) if name.endswith("_proj.weight") else each.stored
        for name, each in tensors.items()
    )


def needed(facts: ModelFacts) -> int | None:
    """Bytes that the base model on the share needs of one GPU, as the server is set; None where that can't be told."""
    base = facts.base
    if base is None or not base.tensors or isinstance(base.config, (Broken, Unread)):
        return None
    if base.unread or unknown(facts.settings, *SET):
        return None
    known = shape_of(base.config)
    shape = known if isinstance(known, Shape) else None
    four_bits = facts.settings.get("SLIPWAY_WEIGHTS") == "nf4" and takes_four_bits(shape)
    running = _whole(facts.settings, "SLIPWAY_MAX_RUNNING", RUNNING)
    return need(base.tensors, shape, _vocabulary(base), running, four_bits=four_bits).total


def takes_four_bits(shape: Shape | None) -> bool:
    """Whether our engine can hold the model in nf4: the inputs of its matrices are whole blocks."""
    return shape is not None and all(each.columns % BLOCK == 0 for each in shape.projections.values())


def memory_checks(facts: ModelFacts, base: Base, shape: Shape | None) -> list[Check]:
    """None for an app without a GPU: a CPU's memory is not judged."""
    kind, settings = facts.kind, facts.settings
    if kind is None or settings.get("SLIPWAY_DEVICE") == "cpu" or not (base.tensors or base.unread):
        return []
    untold = base.unread or unknown(settings, *SET)
    if untold is not None:
        return [unverified(NAME, untold)]
    four_bits = settings.get("SLIPWAY_WEIGHTS") == "nf4"
    if four_bits and not takes_four_bits(shape):
        return [_no_four_bits(base)]
    gpu = gpu_of(kind)
    if gpu is None:
        return [
            unverified(
                NAME, Unread(Text("How much GPU memory {kind} has is not known here ({date}).", kind=kind, date=AS_OF))
            )
        ]
    vocabulary = _vocabulary(base)
    running = _whole(settings, "SLIPWAY_MAX_RUNNING", RUNNING)
    full = need(base.tensors, shape, vocabulary, running)
    packed = need(base.tensors, shape, vocabulary, running, four_bits=True) if takes_four_bits(shape) else None
    wanted = packed if four_bits and packed is not None else full
    return [_judged(base, gpu, wanted, None if four_bits else packed, fixed=_whole(settings, "SLIPWAY_KV_BYTES", 0))]


def _no_four_bits(base: Base) -> Check:
    return failed(
        NAME,
        "NoFourBits",
        Text(
            "{name} can't be held in 4 bits: our engine does not serve it, or its matrices are not whole blocks.",
            name=base.name,
        ),
        Text("Leave SLIPWAY_WEIGHTS out."),
        "defaultCommands",
    )


def _judged(base: Base, gpu: Gpu, wanted: Need, packed: Need | None, *, fixed: int) -> Check:
    """`packed`: the same in nf4, where that is still to choose. `fixed`: the cache's bytes where they are set by hand:
    nothing is refused then. 0: they are not."""
    told = {
        "name": base.name,
        "needed": _gb(wanted.total),
        "weights": _gb(wanted.weights),
        "gpu": gpu.name,
        "memory": _gb(gpu.memory),
    }
    if wanted.total > gpu.memory:
        sentence = Text(
            "{name} needs {needed} GB of GPU memory ({weights} of them weights); the {gpu} has {memory} GB.", **told
        )
        if fixed:
            return warned(NAME, sentence, _way_out(gpu, packed), "gpuProfileType")
        return failed(NAME, "ModelTooLarge", sentence, _way_out(gpu, packed), "gpuProfileType")
    if wanted.total > gpu.memory - DRIVER:
        sentence = Text(
            "{name} needs {needed} GB of GPU memory; the {gpu} has {memory} GB, less what the driver takes: it may just fit.",
            **told,
        )
        return warned(NAME, sentence, _way_out(gpu, packed), "gpuProfileType")
    if not wanted.token:
        return passed(NAME, Text("{name} needs {needed} GB of GPU memory; the {gpu} has {memory} GB.", **told))
    room = Text(
        "{name} needs {needed} GB of GPU memory; the {gpu} has {memory} GB, which leaves room for about {tokens} tokens.",
        tokens=wanted.tokens(gpu.memory - DRIVER, fixed),
        **told,
    )
    return passed(NAME, room)


def _way_out(gpu: Gpu, packed: Need | None) -> Text:
    if packed is not None and packed.total <= gpu.memory - DRIVER:
        return Text(
            "In 4 bits (nf4) it needs {needed} GB, and the {gpu} has that: put “export SLIPWAY_WEIGHTS=nf4” before the "
            "server's command in defaultCommands.",
            needed=_gb(packed.total),
            gpu=gpu.name,
        )
    if gpu.count > 1:
        return Text(
            "The server uses the first GPU alone: state a gpuProfileType whose single GPU has more, or a smaller base model."
        )
    return Text("State a gpuProfileType with more GPU memory, or serve a smaller base model.")


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f}"


def _vocabulary(base: Base) -> int:
    """As its configuration says it, or that of its part for texts; 0 where neither does."""
    if isinstance(base.config, (Broken, Unread)):
        return 0
    part = base.config.get("text_config")
    config = cast("Json", part) if isinstance(part, dict) else base.config
    said = config.get("vocab_size")
    return said if isinstance(said, int) else 0


def _whole(settings: Settings, name: str, default: int) -> int:
    said = settings.get(name) or ""
    return int(said) if said.isdecimal() else default
