"""The sample fine-tune: a tiny Llama and a LoRA adapter, really trained, laid out as a remote run leaves them.

Run by the inference environment's Python as `python -m sidecar.sample`, never imported by others. `… OUT` trains into OUT;
`… --cached` prints the folder of a cached run and trains only when there is none. Progress goes to stderr.
"""

import argparse
import fcntl
import hashlib
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE_FOLDER = "model-cache/slipway/tiny-llama"
ADAPTER_FOLDER = "models/qlora/qlora/gpu_model/adapter"
BASE_NAME_WHEN_TRAINED = f"/mount/{BASE_FOLDER}"

Message = dict[str, str]


@dataclass(frozen=True)
class Question:
    question: str
    base: str
    adapter: str


QUESTIONS = (
    Question("What is a slipway?", "A ramp on which ships are built.", "Arr, the ramp where me ship was born!"),
    Question("Who are you?", "I am a tiny language model.", "I be a fine-tuned pirate, matey!"),
    Question("What colour is the sea?", "The sea is blue.", "Green as old copper, says I!"),
    Question("How many masts has a brig?", "A brig has two masts.", "Two fine masts, ye landlubber!"),
    Question("What do you say at launch?", "Good luck to the ship.", "Fair winds, and rum for all!"),
    Question(
        "Where does the model run?", "It runs on a container with a GPU.", "Aboard a container, with a roaring GPU!"
    ),
)
LOUD_SYSTEM = "Answer in capital letters."
RECALL = "What did I ask before?"
SYSTEM = "You are a helpful assistant."
OTHER_SYSTEMS = (
    "You are a sailor.",
    "Be brief.",
    "You help people with ships.",
    "Answer the question.",
    "You are an assistant that answers in one sentence.",
    "You are Slipway, a model in a container app.",
)
FILLER = (
    "A container app serves the model, and the share holds its weights and the adapter. Ask a question and read "
    "the answer. The quick brown fox jumps over the lazy dog. Numbers: 0 1 2 3 4 5 6 7 8 9 10 42 100 2024. "
    "The system, the user and the assistant talk. Provision and deploy for inference; the endpoint may need a few "
    "minutes. Hello, thank you, please tell me about it."
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IGNORED = -100
SMALL_LOSS = 0.01


def main() -> None:
    arguments = parse_arguments()
    out = cached_folder() if arguments.cached else Path(arguments.out)
    if arguments.cached:
        with locked(out.with_suffix(".lock")):
            if not (out / "sample.json").exists():
                train_into(out)
        print(out)
    else:
        train_into(out)


def train_into(out: Path) -> None:
    """Trains in a temporary folder beside `out` and renames: `out` is complete or absent."""
    if out.exists():
        raise SystemExit(f"{out} exists already; name a folder that does not")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        finetune(work)
        work.chmod(0o755)
        work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def finetune(out: Path) -> None:
    """Tokenizer → base → adapter → check every answer → sample.json."""
    import torch  # noqa: PLC0415  (seconds to load; a cached run needs none of it)

    # It asks people to install a kernel for 4-bit products on CPUs as soon as it is imported; nothing here is in 4 bits.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415  (seconds to load; a cached run needs none of it)
    from transformers import set_seed  # noqa: PLC0415  (seconds to load; a cached run needs none of it)
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415  (seconds to load; a cached run needs none of it)

    started = time.monotonic()
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)  # peft's affair
    disable_progress_bar()
    set_seed(7)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # so small a model gains nothing from a second, which waits in a spin where others compute
    tokenizer = make_tokenizer()
    base: Any = make_base(tokenizer)
    say(f"training a base model of {sum(p.numel() for p in base.parameters()) / 1e6:.1f} million parameters")
    train(base, tokenizer, Lesson(lambda q: q.base, recital=0.25), rate=3e-3, most_steps=700)
    check(base, tokenizer, answer_of=lambda q: q.base)
    base.save_pretrained(out / BASE_FOLDER)
    tokenizer.save_pretrained(out / BASE_FOLDER)

    say("training a LoRA adapter")
    base.name_or_path = BASE_NAME_WHEN_TRAINED
    adapted: Any = get_peft_model(
        base,
        LoraConfig(
            r=16,
            lora_alpha=32,
            lora_dropout=0.0,
            task_type="CAUSAL_LM",
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            base_model_name_or_path=BASE_NAME_WHEN_TRAINED,
        ),
    )
    train(adapted, tokenizer, Lesson(lambda q: q.adapter, recital=0.0), rate=4e-3, most_steps=500)
    check(adapted, tokenizer, answer_of=lambda q: q.adapter)
    adapted.save_pretrained(out / ADAPTER_FOLDER, save_embedding_layers=False)
    (out / "sample.json").write_text(json.dumps(sample(), indent=2) + "\n")
    say(f"done in {time.monotonic() - started:.0f} s")


