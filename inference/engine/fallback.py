"""The fallback runner: any architecture that transformers knows, one sequence after the other in each step."""

import logging
from typing import Any

import torch

from inference.engine.adapters import BASE_SLOT, AdapterError
from inference.engine.device import noticing_loss
from inference.engine.folder import AdapterFolder, ModelFolder
from inference.engine.loader import read_tensor
from inference.engine.lora import refuse_changed_base
from inference.engine.sampler import sample
from inference.engine.saved import KEY as WHOLE_KEY
from inference.engine.scheduler import Slice
from inference.engine.sequence import Choice, Sequence

log = logging.getLogger(__name__)

TYPES = ("LORA", "LOHA", "LOKR", "IA3", "OFT")  # others add tokens or layers, which a cache made step by step misses


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
        with noticing_loss(self._device):
            return self._run(slices)

    def _run(self, slices: list[Slice]) -> list[Choice]:
        rows: list[torch.Tensor] = []
        for part in slices:
            logits = self._forward(part)
            if part.last:
                rows.append(logits)
        if not rows:
            return []
        return sample(torch.stack(rows), [part.sequence for part in slices if part.last])

    def warm_up(self) -> None:
        """Nothing is compiled."""

    def forget(self, sequence: Sequence) -> None:
        self._caches.pop(sequence.id, None)

    def prepare_adapter(self, folder: AdapterFolder) -> AdapterFolder:
        refuse_harmful(folder)
        return folder

    def install_adapter(self, slot: int, prepared: AdapterFolder) -> None:
        from peft import PeftConfig, PeftModel

        name = f"slot{slot}"
        path = str(prepared.path)
        try:
            if not self._adapted:
                kind: Any = PeftConfig
                peft: Any = PeftModel
                self._model = peft(self._model, kind.from_pretrained(path), adapter_name=name)
                self._adapted = True
            result: Any = self._model.load_adapter(path, adapter_name=name, local_files_only=True)
            wrong = [*result.unexpected_keys, *result.missing_keys]
            if wrong:
                raise AdapterError(f"{path} does not fit the base model at {', '.join(wrong[:3])}")
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            self._forget_adapter(name)
            if isinstance(error, AdapterError):
                raise
            raise AdapterError(f"{path} does not fit the base model: {str(error).splitlines()[0]}") from error
        self._model.eval()

    def _forget_adapter(self, name: str) -> None:
        """Takes an adapter out, one that was refused half-way too; with the last one PEFT's wrapping goes."""
        if not self._adapted or name not in self._model.peft_config:
            return
        if list(self._model.peft_config) == [name]:
            self._model = self._model.unload()
            self._adapted = False
        else:
            self._model.delete_adapter(name)

    def remove_adapter(self, slot: int) -> None:
        self._forget_adapter(f"slot{slot}")

    def _forward(self, part: Slice) -> torch.Tensor:
        from transformers import DynamicCache

        sequence = part.sequence
        if part.start == 0:
            self._caches[sequence.id] = DynamicCache()
        cache = self._caches[sequence.id]
        ahead = cache.get_seq_length() - part.start
        if ahead > 0:  # a step that failed half-way is run again
            cache.crop(-ahead)
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


def refuse_harmful(folder: AdapterFolder) -> None:
    """What PEFT would load into the base model itself, or could not compute step by step."""
    config = folder.config
    if config.get("peft_type") not in TYPES:
        raise AdapterError(f"{folder.path} is a {config.get('peft_type')!r} adapter; supported are {', '.join(TYPES)}")
    for name in ("trainable_token_indices", "alora_invocation_tokens", "arrow_config", "layer_replication"):
        if config.get(name):
            raise AdapterError(f"{folder.path} uses {name}, which is not supported")
    refuse_changed_base(folder)
    if config.get("bias", "none") != "none":
        raise AdapterError(f"{folder.path} trains biases of the base model, which is not supported")
    own = {str(name).split(".")[-1] for name in config.get("modules_to_save") or ()}
    for key, place in folder.tensors.items():
        whole = WHOLE_KEY.match(key)
        if whole and (whole[1] not in own or whole[2] == "original_module."):
            raise AdapterError(
                f"{folder.path} holds {key}, which would replace the base model's own; save it without "
                "(save_embedding_layers=False)"
            )
        tensor = read_tensor(place)
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise AdapterError(f"{folder.path}: tensor {key} is not finite")
