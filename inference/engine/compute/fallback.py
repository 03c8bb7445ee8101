"""The fallback runner: other architectures, computed by transformers, one sequence after the other in each step."""

import copy
import inspect
import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch.nn import Parameter
from torch.nn.functional import linear, pad
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from inference.engine.compute.device import noticing_loss
from inference.engine.compute.sampler import sample
from inference.engine.files.adapter import BASE_SLOT, AdapterError
from inference.engine.files.folder import AdapterFolder, FolderError, ModelFolder
from inference.engine.files.native import configuration
from inference.engine.files.spec import UnsupportedModel
from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import Choice, Sequence
from inference.engine.weights.loader import read_all, read_tensor
from inference.engine.weights.lora import (
    FOREIGN_TYPES,
    FOREIGN_UNSUPPORTED,
    one_thread,
    refuse_changed_base,
    refuse_foreign_form,
    refuse_patterns,
)
from inference.engine.weights.matrix import makes_code, padding

log = logging.getLogger(__name__)

NAME = "slipway"  # of the one adapter that a model has, for PEFT

CACHES = ("past_key_values", "cache_params")  # how models call what they keep between steps
TRIED = (
    [1, 2, 3, 4, 5, 6],
    [6, 1, 5, 2, 4, 3],
)  # a text on which a model shows that it keeps all that it needs, and another
TRIAL = ((0, 2), (2, 4), (4, 5), (5, 6))  # whose steps are between its own
RECURRENT_TRIAL = ((0, 4), (4, 5), (5, 6))
ALIKE = {torch.float32: 0.01}  # largest relative difference of logits computed at once and step by step
ALIKE_IN_HALF = 0.1


