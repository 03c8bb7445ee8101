"""Chat templates as popular models publish them, beside what transformers renders of each (made there, as data)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson

from inference.engine.text import chat_template
from inference.engine.text.tokenizer import TemplateError, Tokenizer, load_tokenizer
from inference.messages import ChatRequest, parse
from tests.support.published_shapes import PUBLISHED
from tests.support.tiny_models import words, write_json

RENDERED = PUBLISHED / "rendered.json"
DAY = "2026-01-01"
"""On which they were rendered."""


class Fixed(datetime):
    @classmethod
    def now(cls, tz: object = None):
        return cls.fromisoformat(DAY)


@contextmanager
def on_the_day() -> Generator[None]:
    with patch.object(chat_template, "datetime", Fixed):  # patched: templates write the day
        yield


KINDER = {
    "07-tool-call-string-arguments-answered": "arguments are an object for the template, as it expects, though they come as text",
    "13-null-content-tool-call-only": "a message that is a call alone has an empty text for the template",
    "14-content-parts": "parts of text are one text for the template",
}
"""Where this server renders what transformers renders otherwise or not at all, since the API's form is not the template's."""


@dataclass(frozen=True)
class Played:
    """How many conversations came out as transformers has them, or were refused there and here; how many were helped, in which
    functions are told in words or the API's form is brought to the template's; and what is wrong."""

    equal: int
    helped: int
    wrong: tuple[str, ...]


@cache
def oracle() -> Mapping[str, Any]:
    """By model; empty where it is not beside the project."""
    return json.loads(RENDERED.read_text(encoding="utf-8"))["models"] if RENDERED.exists() else {}


@cache
def conversations() -> list[dict[str, Any]]:
    return json.loads((PUBLISHED / "conversations.json").read_text(encoding="utf-8"))["conversations"]


def tokenizer_of(model: str, folder: Path) -> Tokenizer:
    """As the server reads the published files; where the settings were not published, with the special tokens of the oracle."""
    folder.mkdir(parents=True)
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        if (PUBLISHED / model / name).exists():
            shutil.copy(PUBLISHED / model / name, folder)
    if not (folder / "tokenizer_config.json").exists():
        write_json(folder / "tokenizer_config.json", oracle()[model]["special_tokens"])
    words(8).save(str(folder / "tokenizer.json"))
    return load_tokenizer(folder, {"vocab_size": 8})


def rendered_here(tokenizer: Tokenizer, conversation: Mapping[str, Any]) -> str:
    """Sent as a request, word for word."""
    body = {
        "messages": conversation["messages"],
        "tools": conversation["tools"],
        "chat_template_kwargs": conversation["template_kwargs"],
    }
    asked = parse(ChatRequest, orjson.dumps(body))
    return tokenizer.render([message.plain() for message in asked.messages], asked.tools, asked.switches)


def played(model: str, folder: Path) -> Played:
    tokenizer = tokenizer_of(model, folder)
    assert tokenizer.template is not None
    should = oracle()[model]["rendered"]
    found: list[str] = []
    for conversation in conversations():
        if conversation["add_generation_prompt"]:  # the API always asks for an answer
            found.append(judged(tokenizer, conversation, should))
    wrong = tuple(each for each in found if each not in {"equal", "helped"})
    return Played(found.count("equal"), found.count("helped"), wrong)


def judged(tokenizer: Tokenizer, conversation: Mapping[str, Any], rendered: Mapping[str, Any]) -> str:
    """`equal`, `helped`, or what is wrong."""
    name, should = conversation["id"], rendered[conversation["id"]]
    try:
        said = rendered_here(tokenizer, conversation)
    except TemplateError as error:
        plainly = rendered["02-system-user"]  # some refuse a system message, whatever its form
        ours_to_render = "text" in should or (name in KINDER and "text" in plainly)
        return f"{name}: refused: {error}" if ours_to_render else "equal"
    functions = [tool["function"]["name"] for tool in conversation["tools"] or []]
    if not all(function in said for function in functions):
        return f"{name}: a function was dropped"
    if said == should.get("text"):
        return "equal"
    in_words = bool(functions) and tokenizer.template is not None and tokenizer.template.takes_tools != "variable"
    if in_words or name in KINDER:
        return "helped"
    return f"{name}:\n   {said!r}\n   {should.get('text') or should['message']!r}"
