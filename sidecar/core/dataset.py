"""A data set that models are compared by: what each row asks, and what is known of a good answer.

A row is read in the form that it has: Slipway's own (`prompt` or `messages`, with `expected`, `equals`, `contains`, `regex` or
`schema`), or one in which chat models are fine-tuned (`messages` that end with the assistant's turn; ShareGPT's `conversations`;
Alpaca's `instruction`, `input`, `output`; TRL's `prompt` and `completion`). A row that can't be read is a problem with its
line."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from sidecar.core.answer_schema import wrong_schema
from sidecar.core.textfile import read_text
from sidecar.words.problems import Problem
from sidecar.words.text import Text

Message = tuple[str, str]
"""Who speaks, and what is said."""

SPEAKERS = {"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
"""ShareGPT's, by their names in a request."""

KNOWN = frozenset(
    ("prompt", "messages", "system", "expected", "equals", "contains", "regex", "schema", "max_tokens", "model")
)
"""Fields of a row of Slipway's own form."""


@dataclass(frozen=True)
class Case:
    """`messages`: a conversation to go on with; or `prompt`, a text to go on with as it stands. `expected`: what a good answer
    is like; the other four are what it has to be. `model`: the only one that is asked. `id`: by what is asked and known."""

    place: str
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    expected: str | None = None
    equals: str | None = None
    contains: tuple[str, ...] = ()
    regex: str | None = None
    schema: str | None = None
    """As JSON."""
    max_tokens: int | None = None
    model: str | None = None
    id: str = ""

    @property
    def demands(self) -> bool:
        """Whether an answer can be right or wrong."""
        return self.equals is not None or bool(self.contains) or self.regex is not None or self.schema is not None

    @property
    def asked(self) -> str:
        """What stands for the row in a list: the last thing that is said."""
        return self.messages[-1][1] if self.messages else self.prompt


@dataclass(frozen=True)
class Answer:
    """`text` None: the server refused the request; `refused` is its code, `said` its reason. `finish`: why the answer ended.
    `seconds`: until it was whole."""

    text: str | None
    finish: str = ""
    tokens: int | None = None
    seconds: float = 0.0
    refused: str = ""
    said: str = ""


@dataclass(frozen=True)
class Dataset:
    """`notes`: what of the files was not taken into account."""

    files: tuple[str, ...]
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Text, ...] = ()

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(each.id for each in self.cases).encode()).hexdigest()


class _Wrong(Exception):
    """A row that can't be read; the sentence says why."""

    def __init__(self, sentence: Text) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


@dataclass(frozen=True)
class Template:
    """The text in which rows were put together for a training on plain text; what fills its last hole is what is learned."""

    text: str
    columns: tuple[str, ...]


