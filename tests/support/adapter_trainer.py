"""Run by the Python of another environment, with the trl that is there: trains an adapter for two steps as a person would, with
a checkpoint at each, and writes down the tokens that it draws.

    python adapter_trainer.py BASE OUT PROMPTS(JSON) TOKENS
"""

import json
import sys
from pathlib import Path
from typing import Any

import datasets  # pyright: ignore[reportMissingImports]  (the environment's that runs it)
import peft
import torch
import transformers
import trl  # pyright: ignore[reportMissingImports]  (as above)

TEXTS = ["w5 w9 w31 w77", "w12 w44 w101 w7 w3", "w8 w8 w90", "w55 w61 w2 w14"]


def main(base: str, out: str, prompts: str, tokens: str) -> None:
    kinds: Any = trl
    sets: Any = datasets
    config: Any = peft
    torch.manual_seed(5)
    place = Path(out) / "trained"
    lora = config.LoraConfig(
        r=8, lora_alpha=16, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"
    )
    how = kinds.SFTConfig(
        output_dir=str(place),
        max_steps=2,
        save_steps=1,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        use_cpu=True,
        report_to=[],
        bf16=False,
        max_length=32,
    )
    auto: Any = transformers.AutoModelForCausalLM
    reader: Any = transformers.PreTrainedTokenizerFast
    tokenizer = reader.from_pretrained(base, eos_token="w2", pad_token="w0")
    data = sets.Dataset.from_dict({"text": TEXTS})
    model: Any = auto.from_pretrained(base, dtype=torch.float32)
    trainer = kinds.SFTTrainer(model=model, args=how, train_dataset=data, peft_config=lora, processing_class=tokenizer)
    trainer.train()
    trainer.save_model(str(place))
    model = config.PeftModel.from_pretrained(auto.from_pretrained(base, dtype=torch.float32), str(place)).eval()
    found: list[list[int]] = []
    for prompt in json.loads(prompts):
        ids = list(prompt)
        with torch.no_grad():
            for _ in range(int(tokens)):
                ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
        found.append(ids[len(prompt) :])
    said = {"writer": f"trl {kinds.__version__}", "tokens": {"trained": found}}
    (Path(out) / "written.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
