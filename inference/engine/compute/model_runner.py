"""Our own runner: a scheduled batch → tensors → logits → tokens."""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from inference.engine.compute.attention import KeyValues
from inference.engine.compute.choice import Backend, CacheShape
from inference.engine.compute.decoder import forward, logits
from inference.engine.compute.device import DeviceLost, is_tritons, noticing_loss, set_up_cuda
from inference.engine.compute.lora_rows import LoraSlots
from inference.engine.compute.sampler import as_choice, best_of, reports, sample, whole_numbers
from inference.engine.files.folder import AdapterFolder, ModelFolder
from inference.engine.files.spec import ModelSpec
from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import Choice, Sequence
from inference.engine.weights.loader import load_weights
from inference.engine.weights.lora import Lora, read_lora
from inference.engine.weights.nf4 import Packing
from inference.engine.weights.rope import rotations
from inference.engine.weights.weights import Weights
from inference.engine.weights.whole_modules import NO_PLACES, Places

if TYPE_CHECKING:
    from inference.engine.compute.gpu.decode import DecodePath
    from inference.engine.compute.gpu.path import GpuPath

log = logging.getLogger(__name__)

SCORED_ROWS = 64  # of a prompt at a time: each is as wide as the vocabulary


class ModelRunner:
    """Decoding sequences and slices of prompts in one pass, each row with its own adapter."""

    kind = "slipway"
    shares_prefixes = True

    @classmethod
    def load(
        cls,
        folder: ModelFolder,
        spec: ModelSpec,
        *,
        backend: Backend,
        cache: CacheShape,
        packing: Packing = "full",
        note: Callable[[float], None] = lambda share: None,
    ) -> "ModelRunner":
        """Reads the weights; `note` gets the share that is read."""
        weights = load_weights(folder, spec, dtype=backend.dtype, device=backend.device, packing=packing, note=note)
        return cls(spec, weights, backend=backend, cache=cache, places=folder.tensors)

    def __init__(
        self, spec: ModelSpec, weights: Weights, *, backend: Backend, cache: CacheShape, places: Places = NO_PLACES
    ) -> None:
        """`places`: where the base's tensors are, for adapters that add to one of them as a whole."""
        device, dtype = backend.device, backend.dtype
        if device.type == "cuda":
            set_up_cuda()
        self.spec = spec
        self.weights = weights
        self._places = places
        self._dtype = dtype
        self._device = device
        self.attention: str = backend.attention
        self.notes: tuple[str, ...] = ()
        self.short_context = spec.rope.original if spec.rope.kind == "longrope" else cache.context
        self._rotations = rotations(spec.rope, cache.context, device).unsqueeze(2)
        self._slots = LoraSlots(stacks=backend.attention == "dense" and dtype == torch.float32)
        self.gpu: GpuPath | None = None
        # What a step is to the cache only the cache knows: its type is open here.
        self._cache: Any
        if backend.attention == "dense":
            self._cache = KeyValues(spec, cache.blocks, cache.block_size, dtype, device)
        else:
            # The GPU's path brings torch's compiler with it: a second and 150 MB, which a start on a CPU is spared.
            from inference.engine.compute.gpu.path import gpu_path  # noqa: PLC0415  (see above)

            self.gpu = gpu_path(spec, weights, self._rotations, backend=backend, shape=cache)
            self._cache = self.gpu.cache

    @torch.inference_mode()
    def run(self, slices: list[Slice]) -> list[Choice]:
        """One choice for each slice that is its sequence's last, in the order of `slices`."""
        with noticing_loss(self._device):
            try:
                return self._run(slices)
            except Exception as error:
                if self.attention != "triton" or not is_tritons(error):
                    raise
                self._give_way(said_of(error))
            return self._run(slices)

    def _run(self, slices: list[Slice]) -> list[Choice]:
        decoding = [part for part in slices if part.count == 1 and part.last and part.start]
        prefills = [part for part in slices if not (part.count == 1 and part.last and part.start)]
        decoding.sort(key=by_adapter)
        prefills.sort(key=by_adapter)
        ordered = decoding + prefills
        last = [part for part in ordered if part.last]
        # Adapters with embeddings or heads of their own are not in the static tensors of the decode path.
        held = [self._slots.saved(part.sequence.adapter) for part in decoding]
        own = any(saved is not None and saved.is_whole for saved in held)
        if self.gpu is not None and not prefills and not own:
            chosen = self._decode(self.gpu.decode, decoding)
        else:
            chosen = self._compute(decoding, prefills, last)
        by_id = {part.sequence.id: choice for part, choice in zip(last, chosen, strict=True)}
        return [by_id[part.sequence.id] for part in slices if part.last]

    def _decode(self, path: "DecodePath", decoding: list[Slice]) -> list[Choice]:
        scores = path.run(decoding)
        for row, part in enumerate(decoding):
            saved = self._slots.saved(part.sequence.adapter)
            if saved is not None:  # the base's head draws tokens that the model with this adapter lacks
                scores.logits[row, saved.vocabulary :] = -torch.inf
                scores.best[row] = best_of(scores.logits[row])
        sequences = [part.sequence for part in decoding]
        if all(plain(sequence) for sequence in sequences):
            return [as_choice(token) for token in whole_numbers(scores.best)]
        return sample(scores.logits, sequences)

    def _compute(self, decoding: list[Slice], prefills: list[Slice], last: list[Slice]) -> list[Choice]:
        ordered = decoding + prefills
        step = self._cache.begin(decoding, prefills)
        tokens, rotation, adapters = self._inputs(ordered)
        lora = self._slots.batch(adapters, self._device)
        hidden = forward(self.spec, self.weights, partial(self._cache.attend, step), tokens, rotation, lora)
        self._cache.keep(step, ordered)
        self._score_prompts(ordered, hidden)
        return sample(self._logits(ordered, hidden), [part.sequence for part in last]) if last else []

    def _score_prompts(self, ordered: list[Slice], hidden: Tensor) -> None:
        """How likely the prompt's own tokens were, for those who asked: a row tells of the token after it."""
        begin = 0
        for part in ordered:
            sequence, end = part.sequence, begin + part.count
            number = sequence.params.prompt_logprobs
            told = min(part.count, sequence.prompt_length - 1 - part.start) if number is not None else 0
            for first in range(0, told, SCORED_ROWS):
                rows = hidden[begin + first : begin + min(first + SCORED_ROWS, told)]
                saved = self._slots.saved(sequence.adapter)
                place = part.start + first + 1
                scored = logits(self.spec, self.weights, rows, [saved] * len(rows))
                found = reports(scored, sequence.tokens[place : place + len(rows)], number or 0)
                sequence.scores.update(enumerate(found, place))
            begin = end

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Before the first step: compiles what steps need. Kernels that do not run here, or compute something else than
        torch's operations do, give way to these."""
        if self.gpu is None:
            return
        if self.attention == "triton":
            wrong = self._wrong(self.gpu)
            if not wrong:
                return
            self._give_way(wrong)
        self.gpu.decode.warm_up()

    def _wrong(self, gpu: "GpuPath") -> str:
        """What is wrong with the kernels, in words; empty when they are warm."""
        try:
            with noticing_loss(self._device):
                wrong = gpu.difference(self.spec, self.weights)
                if not wrong:
                    gpu.decode.warm_up()
        except (DeviceLost, torch.OutOfMemoryError):
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, torch's operations do the same)
            return said_of(error)
        return wrong

    def _give_way(self, why: str) -> None:
        assert self.gpu is not None
        self.gpu.give_way()
        self.attention = "torch"
        self.notes = (f"our kernels give way to PyTorch's operations, which take longer: {why}",)
        log.warning("%s", self.notes[0])

    def forget(self, sequence: Sequence) -> None:
        self._cache.forget(sequence)

    def prepare_adapter(self, folder: AdapterFolder) -> Lora:
        return read_lora(folder, self.spec, self._dtype, self._device, self._places)

    def install_adapter(self, slot: int, prepared: Lora) -> None:
        if self.gpu is None:
            self._slots.install(slot, prepared)
            return
        for each in self.gpu.stacks.installed:  # what is held of the stacks would keep the old ones while they grow
            self._slots.remove(each)
        try:
            self.gpu.install(slot, prepared)
        finally:
            for each in self.gpu.stacks.installed:
                self._slots.install(each, self.gpu.stacks.installed_in(each))

    def remove_adapter(self, slot: int) -> None:
        self._slots.remove(slot)
        if self.gpu is not None:
            self.gpu.stacks.remove(slot)

    def _inputs(self, ordered: list[Slice]) -> tuple[Tensor, Tensor, list[int]]:
        """Tokens [n], their rotations [n, 1, dims/2], and each row's adapter."""
        tokens: list[int] = []
        positions: list[int] = []
        tables: list[int] = []
        adapters: list[int] = []
        for part in ordered:
            tokens.extend(part.sequence.tokens[part.start : part.start + part.count])
            positions.extend(range(part.start, part.start + part.count))
            adapters.extend([part.sequence.adapter] * part.count)
            tables.extend([part.sequence.rope] * part.count)
        where = torch.tensor(positions, device=self._device)
        if any(tables):
            rotation = self._rotations[torch.tensor(tables, device=self._device), where]
        else:
            rotation = self._rotations[0].index_select(0, where)
        return torch.tensor(tokens, device=self._device), rotation, adapters

    def _logits(self, ordered: list[Slice], hidden: Tensor) -> Tensor:
        rows: list[int] = []
        end = 0
        for part in ordered:
            end += part.count
            if part.last:
                rows.append(end - 1)
        if len(rows) != hidden.shape[0]:
            hidden = hidden[torch.tensor(rows, device=self._device)]
        saved = [self._slots.saved(part.sequence.adapter) for part in ordered if part.last]
        return logits(self.spec, self.weights, hidden, saved)


def said_of(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0][:200]}"


def plain(sequence: Sequence) -> bool:
    """Whether the likeliest token is all that is asked for."""
    params = sequence.params
    altered = params.penalised or params.logit_bias or params.logprobs is not None or sequence.matcher is not None
    return params.greedy and not altered


def by_adapter(part: Slice) -> tuple[int, int]:
    return part.sequence.adapter, part.sequence.id
