"""transformers' continuous batching (`generate_batch`) on random weights in a given shape."""

import time
from typing import Any

import torch


@torch.inference_mode(False)  # it keeps tensors from one call to the next, which it writes to on a thread of its own
def generate_batch(
    shape: dict[str, Any], dtype: torch.dtype, device: torch.device, prompts: list[list[int]], tokens: int, rounds: int
) -> list[float]:
    """Tokens a second of each round, after one that warms up; RuntimeError when requests come back unfinished."""
    from transformers import AutoModelForCausalLM, GenerationConfig, Phi3Config

    settings = {key: value for key, value in shape.items() if key != "model_type"}
    config = Phi3Config(**settings, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    with torch.device(device):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    chosen = GenerationConfig(max_new_tokens=tokens, do_sample=False, eos_token_id=-1, pad_token_id=0)
    rates: list[float] = []
    try:
        for _ in range(rounds + 1):
            began = time.perf_counter()
            # One manager for all rounds: else its cache and its graphs are made anew, and timed, in each.
            done = model.generate_batch(inputs=prompts, generation_config=chosen, persistent_manager=True)
            took = time.perf_counter() - began
            made = sum(len(each.generated_tokens) for each in done.values())
            if made != len(prompts) * tokens:
                raise RuntimeError(f"generate_batch made {made} tokens of {len(prompts) * tokens}; its log says why")
            rates.append(made / took)
    finally:
        model.destroy_cached_continuous_batching_manager()
    return rates[1:]
