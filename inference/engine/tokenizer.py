"""Text to tokens and back: the chat template, encoding, and incremental decoding that equals decoding the whole."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import DecodeStream

from inference.engine.folder import FolderError, read_json


class TemplateError(ValueError):
    """The messages do not fit the model's chat template."""


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A model's tokenizer. `fast` is the tokenizers library's; `eos` are the tokens that end an answer.

    `vocabulary` is the model's: tokens from there on it cannot read, whatever the tokenizer knows.
    """

    fast: FastTokenizer
    eos: frozenset[int]
    template: jinja2.Template | None
    special: Mapping[str, str]
    longest: int = 1 << 20  # characters of the longest token
    vocabulary: int = 1 << 31

    @property
    def known(self) -> int:
        """Tokens from 0 up to this number have a text and can be read by the model."""
        return min(self.fast.get_vocab_size(), self.vocabulary)

    def encode(self, text: str) -> list[int]:
        """Tokens of a text that already holds its special tokens (a rendered chat)."""
        return self.fast.encode(text, add_special_tokens=False).ids

    def encode_prompt(self, text: str) -> list[int]:
        """Tokens of a plain prompt, with what the model expects before one (often a start token)."""
        return self.fast.encode(text, add_special_tokens=True).ids

    def decode(self, tokens: list[int]) -> str:
        return self.fast.decode(tokens, skip_special_tokens=True)

    def token_text(self, token: int) -> str:
        return self.fast.decode([token], skip_special_tokens=False)

    def render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> str:
        """The conversation as the model was trained to read it, up to where the assistant speaks."""
        if self.template is None:
            raise TemplateError("the model has no chat template; use /v1/completions")
        try:
            return self.template.render(messages=messages, tools=tools, add_generation_prompt=True, **self.special)
        except (jinja2.TemplateError, TypeError) as error:
            raise TemplateError(f"the model's chat template refuses these messages: {error}") from error


class Detokenizer:
    """One answer's text as it grows: never half a character, nothing that may turn out to be a stop string."""

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...]) -> None:
        self._fast = tokenizer.fast
        self._stream = DecodeStream(skip_special_tokens=True)
        self._stop = stop
        self._held = ""
        self._tokens: list[int] = []
        self._decoded = 0  # characters that the stream has given

    def push(self, token: int) -> tuple[str, bool]:
        """Takes a token; returns the text that is certain now, and whether a stop string was met (and cut off)."""
        self._tokens.append(token)
        text = self._stream.step(self._fast, token)
        if not text:
            return "", False
        self._decoded += len(text)
        return self._emit(text) if self._stop else (text, False)

    def flush(self) -> str:
        """What is left at the end: held-back text, and bytes that never became a character."""
        whole = self._fast.decode(self._tokens, skip_special_tokens=True)
        rest = whole[self._decoded :]
        self._decoded = max(self._decoded, len(whole))
        if not self._stop:
            return rest
        text, stopped = self._emit(rest)
        return text if stopped else text + self._take_held()

    def _emit(self, text: str) -> tuple[str, bool]:
        text = self._held + text
        self._held = ""
        found = [place for place in (text.find(stop) for stop in self._stop) if place >= 0]
        if found:
            return text[: min(found)], True
        keep = max((overlap(text, stop) for stop in self._stop), default=0)
        if keep:
            self._held = text[-keep:]
            text = text[:-keep]
        return text, False

    def _take_held(self) -> str:
        held, self._held = self._held, ""
        return held


def overlap(text: str, stop: str) -> int:
    """How many of the text's last characters may be the beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-length:]):
            return length
    return 0


def load_tokenizer(folder: Path, config: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a checked model folder; `config` is the model's config.json."""
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    fast = FastTokenizer.from_file(str(folder / "tokenizer.json")) if (folder / "tokenizer.json").exists() else None
    if fast is None:
        fast = convert_slow(folder)
    fast.no_padding()
    fast.no_truncation()
    special = {name: content(settings[name]) for name in SPECIAL_NAMES if settings.get(name)}
    source = template_source(folder, settings)
    longest = max(map(len, fast.get_vocab()), default=1)
    text: Any = config.get("text_config") or config
    eos = eos_tokens(folder, config, special, fast)
    vocabulary = int(text.get("vocab_size") or fast.get_vocab_size())
    return Tokenizer(fast, eos, compile_template(source), special, longest, vocabulary)


SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")


def convert_slow(folder: Path) -> FastTokenizer:
    """A sentencepiece-only tokenizer, converted by transformers (imported only for that)."""
    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer
    slow: Any = auto.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    backend = getattr(slow, "backend_tokenizer", None)
    if not isinstance(backend, FastTokenizer):
        raise FolderError(f"{folder} has no tokenizer.json, and its tokenizer cannot be converted to one")
    return FastTokenizer.from_str(backend.to_str())


def content(value: Any) -> str:
    """A special token as text: written plainly or as an object with its content."""
    return value if isinstance(value, str) else str(value["content"])


def template_source(folder: Path, settings: Mapping[str, Any]) -> str | None:
    if (folder / "chat_template.jinja").exists():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    written = settings.get("chat_template")
    if not isinstance(written, list):
        return written
    return default_template(written)


def default_template(written: Any) -> str | None:
    """Of several named templates, the one for plain chat."""
    return next((entry["template"] for entry in written if entry["name"] == "default"), None)


def eos_tokens(
    folder: Path, config: Mapping[str, Any], special: Mapping[str, str], fast: FastTokenizer
) -> frozenset[int]:
    """Every token that ends an answer, from the three places in which models say so."""
    generation = folder / "generation_config.json"
    found: set[int] = set()
    for source in (config, read_json(generation) if generation.exists() else {}):
        value: Any = source.get("eos_token_id")
        found.update([value] if isinstance(value, int) else value or [])
    named = fast.token_to_id(special["eos_token"]) if "eos_token" in special else None
    return frozenset(found | ({named} if named is not None else set()))


def compile_template(source: str | None) -> jinja2.Template | None:
    """Compiles in a sandbox: a template comes with the model and is not to be trusted."""
    if source is None:
        return None
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    offered: dict[str, Any] = {"raise_exception": refuse, "strftime_now": now}
    environment.globals.update(offered)
    environment.filters["tojson"] = to_json
    return environment.from_string(source)


def now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def to_json(value: Any, indent: int | None = None) -> str:
    """Not Jinja's own, which escapes for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