def joined(found: Sequence[Dataset]) -> Dataset:
    """As one, each row under an id of its own."""
    seen: Counter[str] = Counter()
    cases: list[Case] = []
    for each in (case for one in found for case in one.cases):
        known = json.dumps({**asdict(each), "place": "", "id": ""}, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(known.encode()).hexdigest()[:16]
        seen[digest] += 1
        cases.append(replace(each, id=digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"))
    again = sum(seen.values()) - len(seen)
    notes = [note for one in found for note in one.notes]
    if again:
        notes.append(Text("Rows that are the same as an earlier one: {count}. Each is asked.", count=again))
    return Dataset(
        tuple(file for one in found for file in one.files),
        tuple(cases),
        tuple(problem for one in found for problem in one.problems),
        tuple(notes),
    )


def read_dataset(file: Path, shown: str, template: Template | None = None) -> Dataset:
    """`shown`: what the file is called in messages. `template`: of a fine-tuning on plain text, whose rows are columns. Raises
    WorkspaceError where the file can't be read at all."""
    cases: list[Case] = []
    problems: list[Problem] = []
    unread: dict[str, int] = {}
    for line, document in _documents(read_text(file, shown)):
        try:
            row = _object(document)
            filled = template is not None and all(each in row for each in template.columns)
            case = _templated(row, template) if template is not None and filled else _case(row, unread, line)
        except _Wrong as wrong:
            problems.append(Problem(str(file), shown, line, 1, wrong.sentence))
        else:
            cases.append(replace(case, place=f"{shown}:{line}"))
    notes = [
        Text("{file}, line {line}: the field {name} is not read.", file=shown, line=line, name=name)
        for name, line in sorted(unread.items(), key=lambda each: each[1])
    ]
    return Dataset((shown,), tuple(cases), tuple(problems), tuple(notes))


def _documents(text: str) -> Iterator[tuple[int, object]]:
    """Each row with its line: of a list in JSON, else of lines that are a document each. What is no JSON comes as _Wrong."""
    if text.lstrip().startswith("["):
        yield from _listed(text)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except json.JSONDecodeError as error:
            yield number, _Wrong(Text("This is no JSON: {problem}", problem=error.msg))
        except RecursionError as error:
            yield number, _Wrong(Text("This is no JSON: {problem}", problem=error))


def _listed(text: str) -> Iterator[tuple[int, object]]:
    """Up to the first fault: after that nothing says where a row begins."""
    reader = json.JSONDecoder()
    at, counted, line, first = text.index("[") + 1, 0, 1, True
    while True:
        at = _after_space(text, at)
        if not first and text[at : at + 1] == ",":
            at = _after_space(text, at + 1)
        elif not first and text[at : at + 1] != "]":
            line += text.count("\n", counted, at)
            yield line, _Wrong(Text("This is no JSON: {problem}", problem="Expecting ',' delimiter"))
            return
        line, counted = line + text.count("\n", counted, at), at
        if text[at : at + 1] == "]":
            return
        try:
            document, at = reader.raw_decode(text, at)
        except json.JSONDecodeError as error:
            wrong = line + text.count("\n", counted, error.pos)
            yield wrong, _Wrong(Text("This is no JSON: {problem}", problem=error.msg))
            return
        except RecursionError as error:
            yield line, _Wrong(Text("This is no JSON: {problem}", problem=error))
            return
        yield line, document
        first = False


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _object(document: object) -> dict[str, Any]:
    if isinstance(document, _Wrong):
        raise document
    if not isinstance(document, dict):
        raise _Wrong(Text("A row is an object in JSON: with prompt or messages, or as chat models are fine-tuned."))
    return cast("dict[str, Any]", document)


def _case(row: Mapping[str, Any], unread: dict[str, int], line: int) -> Case:
    if "conversations" in row:
        return _conversation([_shared(each) for each in _list(row, "conversations")], system=_text(row, "system"))
    if "instruction" in row and ("output" in row or "input" in row):
        asked = "\n\n".join(filter(None, (_text(row, "instruction"), _text(row, "input"))))
        system = [("system", said)] if (said := _text(row, "system")) else []
        return _of(Case("", (*system, ("user", asked)), expected=_text(row, "output") or None))
    if "prompt" in row and "completion" in row:
        return _completed(row)
    for name in row:
        if name not in KNOWN:
            unread.setdefault(name, line)
    if ("prompt" in row) == ("messages" in row):
        if "prompt" in row:
            raise _Wrong(Text("A row has either prompt or messages."))
        known = "prompt, messages, conversations, instruction + output, prompt + completion"
        raise _Wrong(Text("Nothing says what is to be asked. A row has one of: {forms}.", forms=known))
    return _own(row)


def _own(row: Mapping[str, Any]) -> Case:
    system = _text(row, "system")
    if "prompt" in row:
        case = Case("", (*([("system", system)] if system else []), ("user", _text(row, "prompt"))))
    else:
        case = _conversation([_message(each) for each in _list(row, "messages")], system=system)
    stated = row.get("contains")
    contains = (stated,) if isinstance(stated, str) else () if stated is None else tuple(_list(row, "contains"))
    if not all(isinstance(each, str) and each for each in contains):
        raise _Wrong(Text("{field} must be a text, or a list of texts.", field="contains"))
    case = replace(
        case,
        expected=_optional(row, "expected") if row.get("expected") is not None else case.expected,
        equals=_optional(row, "equals"),
        contains=cast("tuple[str, ...]", contains),
        regex=_regex(row),
        schema=_schema(row),
        max_tokens=_tokens(row),
        model=_optional(row, "model"),
    )
    return _of(case)


def _of(case: Case) -> Case:
    if not case.asked.strip():
        raise _Wrong(Text("What is asked is empty."))
    return case


def _conversation(said: Sequence[Message], *, system: str = "") -> Case:
    """What the assistant says last is what is expected; what it said before is part of the question."""
    messages = [("system", system), *said] if system and not any(who == "system" for who, _ in said) else [*said]
    expected = messages.pop()[1] if messages and messages[-1][0] == "assistant" else None
    if not messages or messages[-1][0] == "assistant":
        raise _Wrong(Text("The conversation asks nothing: it needs a turn of the user before the last answer."))
    return _of(Case("", tuple(messages), expected=expected))


def _completed(row: Mapping[str, Any]) -> Case:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        every = [*_list(row, "prompt"), *_list(row, "completion")]
        return _conversation([_message(each) for each in every])
    return _of(Case("", (("user", _text(row, "prompt")),), expected=_text(row, "completion") or None))


def _templated(row: Mapping[str, Any], template: Template) -> Case:
    """The text up to the last hole is what the model goes on with, as it was trained to."""
    holes = list(re.finditer(r"\{(\w+)\}", template.text))
    head = template.text[: holes[-1].start()]
    values = {name: _plain(row, name) for name in template.columns}
    asked = re.sub(r"\{(\w+)\}", lambda hole: values.get(hole[1], hole[0]), head).rstrip(" ")
    return _of(Case("", prompt=asked, expected=values.get(holes[-1][1])))


def _plain(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _message(each: object) -> Message:
    said = cast("dict[str, object]", each) if isinstance(each, dict) else {}
    who, what = said.get("role"), said.get("content")
    if who not in ("system", "user", "assistant") or not isinstance(what, str):
        raise _Wrong(Text("A message has a role (system, user or assistant) and a content that is a text."))
    return str(who), what


def _shared(each: object) -> Message:
    said = cast("dict[str, object]", each) if isinstance(each, dict) else {}
    who, what = SPEAKERS.get(str(said.get("from"))), said.get("value")
    if who is None or not isinstance(what, str):
        raise _Wrong(Text("A turn of conversations has from (system, human or gpt) and a value that is a text."))
    return who, what


def _list(row: Mapping[str, Any], name: str) -> list[object]:
    value = row[name]
    if not isinstance(value, list) or not value:
        raise _Wrong(Text("{field} must be a list that is not empty.", field=name))
    return cast("list[object]", value)


def _text(row: Mapping[str, Any], name: str) -> str:
    return _optional(row, name) or ""


def _optional(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise _Wrong(Text("{field} must be a text.", field=name))
    return value


def _regex(row: Mapping[str, Any]) -> str | None:
    pattern = _optional(row, "regex")
    try:
        re.compile(pattern or "")
    except (re.error, OverflowError, RecursionError) as error:
        raise _Wrong(Text("regex is no regular expression: {problem}", problem=error)) from error
    return pattern


def _schema(row: Mapping[str, Any]) -> str | None:
    value = row.get("schema")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _Wrong(Text("schema must be a JSON Schema: an object."))
    problem = wrong_schema(cast("dict[str, Any]", value))
    if problem is not None:
        raise _Wrong(Text("schema is no JSON Schema: {problem}", problem=problem))
    return json.dumps(value, ensure_ascii=False)


def _tokens(row: Mapping[str, Any]) -> int | None:
    value = row.get("max_tokens")
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise _Wrong(Text("max_tokens must be a whole number from 1 on."))
    return value
