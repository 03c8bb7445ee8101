"""Text to tokens and back: the chat template, encoding, and incremental decoding that equals decoding the whole."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import DecodeStream

from inference.engine.files.folder import TOOL_TEMPLATE, FolderError, instead, read_json
from inference.engine.files.native import code_named, tokenizer_class
from inference.engine.text.chat_template import (
    ChatTemplate,
    Message,
    compile_template,
    in_first_user_message,
    in_system_message,
    in_words,
)
from inference.engine.text.sentencepiece import made_of_pieces
from inference.engine.text.spelling import Spellings


class TemplateError(ValueError):
    """The messages do not fit the model's chat template."""


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A model's tokenizer. `fast` is the tokenizers library's; `eos` are the tokens that end an answer.

    `vocabulary` is the model's: tokens from there on it cannot read, whatever the tokenizer knows.
    """

    fast: FastTokenizer
    eos: frozenset[int]
    template: ChatTemplate | None
    special: Mapping[str, str]
    tool_template: ChatTemplate | None = None  # for conversations with tools, where the model has one of its own
    longest: int = 1 << 20  # characters of the longest token
    vocabulary: int = 1 << 31

    @property
    def known(self) -> int:
        """Tokens from 0 up to this number have a text and can be read by the model."""
        return min(self.fast.get_vocab_size(), self.vocabulary)

    @cached_property
    def byte_tokens(self) -> Mapping[int, int]:
        """Tokens that stand for one byte, with which some tokenizers write what they have no token for."""
        decoder: Any = self.fast.decoder
        if decoder is None or b"ByteFallback" not in decoder.__getstate__():
            return {}
        named = {self.fast.token_to_id(f"<0x{byte:02X}>"): byte for byte in range(256)}
        return {token: byte for token, byte in named.items() if token is not None}

    @cached_property
    def unwritten(self) -> frozenset[int]:
        """Special tokens, which are no part of an answer's text."""
        return frozenset(token for token, added in self.fast.get_added_tokens_decoder().items() if added.special)

    @cached_property
    def special_texts(self) -> frozenset[str]:
        """How special tokens are written."""
        return frozenset(added.content for added in self.fast.get_added_tokens_decoder().values() if added.special)

    def encode(self, text: str) -> list[int]:
        """Tokens of a text that already holds its special tokens (a rendered chat)."""
        return self.fast.encode(text, add_special_tokens=False).ids

    def encode_prompt(self, text: str) -> list[int]:
        """Tokens of a plain prompt, with what the model expects before one (often a start token)."""
        return self.fast.encode(text, add_special_tokens=True).ids

    def decode(self, tokens: list[int]) -> str:
        return self.fast.decode(tokens, skip_special_tokens=True)

    @cached_property
    def spellings(self) -> Spellings:
        """What each token says by itself."""
        return Spellings(self.fast)

    def render(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        switches: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """The conversation as the model was trained to read it, up to where the assistant speaks. `switches`: what else the
        template asks for by name."""
        template = self.template_for(tools)
        if template is None:
            raise TemplateError("the model has no chat template; use /v1/completions")
        if taken := sorted(switches.keys() & {"messages", "tools", "add_generation_prompt", *self.special}):
            raise TemplateError(f"{taken[0]} is no switch of the chat template: it is said elsewhere")
        told_of_tools = bool(tools) or any(
            message.get("tool_calls") or message.get("role") == "tool" for message in messages
        )
        way = template.takes_tools if told_of_tools else "variable"
        conversation: list[Message] = list(messages)
        if way == "message" and tools:
            conversation, tools = in_system_message(messages, tools), None
        elif way == "text":
            conversation, tools = in_words(messages, tools), None
            conversation = conversation if template.takes_system else in_first_user_message(conversation)
        own = {"tools": tools, "add_generation_prompt": True, **self.special, **switches}
        return self._tried(template, conversation, own)

    def template_for(self, tools: list[dict[str, Any]] | None) -> ChatTemplate | None:
        return (self.tool_template if tools else None) or self.template

    def _tried(self, template: ChatTemplate, messages: list[Message], own: Mapping[str, Any]) -> str:
        """With an empty content too where there was none: some templates read one whatever the message is."""
        try:
            return template.render(messages=messages, **own)
        except Exception as error:  # a template comes with the model, and can raise whatever Python can
            others = [{"content": "", **message} for message in messages]
            if others != messages:
                with contextlib.suppress(Exception):
                    return template.render(messages=others, **own)
            raise TemplateError(f"the model's chat template refuses these messages: {why(error)}") from error


def why(error: Exception) -> str:
    """Its own words; of what Python itself raises the kind as well, which alone may say what happened."""
    return str(error) if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: {error}"


HELD_BYTES = 32  # bytes that a run of byte tokens may hold back; from then on whole characters are shown


class Detokenizer:
    """One answer's text as it grows: never half a character, nothing that may turn out to be a stop string.

    A run of byte tokens is read as a whole: one wrong byte in it changes what all of it says. So it is held back until
    it ends, or is long and made of whole characters.
    """

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...], special: bool = False) -> None:
        """`special`: whether special tokens are written too."""
        self._fast = tokenizer.fast
        self._skip = not special
        self._bytes = tokenizer.byte_tokens
        self._unwritten = tokenizer.unwritten if self._bytes and not special else frozenset[int]()
        self._stream = DecodeStream(skip_special_tokens=self._skip)
        self._stop = stop
        self._held = ""
        self._run: list[int] = []  # byte tokens, and special ones between them
        self._tokens: list[int] = []
        self._decoded = 0  # characters that the stream has given

    def push(self, token: int) -> tuple[str, bool]:
        """Takes a token; returns the text that is certain now, and whether a stop string was met (and cut off)."""
        self._tokens.append(token)
        if token in self._bytes or (self._run and token in self._unwritten):
            self._run.append(token)
            if len(self._run) < HELD_BYTES or not self._whole_characters():
                return "", False
            text, self._run = self._step(self._run), []
        elif self._run:
            text, self._run = self._step([*self._run, token]), []
        else:
            text = self._step(token)
        if not text:
            return "", False
        self._decoded += len(text)
        return self._emit(text) if self._stop else (text, False)

    def _whole_characters(self) -> bool:
        try:
            bytes(self._bytes[token] for token in self._run if token in self._bytes).decode()
        except UnicodeDecodeError:
            return False
        return True

    def _step(self, tokens: int | list[int]) -> str | None:
        try:
            return self._stream.step(self._fast, tokens)
        except Exception:  # noqa: BLE001  (the library has no type for it: what it gave before reads otherwise now)
            self._stream = DecodeStream(ids=self._tokens, skip_special_tokens=self._skip)
            return self._fast.decode(self._tokens, skip_special_tokens=self._skip)[self._decoded :]

    def flush(self) -> tuple[str, bool]:
        """What is left at the end: held-back text, and bytes that never became a character. Whether a stop string was met
        in it, as `push` says."""
        whole = self._fast.decode(self._tokens, skip_special_tokens=self._skip)
        rest = whole[self._decoded :]
        self._decoded = max(self._decoded, len(whole))
        if not self._stop:
            return rest, False
        text, stopped = self._emit(rest)
        return (text if stopped else text + self._take_held()), stopped

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
    fast = read_fast(folder / "tokenizer.json") if (folder / "tokenizer.json").exists() else None
    if fast is None:
        fast = convert_slow(folder, settings, config)
    fast.no_padding()
    fast.no_truncation()
    mapped = read_json(folder / SPECIAL_MAP) if (folder / SPECIAL_MAP).exists() else {}
    named = {name: settings.get(name) or mapped.get(name) for name in SPECIAL_NAMES}
    special = {name: content(value) for name, value in named.items() if value}
    templates = template_sources(folder, settings)
    longest = max(map(len, fast.get_vocab()), default=1)
    text: Any = config.get("text_config") or config
    eos = eos_tokens(folder, config, special, fast)
    vocabulary = int(text.get("vocab_size") or fast.get_vocab_size())
    plain, with_tools = (compile_template(source) for source in templates)
    return Tokenizer(fast, eos, plain, special, with_tools, longest, vocabulary)


