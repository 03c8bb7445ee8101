"""An answer's text read as it grows: the model's thoughts, what it says, and the calls that it writes of its own accord."""

import json
import re
import secrets
import string
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from inference.engine.text.chat_template import CallForm
from inference.engine.text.tokenizer import overlap

ID_LETTERS = string.ascii_letters + string.digits
"""Of a call's id, which has nine of them: templates of the Mistral family refuse any other when it is given back."""
THINK, THOUGHT = "<think>", "</think>"


def new_id() -> str:
    return "".join(secrets.choice(ID_LETTERS) for _ in range(9))


@dataclass(frozen=True)
class Call:
    """`arguments`: JSON as text."""

    name: str
    arguments: str
    id: str = field(default_factory=new_id)


@dataclass(frozen=True)
class Mark:
    """What a call stands behind, and before; without an end it ends with its JSON."""

    start: str
    end: str = ""


BARE = Mark("")
MARKS: Mapping[CallForm, tuple[Mark, ...]] = {
    "tags": (Mark("<tool_call>", "</tool_call>"),),
    "mistral": (Mark("[TOOL_CALLS]"),),
    "llama": (Mark("<|python_tag|>"),),
    "phi": (Mark("<|tool_call|>", "<|/tool_call|>"), Mark("functools")),
}
BEGINNING = re.compile(r'\{\s*(?:"(\w*)("?))?')
KEYS = ("name", "type", "function", "parameters", "arguments")
"""One of which a bare call begins with."""
NAMED = re.compile(r"\s*(?:([\w.-]+)(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?)?\s*(?=[\[{])")
"""Mistral's newer models write a call's name before its arguments."""


class CallScanner:
    """Finds calls in a text. Whatever turns out to be none is text again: nothing is lost."""

    def __init__(self, form: CallForm, names: Collection[str]) -> None:
        self._marks = MARKS[form]
        self._bare = form == "llama"
        self._names = names
        self._inside: Mark | None = None
        self._held: str = ""
        self._space: str = ""
        """Before the mark that is read: it is text again where there is no call."""
        self._between: str = ""
        """What stands between calls, and is skipped: set once there was one."""
        self._begun = False

    def push(self, text: str, final: bool) -> Iterator[str | Call]:
        """What is certain now, in its order."""
        self._held += text
        while self._held or (final and self._inside is not None):
            if self._inside is None:
                yield from self._said(final)
                if self._inside is None:
                    return
            elif final or "}" in text or "]" in text or (self._inside.end and self._inside.end in self._held):
                found = self._complete(self._inside, final)
                if found is None:
                    return
                yield from found
            else:
                return

    def _said(self, final: bool) -> Iterator[str]:
        """Text up to the next call. What may be the beginning of a mark is kept, and white space that may stand before one."""
        if self._between:
            self._held = self._held.lstrip(self._between)
            if not self._held:
                return
        if self._bare and not self._begun and self._may_be_bare(final):
            self._inside, self._space = BARE, ""
            return
        places = [(place, mark) for mark in self._marks if (place := self._held.find(mark.start)) >= 0]
        if places:
            place, self._inside = min(places, key=lambda found: found[0])
            before, self._held = self._held[:place], self._held[place + len(self._inside.start) :]
            said = before.rstrip()
            self._space = before[len(said) :]
        elif final:
            said, self._held = self._held, ""
        else:
            keep = max(overlap(self._held, mark.start) for mark in self._marks)
            said = self._held[: len(self._held) - keep].rstrip()
            self._held = self._held[len(said) :]
        if said:
            self._begun, self._between = True, ""
            yield said

    def _may_be_bare(self, final: bool) -> bool:
        begun = self._held.lstrip()
        if not begun.startswith("{"):
            return False
        key, closed = cast("re.Match[str]", BEGINNING.match(begun)).groups(default="")
        rest = begun[1:].lstrip()
        if not rest:
            return not final
        if not rest.startswith('"'):
            return False
        return key in KEYS if closed else any(each.startswith(key) for each in KEYS) and not final

    def _complete(self, mark: Mark, final: bool) -> list[str | Call] | None:
        """The calls behind a mark; the text that it was where it is none; None where the rest has yet to come."""
        payload, rest, ended = self._held, "", final
        if mark.end:
            before, found, after = self._held.partition(mark.end)
            payload, rest, ended = before, after, final or bool(found)
            calls = calls_of(payload) if ended else None
        else:
            calls, rest = self._json(mark)
        if calls is None and not ended:
            return None
        self._inside = None
        if calls is None:
            self._begun = True
            text = self._held if not mark.end else payload + (mark.end if payload != self._held else "")
            self._held = rest if mark.end else ""
            return [self._space + mark.start + text]
        self._held, self._between = rest, "; \t\r\n" if self._bare else " \t\r\n"
        return list(calls)

    def _json(self, mark: Mark) -> tuple[list[Call] | None, str]:
        start = NAMED.match(self._held)
        if start is None:
            return None, ""
        try:
            value, end = json.JSONDecoder().raw_decode(self._held, start.end())
        except (ValueError, RecursionError):
            return None, ""
        read = [Call(start[1], as_text(value))] if start[1] else calls_in(value)
        if read is None or (mark is BARE and any(call.name not in self._names for call in read)):
            return None, ""
        return read, self._held[end:]