class FewRows(TorchFunctionMode):
    """Pads what is multiplied by a layer where every number of rows costs memory for good (see matrix.py)."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is linear and args and makes_code(args[0]):
            x: torch.Tensor = args[0].reshape(-1, args[0].shape[-1])
            if more := padding(x.shape[0]):
                out = linear(pad(x, (0, 0, 0, more)), *args[1:], **(kwargs or {}))
                return out[:-more].view(*args[0].shape[:-1], -1)
        # GPT-2's layers
        bias_first = func is torch.addmm and len(args) == 3 and not kwargs and args[0].dim() == 1
        if bias_first and makes_code(args[1]) and (more := padding(args[1].shape[0])):
            return torch.addmm(args[0], pad(args[1], (0, 0, 0, more)), args[2])[:-more]
        return func(*args, **(kwargs or {}))


class TransformersRunner:
    """Correct before fast: a cache for each sequence, a forward pass for each slice.

    Where a cache is not at the slice's first token (a step that failed is run again, a sequence comes back), it is made anew
    from the sequence's beginning. Models with convolutions or recurrences take either a whole prompt or one token.

    Each adapter has a frame of its own: the base's layers once more, around the same tensors. PEFT puts its layers in the
    place of others, and does not always put those back: not a module that was trained whole, nothing when it fails half-way.
    So the base's own layers are never given to it, and an adapter goes by being let go of.
    """

    kind = "transformers"
    shares_prefixes = False
    short_context = 1 << 62  # transformers sees to it
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        folder: ModelFolder,
        device: torch.device,
        dtype: torch.dtype,
        note: Callable[[float], None] = lambda share: None,
    ) -> None:
        """`note` gets the share of the files that is read."""
        self._model: Any = model_of(folder, dtype, note)
        self._model.to(device).eval()
        self._device = device
        self._dtype = dtype
        self._pads = device.type == "cpu" and dtype != torch.float32  # elsewhere it would only take time
        self._frame: Any = frame_of(self._model)  # never run: it may be copied while the base is
        self._adapted: dict[int, Any] = {}  # by slot
        self._name = type(self._model).__name__
        takes = inspect.signature(self._model.forward).parameters
        named = [name for name in CACHES if name in takes]
        if not named or "logits_to_keep" not in takes:
            raise UnsupportedModel(f"{self._name} keeps no cache that can be given back to it")
        self._cache_name = named[0]
        self._config: Any = self._model.config
        self.attention = str(getattr(self._config, "_attn_implementation", None) or "eager")
        self._recurrent = bool(getattr(self._model, "_is_stateful", False)) or not only_keys_and_values(self._config)
        self._caches: dict[int, Any] = {}
        self._lengths: dict[int, int] = {}  # tokens that a cache has seen

    @torch.inference_mode()
    def run(self, slices: list[Slice]) -> list[Choice]:
        with noticing_loss(self._device), FewRows() if self._pads else nullcontext():
            return self._run(slices)

    def _run(self, slices: list[Slice]) -> list[Choice]:
        rows: list[torch.Tensor] = []
        for part in slices:
            if self._recurrent and not part.last:
                continue
            logits = self._forward(part)
            if part.last:
                rows.append(logits)
        if not rows:
            return []
        return sample(torch.stack(rows), [part.sequence for part in slices if part.last])

    def warm_up(self) -> None:
        """Nothing is compiled, but what steps rely on is tried: what the model keeps is all that it needs."""
        with torch.inference_mode():
            ids, others = ([min(token, self._vocabulary - 1) for token in tokens] for tokens in TRIED)
            steps = whole = self._logits(BASE_SLOT, ids, self._cache())
            cache, another = self._cache(), self._cache()
            for start, end in RECURRENT_TRIAL if self._recurrent else TRIAL:
                self._logits(BASE_SLOT, others[start:end], another)
                steps = self._logits(BASE_SLOT, ids[start:end], cache)
        difference = float((steps - whole).square().sum().sqrt() / whole.square().sum().sqrt())
        if not math.isfinite(difference):
            raise UnsupportedModel(
                f"{self._name} computes no finite logits in {str(self._dtype).removeprefix('torch.')}: its numbers overflow "
                "that format, or its weights hold none"
            )
        if not difference <= ALIKE.get(self._dtype, ALIKE_IN_HALF):
            raise UnsupportedModel(
                f"{self._name} computes other logits step by step, beside another text, than at once (relative difference "
                f"{difference:.2g}): what it keeps is not all in its cache, so it cannot be served"
            )

    @property
    def _vocabulary(self) -> int:
        return int(self._config.get_text_config().vocab_size)

    def forget(self, sequence: Sequence) -> None:
        self._caches.pop(sequence.id, None)
        self._lengths.pop(sequence.id, None)

    def prepare_adapter(self, folder: AdapterFolder) -> Any:
        """The base's layers once more, with the adapter in them; made beside the engine's steps, which it does not touch."""
        with one_thread():
            refuse_harmful(folder)
            return adapted(self._frame, folder)

    def install_adapter(self, slot: int, prepared: Any) -> None:
        self._adapted[slot] = prepared

    def remove_adapter(self, slot: int) -> None:
        self._adapted.pop(slot, None)

    def _cache(self) -> Any:
        return DynamicCache(config=self._config) if self._recurrent else DynamicCache()

    def _forward(self, part: Slice) -> torch.Tensor:
        """The logits after a slice."""
        sequence, start, end = part.sequence, part.start, part.start + part.count
        seen = self._lengths.pop(sequence.id, None)  # not known any more, should this fail half-way
        if seen != start or start == 0 or (self._recurrent and end - start > 1):
            start = 0
            self._caches[sequence.id] = self._cache()
        logits = self._logits(sequence.adapter, sequence.tokens[start:end], self._caches[sequence.id])
        self._lengths[sequence.id] = end
        return logits

    def _logits(self, slot: int, tokens: list[int], cache: Any) -> torch.Tensor:
        model: Any = self._model if slot == BASE_SLOT else self._adapted[slot]
        ids = torch.tensor([tokens], device=self._device)
        out: Any = model(input_ids=ids, use_cache=True, logits_to_keep=1, **{self._cache_name: cache})
        logits: torch.Tensor = out.logits[0, -1]
        return logits.float().clone()


def model_of(folder: ModelFolder, dtype: torch.dtype, note: Callable[[float], None]) -> Any:
    """transformers' model with the tensors that were checked, read as our own are. Left to itself, transformers would map the
    files of a network mount into memory, prefer one that was not checked, put an adapter that lies beside them into the
    base, and draw at random what is missing."""
    auto: Any = AutoModelForCausalLM
    config = configuration(folder.config, folder.path)
    with torch.device("meta"):
        empty: Any = auto.from_config(config, trust_remote_code=False)
    kind: Any = empty.__class__
    tensors = read_all(folder, note)
    try:
        model, found = kind.from_pretrained(
            None, config=config, state_dict=tensors, dtype=dtype, output_loading_info=True, local_files_only=True
        )
    except RuntimeError as error:
        raise FolderError(f"{folder.path} does not fit its configuration: {str(error).splitlines()[0]}") from error
    missing = sorted(found["missing_keys"])
    if missing:
        raise FolderError(f"{folder.path} lacks the tensors {', '.join(missing[:3])}{' …' if missing[3:] else ''}")
    return model


def only_keys_and_values(config: Any) -> bool:
    """Whether every layer keeps keys and values and no other state."""
    layers: list[Any] = DynamicCache(config=config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


def frame_of(model: Any) -> Any:
    """The same layers once more, around the same numbers. The parameters are other objects, so that one may be given other
    numbers in the frame; but where they are more than numbers (quantised ones), they are the model's."""
    tensors: dict[int, Any] = {id(buffer): buffer for buffer in model.buffers()}
    for parameter in model.parameters():
        plain = type(parameter) is Parameter
        tensors[id(parameter)] = Parameter(parameter.detach(), requires_grad=False) if plain else parameter
    return copy.deepcopy(model, tensors)