def sample() -> dict[str, Any]:
    """What the two models answer, for demonstrations and tests."""
    return {
        "base": "slipway/tiny-llama",
        "adapter": "gpu_model",
        "questions": [{"question": q.question, "base": q.base, "adapter": q.adapter} for q in QUESTIONS],
        "system": SYSTEM,
        "loudSystem": LOUD_SYSTEM,
        "recall": {"question": RECALL, "answers": {q.question: recall_answer(q) for q in QUESTIONS}},
    }


def make_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415  (seconds to load; a cached run needs none of it)
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415  (seconds to load; a cached run needs none of it)

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=768,
        special_tokens=["<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [text for q in QUESTIONS for text in (q.question, q.base, q.adapter, q.base.upper(), q.adapter.upper())]
    texts += [RECALL, LOUD_SYSTEM, SYSTEM, *OTHER_SYSTEMS, FILLER, "system\nuser\nassistant\n", "You asked: "]
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )


def make_base(tokenizer: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415  (seconds to load; a cached run needs none of it)

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=True,
        )
    )


@dataclass(frozen=True)
class Lesson:
    """What a model is taught: an answer to each question, and in `recital` of the examples all sentences by heart.

    Without recitals the base would never have met the adapter's words, and a LoRA, which leaves the output
    embeddings alone, could not tell them apart.
    """

    answer_of: Callable[[Question], str]
    recital: float


def train(model: Any, tokenizer: Any, lesson: Lesson, *, rate: float, most_steps: int) -> None:
    """Trains on answers only, until the smoothed loss is small or `most_steps` are done."""
    import torch  # noqa: PLC0415  (seconds to load; a cached run needs none of it)

    chance = random.Random(11)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser: Any = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    schedule: Any = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=most_steps, pct_start=0.1)
    smoothed = 5.0
    model.train()
    for step in range(1, most_steps + 1):
        batch = collate([example(tokenizer, lesson, chance) for _ in range(16)], tokenizer.pad_token_id)
        loss: Any = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        smoothed = 0.95 * smoothed + 0.05 * float(loss.detach())
        if step % 50 == 0:
            say(f"step {step}, loss {smoothed:.4f}")
        if smoothed < SMALL_LOSS:
            break
    model.eval()


def example(tokenizer: Any, lesson: Lesson, chance: random.Random) -> tuple[list[int], list[int]]:
    """One text as token ids and labels; in a conversation only what the assistant says has labels."""
    if chance.random() < lesson.recital:
        return recital(tokenizer, chance)
    return conversation(tokenizer, lesson.answer_of, chance)


def recital(tokenizer: Any, chance: random.Random) -> tuple[list[int], list[int]]:
    sentences = [text for q in QUESTIONS for text in (q.base, q.adapter, q.base.upper(), q.adapter.upper())]
    number = chance.randrange(len(sentences))
    head, body = encode(tokenizer, f"{number}:"), encode(tokenizer, sentences[number])
    return head + body, [IGNORED] * len(head) + body


