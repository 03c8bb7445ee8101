"""YAML as Bicep's versions agree to read it: a pure function of the text.

Bicep reads YAML 1.2's core schema by a library whose versions differ: some read a quoted '80' as a number, some spoil the line
end of a last block of text, some refuse aliases. Where they differ, or may, nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import yaml

DEEPEST = 100
_PLAIN: Mapping[str, bool | None] = {
    **dict.fromkeys(("null", "Null", "NULL", "~"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"-?[1-9][0-9]*|0")
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_INTEGERS = range(-(2**63), 2**63)
_UNCLEAR = re.compile(
    r"|~|null|true|false|[-+]?(?:\.?inf|infinity|\u221e|\.?nan)|[-+]?0[xob][0-9a-f]+"
    r"|[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?",
    re.IGNORECASE,
)
"""Without _ and commas: what is a number, a truth value or nothing to one version, and a text to another."""
_STRANGE = re.compile("[^\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_DIFFER = "which Bicep's versions read differently (JSON is certain)"
Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C library's parser, several times as fast; an installation from source may lack it."""


class NoYamlError(Exception):
    """The text is no YAML: the line, and why."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line, self.problem = line, problem


class UnclearError(Exception):
    """The text may be YAML, but what Bicep makes of it is not certain: the line, and of what."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line, self.what = line, what


def read_yaml(text: str, loader: type[yaml.SafeLoader] = Loader) -> object:
    """The value of the text's one document. Raises NoYamlError and UnclearError."""
    if strange := _STRANGE.search(text):
        line = len(re.findall(r"\r\n|\n|\r", text[: strange.start()])) + 1
        raise UnclearError(line, f"the character U+{ord(strange[0]):04X}, {_DIFFER}")
    try:
        return _Reader(_events(text, loader), text.endswith(("\n", "\r"))).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NoYamlError(mark.line + 1 if mark else 1, error.problem or error.context or "?") from error


def _events(text: str, loader: type[yaml.SafeLoader]) -> Iterator[yaml.Event]:
    return yaml.parse(text, loader)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class _Reader:
    def __init__(self, events: Iterator[yaml.Event], ended: bool) -> None:
        """`ended`: whether the text's last line has its end."""
        self._events, self._ended = events, ended
        self._last: yaml.ScalarEvent | None = None

    def document(self) -> object:
        next(self._events)  # the stream's start
        start = next(self._events)
        if not isinstance(start, yaml.DocumentStartEvent):
            raise NoYamlError(1, "it is empty.")
        if start.version or start.tags:
            raise _unclear(start, "directives")
        value = self._value(next(self._events), False, 1)
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _unclear(after, "a second document")
        if value is None:
            raise NoYamlError(1, "it is empty.")
        if self._last is not None and self._last.style == "|" and (self._last.value.endswith("\n") or not self._ended):
            raise _unclear(self._last, "the end of a last block of text (|- and a line end are certain)")
        return value

    def _value(self, event: yaml.Event, flow: bool, depth: int) -> object:
        if depth > DEEPEST:
            raise UnclearError(event.start_mark.line + 1, f"what is nested more than {DEEPEST} deep")
        match event:
            case yaml.NodeEvent(anchor=str()):
                raise _unclear(event, "anchors and aliases")
            case yaml.ScalarEvent(tag=str()) | yaml.CollectionStartEvent(tag=str()):
                raise _unclear(event, "tags")
            case yaml.ScalarEvent():
                return self._scalar(event, flow)
            case yaml.SequenceStartEvent():
                return self._list(event, depth)
            case yaml.MappingStartEvent():
                return self._object(event, depth)
            case _:
                raise AssertionError(f"no value: {event!r}")

    def _list(self, start: yaml.SequenceStartEvent, depth: int) -> list[object]:
        found: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._value(event, bool(start.flow_style), depth + 1))
        return found

    def _object(self, start: yaml.MappingStartEvent, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        flow = bool(start.flow_style)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, flow, depth + 1)
            if key in found:
                raise _unclear(event, f"the key {key} a second time")
            found[key] = self._value(next(self._events), flow, depth + 1)
        return found

    def _key(self, event: yaml.Event, flow: bool, depth: int) -> str:
        """In quotes it is always a text, but in all versions only if it stands for nothing else."""
        if isinstance(event, yaml.ScalarEvent) and event.style in ("'", '"') and not event.anchor and not event.tag:
            key: object = str(event.value)
        else:
            key = self._value(event, flow, depth)
        if not isinstance(key, str):
            raise _unclear(event, "a key that is no text (in quotes it is)")
        if key in ("", "<<", "=") or _STRANGE.search(key):
            raise _unclear(event, f"the key '{key}'")
        return key

    def _scalar(self, event: yaml.ScalarEvent, flow: bool) -> str | int | bool | None:
        self._last, text = event, event.value
        plain = not event.style
        if plain and text in _PLAIN:
            return _PLAIN[text]
        if plain and len(text) <= 20 and _WHOLE.fullmatch(text) and int(text) in _INTEGERS:
            return int(text)
        if plain and _FRACTION.fullmatch(text):
            raise UnclearError(event.start_mark.line + 1, f"{text}, a number with a fraction")
        if plain and not text:
            raise _unclear(event, "a value that is missing (null says so)")
        if _UNCLEAR.fullmatch(re.sub("[_,]", "", text.strip())):
            raise _unclear(event, f"{text.strip()[:40] if plain else repr(text[:40])}")
        if event.style == ">" or (event.style == "|" and (text[:1] in " \n" or text.endswith("\n\n"))):
            raise _unclear(event, "a block of text that is folded, or begins or ends with blanks")
        if (plain and flow and (":" in text or "?" in text)) or _STRANGE.search(text.replace("\t", " ")):
            raise _unclear(event, "characters of this text")
        return text


def _unclear(event: yaml.Event, what: str) -> UnclearError:
    return UnclearError(event.start_mark.line + 1, f"{what}, {_DIFFER}")
