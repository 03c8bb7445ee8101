"""The fallback runner: any architecture that transformers knows, one sequence after the other in each step."""

import logging
from typing import Any

import torch

from inference.engine.adapters import BASE_SLOT, AdapterError
from inference.engine.folder import AdapterFolder, ModelFolder
from inference.engine.sampler import sample
from inference.engine.scheduler import Slice
from inference.engine.sequence import Choice, Sequence

log = logging.getLogger(__name__)


class TransformersRunner:
    """Correct before fast: a cache for each sequence, a forward pass for each slice."""

    kind = "transformers"
    shares_prefixes = False
    short_context = 1 << 62  # transformers sees to it

    def __init__(self, folder: ModelFolder, device: torch.device, dtype: torch.dtype) -> None:
        from transformers import AutoModelForCausalLM

        auto: Any = AutoModelForCausalLM
        self._model: Any = auto.from_pretrained(
            str(folder.path), dtype=dtype, trust_remote_code=False, use_safetensors=True, local_files_only=True
        )
        self._model.to(device).eval()
        self._device = device
        self._adapted = False
        self._caches: dict[int, Any] = {}

    @torch.inference_mode()
    def run(self, slices: list[Slice]) -> list[Choice]:
        rows: list[torch.Tensor] = []
        for part in slices:
            logits = self._forward(part)
            if part.last:
                rows.append(logits)
        if not rows:
            return []
        return sample(torch.stack(rows), [part.sequence for part in slices if part.last])

    def forget(self, sequence: Sequence) -> None:
        self._caches.pop(sequence.id, None)

    def prepare_adapter(self, folder: AdapterFolder) -> AdapterFolder:
        return folder

    def install_adapter(self, slot: int, prepared: AdapterFolder) -> None:
        from peft import PeftModel

        name = f"slot{slot}"
        peft: Any = PeftModel
        try:
            if self._adapted:
                result: Any = self._model.load_adapter(str(prepared.path), adapter_name=name, local_files_only=True)
                unexpected = list(getattr(result, "unexpected_keys", []))
                if unexpected:
                    self._model.delete_adapter(name)
                    raise AdapterError(
                        f"{prepared.path} has tensors that the base model has no place for: {unexpected[:3]}"
                    )
            else:
                self._model = peft.from_pretrained(self._model, str(prepared.path), adapter_name=name).eval()
                self._adapted = True
        except (RuntimeError, ValueError, KeyError) as error:
            raise AdapterError(f"{prepared.path} does not fit the base model: {str(error).splitlines()[0]}") from error
        self._model.eval()

    def remove_adapter(self, slot: int) -> None:
        self._model.delete_adapter(f"slot{slot}")

    def _forward(self, part: Slice) -> torch.Tensor:
        from transformers import DynamicCache

        sequence = part.sequence
        if part.start == 0:
            self._caches[sequence.id] = DynamicCache()
        cache = self._caches[sequence.id]
        if cache.get_seq_length() > part.start:  # a step that failed half-way is run again
            cache.crop(part.start)
        ids = torch.tensor([sequence.tokens[part.start : part.start + part.count]], device=self._device)
        if self._adapted and sequence.adapter == BASE_SLOT:
            with self._model.disable_adapter():
                return self._logits(ids, cache)
        if self._adapted:
            self._model.set_adapter(f"slot{sequence.adapter}")
        return self._logits(ids, cache)

    def _logits(self, ids: torch.Tensor, cache: Any) -> torch.Tensor:
        out: Any = self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits: torch.Tensor = out.logits[0, -1]
        return logits.float().clone()