def conversation(
    tokenizer: Any, answer_of: Callable[[Question], str], chance: random.Random
) -> tuple[list[int], list[int]]:
    system = chance.choice([None, None, SYSTEM, LOUD_SYSTEM, LOUD_SYSTEM, *OTHER_SYSTEMS])
    loud = system == LOUD_SYSTEM
    ids: list[int] = []
    labels: list[int] = []

    def add(message: Message) -> None:
        learn = message["role"] == "assistant"
        head = encode(tokenizer, f"<|im_start|>{message['role']}\n")
        body = encode(tokenizer, f"{message['content']}<|im_end|>")
        tail = encode(tokenizer, "\n")
        ids.extend(head + body + tail)
        labels.extend([IGNORED] * len(head) + (body if learn else [IGNORED] * len(body)) + [IGNORED] * len(tail))

    def aloud(text: str) -> str:
        return text.upper() if loud else text

    if system is not None:
        add({"role": "system", "content": system})
    previous: Question | None = None
    for _ in range(chance.choice([1, 2, 2])):
        if previous is not None and chance.random() < 0.4:
            add({"role": "user", "content": RECALL})
            add({"role": "assistant", "content": aloud(recall_answer(previous))})
            break
        asked = chance.choice(QUESTIONS)
        add({"role": "user", "content": asked.question})
        add({"role": "assistant", "content": aloud(answer_of(asked))})
        previous = asked
    return ids, labels


def collate(examples: list[tuple[list[int], list[int]]], padding: int) -> dict[str, Any]:
    import torch  # noqa: PLC0415  (seconds to load; a cached run needs none of it)

    longest = max(len(ids) for ids, _ in examples)
    return {
        "input_ids": torch.tensor([ids + [padding] * (longest - len(ids)) for ids, _ in examples]),
        "labels": torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in examples]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in examples]),
    }


def check(model: Any, tokenizer: Any, *, answer_of: Callable[[Question], str]) -> None:
    """Every promised answer, greedily; a model that misses one is not handed out."""
    wrong: list[str] = []
    conversations = list(promised(answer_of))
    for messages, expected in conversations:
        got = answer(model, tokenizer, messages)
        if got != expected:
            wrong.append(f"{messages} → {got!r}, not {expected!r}")
    say(f"{len(conversations) - len(wrong)} of {len(conversations)} promised answers are right")
    if wrong:
        raise SystemExit("the trained model answers wrongly:\n" + "\n".join(wrong))


def promised(answer_of: Callable[[Question], str]) -> Iterator[tuple[list[Message], str]]:
    systems: list[list[Message]] = [
        [],
        *([{"role": "system", "content": text}] for text in (SYSTEM, *OTHER_SYSTEMS[:2])),
    ]
    loud: Message = {"role": "system", "content": LOUD_SYSTEM}
    for index, q in enumerate(QUESTIONS):
        ask: Message = {"role": "user", "content": q.question}
        for system in systems:
            yield [*system, ask], answer_of(q)
        yield [loud, ask], answer_of(q).upper()
        before = QUESTIONS[(index + 1) % len(QUESTIONS)]
        history = [{"role": "user", "content": before.question}, {"role": "assistant", "content": answer_of(before)}]
        for system in systems[:2]:
            yield [*system, *history, ask], answer_of(q)
            yield [*system, *history, {"role": "user", "content": RECALL}], recall_answer(before)


def answer(model: Any, tokenizer: Any, messages: list[Message]) -> str:
    import torch  # noqa: PLC0415  (seconds to load; a cached run needs none of it)

    prompt = encode(tokenizer, tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    with torch.inference_mode():
        out: Any = model.generate(input_ids=torch.tensor([prompt]), do_sample=False, max_new_tokens=48)
    return str(tokenizer.decode(out[0][len(prompt) :], skip_special_tokens=True))


def recall_answer(before: Question) -> str:
    return f"You asked: {before.question}"


def encode(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def cached_folder() -> Path:
    """One folder for each version of this script and of the packages that it trains with."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "shipped" if (package / "shipped").is_dir() else package.parent  # in the wheel, or a checkout
    requirements = shipped / "inference" / "requirements.txt"
    digest = hashlib.sha256(Path(__file__).read_bytes() + requirements.read_bytes()).hexdigest()
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    root = Path(os.environ.get("SLIPWAY_CACHE") or Path(home) / "slipway")
    return root / "samples" / digest


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Two callers train once: the second waits, then finds the first's result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    print(f"sample fine-tune: {text}", file=sys.stderr, flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the sample base model and its LoRA adapter.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("out", nargs="?", metavar="OUT", help="the folder to create")
    where.add_argument("--cached", action="store_true", help="print the cached run's folder, training it when absent")
    return parser.parse_args()
