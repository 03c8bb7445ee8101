"""Answers that follow a JSON schema: schemas compiled to grammars, and the tokens that a grammar allows next."""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLParserLimits, LLTokenizer
    from llguidance._lib import JsonCompileOptions
    from tokenizers import Tokenizer as FastTokenizer

LARGEST = 64 << 10  # bytes of a schema
KEPT = 32  # compiled schemas that are remembered
ANY_OBJECT = {"type": "object"}

# One line, with a space at most after colons and commas: a model that likes line breaks would write nothing else until its
# tokens are used up.
WRITING: "JsonCompileOptions" = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}


FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid", "unknown"}
)
"""Of texts, that can be held to. Any other constrains nothing, as JSON Schema has it: it is a note."""
HOLD_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
HOLD_VALUES = frozenset({"const", "enum", "default", "examples"})


@dataclass(frozen=True)
class Part:
    """JSON that follows a schema, between two fixed texts. `lenient`: what of the schema can't be held to is left out."""

    schema: Mapping[str, Any]
    before: str = ""
    after: str = ""
    lenient: bool = False


class GrammarError(ValueError):
    """A schema that answers cannot be held to; the message says what in it."""


class Matcher:
    """How far one answer has followed its grammar. Used by one thread at a time."""

    def __init__(self, matcher: "LLMatcher", eos: frozenset[int]) -> None:
        self._matcher = matcher
        self._eos = eos

    def allowed(self) -> bytearray:
        """One byte a token of the tokenizer's vocabulary, zero where it must not come next.

        Raises GrammarError when that takes too much work to find out.
        """
        allowed = bytearray(self._matcher.compute_logit_bias())
        if self._matcher.is_error():
            raise GrammarError(f"the schema is too complex to be followed ({self._matcher.stop_reason()})")
        if not self._matcher.is_accepting():
            for token in self._eos:  # where the end token has text of its own, it could pass for that
                allowed[token] = 0
        return allowed

    def take(self, token: int) -> bool:
        """Follows a drawn token; true when nothing may come after it."""
        return self._matcher.consume_token(token) and self._matcher.is_stopped()


class Grammar:
    """A compiled schema, from which every answer gets a matcher of its own."""

    def __init__(self, start: "LLMatcher", eos: frozenset[int]) -> None:
        self._start = start
        self._eos = eos

    def begin(self) -> Matcher:
        return Matcher(self._start.deep_copy(), self._eos)


class Grammars:
    """Compiles schemas for one tokenizer, which is read when the first schema comes."""

    def __init__(self, fast: "FastTokenizer", eos: frozenset[int]) -> None:
        self._fast = fast
        self._eos = eos
        self.worker = ThreadPoolExecutor(1, "grammar")  # one at a time: compiling may take a whole core
        self._vocabulary: LLTokenizer | None = None
        self._known: OrderedDict[str, Grammar] = OrderedDict()

    def compile(self, parts: Sequence[Part]) -> Grammar:
        """The grammar of answers that are one of these parts. Takes milliseconds, for a large schema some tenths of a
        second: to be run by `worker`.

        Raises GrammarError naming what a schema holds that is not supported.
        """
        if any("x-guidance" in part.schema for part in parts):
            raise GrammarError("unknown keyword: x-guidance")
        try:
            text = json.dumps([(part.before, part.schema, part.after, part.lenient) for part in parts])
        except RecursionError as error:
            raise GrammarError("the schema is nested too deeply") from error
        if len(text) > LARGEST:
            raise GrammarError(f"the schema has {len(text)} bytes; at most {LARGEST} are taken")
        known = self._known[text] = self._known.pop(text, None) or self._compiled(parts)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return known

    def _compiled(self, parts: Sequence[Part]) -> Grammar:
        from llguidance import LLMatcher  # noqa: PLC0415  (the GPU benchmark has PyTorch alone)

        start = LLMatcher(self._read_vocabulary(), grammar_of(parts), log_level=0, limits=limits())
        if start.is_error():
            raise GrammarError(start.get_error().strip())
        start.compute_bitmask()  # what is too complex mostly shows at the first token
        if start.is_error():
            raise GrammarError(f"the schema is too complex to be followed ({start.stop_reason()})")
        return Grammar(start, self._eos)

    def _read_vocabulary(self) -> "LLTokenizer":
        if self._vocabulary is None:
            from llguidance import LLTokenizer  # noqa: PLC0415  (the GPU benchmark has PyTorch alone)

            try:
                self._vocabulary = LLTokenizer(self._fast.to_str(), eos_token=sorted(self._eos))
            except ValueError as error:
                raise GrammarError(f"this model's tokenizer cannot be held to a schema: {error}") from error
        return self._vocabulary


def grammar_of(parts: Sequence[Part]) -> str:
    """In the library's own language: alternatives of a text, a schema with its own references, and a text."""
    options: list[str] = []
    for part in parts:
        told = {"x-guidance": {**WRITING, "lenient": part.lenient}, **without_notes(part.schema)}
        options.append(f"{json.dumps(part.before)} %json {json.dumps(told)} {json.dumps(part.after)}")
    return "start: " + "\n  | ".join(options)


def without_notes(schema: Any) -> Any:
    """The schema without formats that are not known. Properties that are called so are no formats, and values none either."""
    if isinstance(schema, list):
        return [without_notes(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    kept: dict[str, Any] = {}
    for name, value in cast("Mapping[str, Any]", schema).items():
        if name in HOLD_SCHEMAS and isinstance(value, Mapping):
            kept[name] = {key: without_notes(each) for key, each in cast("Mapping[str, Any]", value).items()}
        elif name in HOLD_VALUES:
            kept[name] = value
        elif name != "format" or not isinstance(value, str) or value in FORMATS:
            kept[name] = without_notes(value)
    return kept


def limits() -> "LLParserLimits":
    """What one schema may cost: some tens of megabytes, and some tens of milliseconds a token at the very worst."""
    from llguidance import LLParserLimits  # noqa: PLC0415  (the GPU benchmark has PyTorch alone)

    # Errors without the state of the parser, for that holds the answer.
    return LLParserLimits(max_lexer_states=20_000, max_grammar_size=200_000, verbose_errors=False)