def calls_of(payload: str) -> list[Call] | None:
    """None where it is no call."""
    try:
        return calls_in(json.loads(payload))
    except (ValueError, RecursionError):
        return None


def calls_in(value: Any) -> list[Call] | None:
    several = cast("list[Any]", value) if isinstance(value, list) else [value]
    found: list[Call] = []
    for each in several:
        if not isinstance(each, dict):
            return None
        given = cast("dict[str, Any]", each)
        inner: Any = given.get("function", given)
        call = cast("dict[str, Any]", inner) if isinstance(inner, dict) else given
        name = call.get("name")
        if not isinstance(name, str) or not name:
            return None
        found.append(Call(name, as_text(call.get("arguments", call.get("parameters", {})))))
    return found or None


def as_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


class ThoughtSplitter:
    """Tells thoughts from what is said. They come first, between tags; `inside`: the prompt has opened them already."""

    def __init__(self, inside: bool) -> None:
        self._inside = inside
        self._over = False
        self._begun = False
        """Whether anything of the thoughts, or of what follows them, has come: white space before either is none of it."""
        self._held: str = ""

    def push(self, text: str, final: bool) -> tuple[str, str]:
        """Thoughts and text that are certain now."""
        if self._over:
            return "", self._first(text)
        self._held += text
        if not self._inside:
            begun = self._held.lstrip()
            if not begun.startswith(THINK):
                if THINK.startswith(begun) and not final:
                    return "", ""
                self._over, self._begun, said, self._held = True, True, self._held, ""
                return "", said
            self._inside, self._held = True, begun[len(THINK) :]
        thoughts, found, rest = self._held.partition(THOUGHT)
        if found:
            told = self._first(thoughts.rstrip())
            self._over, self._begun, self._held = True, False, ""
            return told, self._first(rest)
        certain = thoughts if final else thoughts[: len(thoughts) - overlap(thoughts, THOUGHT)].rstrip()
        self._held = self._held[len(certain) :]
        return self._first(certain), ""

    def _first(self, text: str) -> str:
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        return text


@dataclass(eq=False)
class Reading:
    """One answer while it is read. `hidden`: special tokens that are written for the calls' sake and are no text."""

    thoughts: ThoughtSplitter | None = None
    calls: CallScanner | None = None
    hidden: re.Pattern[str] | None = None
    one: bool = False
    number: int = 0
    """Of calls so far."""

    def push(self, text: str, final: bool) -> tuple[str, list[str | Call]]:
        """Thoughts, and then text and calls in their order, as far as they are certain."""
        if self.hidden is not None:
            text = self.hidden.sub("", text)
        thought, said = self.thoughts.push(text, final) if self.thoughts is not None else ("", text)
        if self.calls is None:
            return thought, [said] if said else []
        found: list[str | Call] = []
        for piece in self.calls.push(said, final):
            if isinstance(piece, Call):
                if self.one and self.number:
                    continue  # one at a time was asked for
                self.number += 1
            found.append(piece)
        return thought, found


Begin = Callable[[], Reading]
