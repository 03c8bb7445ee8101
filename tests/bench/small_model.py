"""The benchmark's model: 15.7 million random parameters, so that what surrounds the arithmetic shows."""

import json
import sys
from pathlib import Path

VOCABULARY = 8192
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def make(mount: Path, adapters: int, hidden: int = 384, layers: int = 6, positions: int = 2048) -> None:
    """Base and LoRA adapters (rank 16, all projections) in the layout that the server reads."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=hidden,
            intermediate_size=hidden * 8 // 3,
            num_hidden_layers=layers,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=positions,
            eos_token_id=None,
            bos_token_id=None,
        )
    )
    for name, parameter in model.named_parameters():
        if "embed" in name:
            torch.nn.init.normal_(parameter, std=1.0)
        elif "norm" not in name:
            torch.nn.init.normal_(parameter, std=1.2 / parameter.shape[-1] ** 0.5)
    base = mount / "model-cache" / "bench" / "small"
    model.save_pretrained(str(base))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_and_words(), chat_template=TEMPLATE)
    tokenizer.save_pretrained(base)
    projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    for number in range(adapters):
        settings = LoraConfig(r=16, lora_alpha=16, target_modules=projections, init_lora_weights=False)
        adapted = get_peft_model(model, settings)
        adapted.save_pretrained(str(mount / "models" / f"adapter{number}" / "adapter"), save_embedding_layers=False)
        model = adapted.unload()


def bytes_and_words():
    """A byte-level tokenizer whose other tokens are made-up words: every id decodes to text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(f"Ġword{n}" for n in range(VOCABULARY - 256))]
    tokenizer = Tokenizer(models.BPE(vocab={piece: n for n, piece in enumerate(pieces)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


if __name__ == "__main__":
    make(Path(sys.argv[1]), adapters=4)
    json.dump({"made": sys.argv[1]}, sys.stdout)
