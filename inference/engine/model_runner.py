"""Our own runner: a scheduled batch → tensors → logits → tokens."""

from collections.abc import Callable

import torch
from torch import Tensor

from inference.engine.attention import KeyValues
from inference.engine.decoder import forward, logits
from inference.engine.folder import AdapterFolder, ModelFolder
from inference.engine.loader import load_weights
from inference.engine.lora import Lora, read_lora
from inference.engine.lora_batch import LoraSlots
from inference.engine.rope import rotations
from inference.engine.sampler import sample
from inference.engine.scheduler import Slice
from inference.engine.sequence import Choice, Sequence
from inference.engine.spec import ModelSpec


class ModelRunner:
    """Decoding sequences and slices of prompts in one pass, each row with its own adapter."""

    kind = "slipway"
    shares_prefixes = True

    def __init__(
        self,
        folder: ModelFolder,
        spec: ModelSpec,
        device: torch.device,
        dtype: torch.dtype,
        blocks: int,
        block_size: int,
        context: int,
        note: Callable[[float], None],
    ) -> None:
        self.spec = spec
        self.weights = load_weights(folder, spec, dtype, device, note)
        self._dtype = dtype
        self._device = device
        self._cache = KeyValues(spec, blocks, block_size, dtype, device)
        self.short_context = spec.rope.original if spec.rope.kind == "longrope" else context
        self._rotations = rotations(spec.rope, context, device).unsqueeze(2)
        self._slots = LoraSlots()

    @torch.inference_mode()
    def run(self, slices: list[Slice]) -> list[Choice]:
        """One choice for each slice that is its sequence's last, in the order of `slices`."""
        decoding = [part for part in slices if part.count == 1 and part.last and part.start]
        prefills = [part for part in slices if not (part.count == 1 and part.last and part.start)]
        decoding.sort(key=by_adapter)
        prefills.sort(key=by_adapter)
        ordered = decoding + prefills
        step = self._cache.begin(decoding, prefills)
        tokens, rotation, adapters = self._inputs(ordered)
        lora = self._slots.batch(adapters, self._device)
        hidden, fresh = forward(self.spec, self.weights, self._cache, step, tokens, rotation, lora)
        self._cache.keep(ordered, fresh)
        last = [part for part in ordered if part.last]
        if not last:
            return []
        chosen = sample(self._logits(ordered, hidden), [part.sequence for part in last])
        by_id = {part.sequence.id: choice for part, choice in zip(last, chosen, strict=True)}
        return [by_id[part.sequence.id] for part in slices if part.last]

    def forget(self, sequence: Sequence) -> None:
        self._cache.forget(sequence)

    def prepare_adapter(self, folder: AdapterFolder) -> Lora:
        return read_lora(folder, self.spec, self._dtype, self._device)

    def install_adapter(self, slot: int, prepared: Lora) -> None:
        self._slots.install(slot, prepared)

    def remove_adapter(self, slot: int) -> None:
        self._slots.remove(slot)

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
        return logits(self.spec, self.weights, hidden)


def by_adapter(part: Slice) -> tuple[int, int]:
    return part.sequence.adapter, part.sequence.id