SENTENCEPIECE = "tokenizer.model"
SPECIAL_MAP = "special_tokens_map.json"
SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")


def read_fast(file: Path) -> FastTokenizer:
    raw = file.read_bytes()  # here: what the library says of a share that does not answer tells no errno
    try:
        return FastTokenizer.from_buffer(raw)
    except Exception as error:  # the library raises nothing more special
        raise FolderError(f"{file} is no tokenizer: {instead(raw[:100]) or error}") from error


def convert_slow(folder: Path, settings: Mapping[str, Any], config: Mapping[str, Any]) -> FastTokenizer:
    """A tokenizer without tokenizer.json, converted by transformers (imported only for that). By the class itself: AutoTokenizer
    would look for the code that `auto_map` names."""
    kind = tokenizer_class(settings, config)
    if kind is None:
        named = settings.get("tokenizer_class") or config.get("tokenizer_class") or code_named(settings.get("auto_map"))
        raise FolderError(
            f"{folder} has no tokenizer.json, and its tokenizer {named!r} is not known to transformers: it would need code "
            "of its own, which is never run; save it as tokenizer.json"
        )
    if (folder / SENTENCEPIECE).exists():
        slow: Any = made_of_pieces(folder / SENTENCEPIECE, kind)
    else:
        slow = kind.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    backend = getattr(slow, "backend_tokenizer", None)
    if not isinstance(backend, FastTokenizer):
        raise FolderError(f"{folder} has no tokenizer.json, and its tokenizer cannot be converted to one")
    return FastTokenizer.from_str(backend.to_str())


def content(value: Any) -> str:
    """A special token as text: written plainly or as an object with its content."""
    return value if isinstance(value, str) else str(value["content"])


def template_sources(folder: Path, settings: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The chat template, and the one for conversations with tools where the model has one of its own: by name in the
    settings, or in a file."""
    files = {"default": folder / "chat_template.jinja", "tool_use": folder / TOOL_TEMPLATE}
    written: Any = None if files["default"].exists() else settings.get("chat_template")
    if isinstance(written, list):
        named = {str(entry["name"]): str(entry["template"]) for entry in entries(written)}
    elif written is None or isinstance(written, str):
        named = {"default": written} if written else {}
    else:
        raise TypeError("the chat_template of tokenizer_config.json is no text")
    named |= {name: file.read_text(encoding="utf-8") for name, file in files.items() if file.exists()}
    return named.get("default"), named.get("tool_use")


def entries(written: Any) -> list[Any]:
    return written


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