def adapted(frame: Any, folder: AdapterFolder) -> Any:
    """The model of a frame, with an adapter in it; AdapterError names what does not fit. The frame itself stays as it is."""
    from peft import PeftConfig, PeftModel  # noqa: PLC0415  (takes seconds, which no base needs to wait for)

    kind: Any = PeftConfig
    peft: Any = PeftModel
    base = frame_of(frame)
    shared = {id(tensor) for tensor in (*base.parameters(), *base.buffers())}
    try:
        model: Any = peft(base, kind.from_pretrained(str(folder.path)), adapter_name=NAME)
        names = {name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in shared}

        def refuse(module: Any, state: dict[str, Any], *rest: Any) -> None:
            """Called with the names that PEFT gives what it has read, before any of it is copied to where it belongs."""
            if written := sorted(names & state.keys()):
                raise AdapterError(
                    f"{folder.path} holds {written[0]}, which would replace the base model's own; save it without "
                    "(save_embedding_layers=False)"
                )

        model.register_load_state_dict_pre_hook(refuse)
        result: Any = model.load_adapter(str(folder.path), adapter_name=NAME, local_files_only=True)
    except AdapterError:
        raise
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"{folder.path} does not fit the base model: {str(error).splitlines()[0]}") from error
    if wrong := [*result.unexpected_keys, *result.missing_keys]:
        raise AdapterError(f"{folder.path} does not fit the base model at {', '.join(wrong[:3])}")
    return model.eval()


def refuse_harmful(folder: AdapterFolder) -> None:
    """What was trained beside other numbers than the base's, or could not be computed step by step."""
    config = folder.config
    refuse_foreign_form(folder)
    if config.get("peft_type") not in FOREIGN_TYPES:
        supported = ", ".join(FOREIGN_TYPES)
        raise AdapterError(f"{folder.path} is a {config.get('peft_type')!r} adapter; supported are {supported}")
    for name in FOREIGN_UNSUPPORTED:
        if config.get(name) or config.get(name) == {}:  # an empty configuration is one too
            raise AdapterError(f"{folder.path} uses {name}, which is not supported")
    refuse_changed_base(folder)
    if config.get("bias", "none") != "none":
        raise AdapterError(f"{folder.path} trains biases of the base model, which is not supported")
    refuse_patterns(folder)
    for key, place in folder.tensors.items():
        tensor = read_tensor(place)
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise AdapterError(f"{folder.path}: tensor {key} is not finite")
