"""What is shown nowhere: values of the environment's variables that a parameters file reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from sidecar.words.errors import SlipwayError
from sidecar.words.text import Text

SHORTEST = 4
"""Characters of a value that is masked within a text: shorter ones stand in everything, and are where they are all of it."""
QUOTES = "\"'`"
"""How sentences and documents quote a value."""


class Mask:
    """`hidden`: parameters with what they are given, and the variables, with what these hold, that this is made of."""

    def __init__(self, hidden: Mapping[str, Mapping[str, str]], values: Mapping[str, object]) -> None:
        found: dict[str, str] = {}
        for parameter, variables in hidden.items():
            for name, held in variables.items():
                found.setdefault(held, name)
            for each in _texts(values.get(parameter)):
                found.setdefault(each, next(iter(variables)))
        every = {value: f"‹{name}›" for value, name in found.items() if len(value) >= SHORTEST}
        self._shown = sorted(every.items(), key=lambda each: -len(each[0]))
        self._whole = {value: f"‹{name}›" for value, name in found.items() if 0 < len(value) < SHORTEST}

    def learn(self, stated: object, there: object) -> None:
        """What is there in place of what is hidden is hidden too: it may be what a variable held before."""
        if isinstance(stated, str):
            if self.said(stated) != stated and isinstance(there, str) and len(there) >= SHORTEST:
                self._shown.append((there, self.said(stated)))
                self._shown.sort(key=lambda each: -len(each[0]))
            elif self.said(stated) != stated and isinstance(there, str) and there:
                self._whole[there] = self.said(stated)
        elif isinstance(stated, dict) and isinstance(there, dict):
            held = cast("dict[str, object]", there)
            for key, each in cast("dict[str, object]", stated).items():
                self.learn(each, held.get(key))
        elif isinstance(stated, list) and isinstance(there, list):
            items = cast("list[object]", there)
            for place, each in enumerate(cast("list[object]", stated)):
                self.learn(each, _alike(each, items, place))

    def __bool__(self) -> bool:
        return bool(self._shown or self._whole)

    def said(self, text: str) -> str:
        if text in self._whole:
            return self._whole[text]
        for value, shown in self._whole.items():
            for quote in QUOTES:
                text = text.replace(f"{quote}{value}{quote}", f"{quote}{shown}{quote}")
        for value, shown in self._shown:
            text = text.replace(value, shown)
        return text

    def text(self, text: Text) -> Text:
        if not self:
            return text
        held = {name: self.text(each) if isinstance(each, Text) else self.said(each) for name, each in text.args}
        return Text.again(text.message, held)

    def document(self, value: object) -> object:
        """JSON without what is hidden: its texts, its keys, and the numbers that are made of it."""
        if isinstance(value, dict):
            held = cast("dict[str, object]", value)
            return {self.said(key): self.document(each) for key, each in held.items()}
        if isinstance(value, list | tuple):
            return [self.document(each) for each in cast("list[object]", value)]
        if value is None or isinstance(value, bool):
            return value
        masked = self.said(str(value))
        return value if masked == str(value) else masked


def _alike(wanted: object, items: list[object], place: int) -> object:
    """The item of that name, else of that place."""
    name = _name(wanted)
    if name is not None:
        return next((each for each in items if _name(each) == name), None)
    return items[place] if place < len(items) else None


def _name(item: object) -> object:
    return cast("dict[str, object]", item).get("name") if isinstance(item, dict) else None


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        held = cast("list[object]", value) if isinstance(value, list) else cast("dict[str, object]", value).values()
        for each in held:
            yield from _texts(each)


NOTHING = Mask({}, {})


def mask_error(error: SlipwayError, mask: Mask) -> None:
    """Takes what is hidden out of what a failure says."""
    error.message = mask.text(error.message)
    error.args = (str(error.message),)
    error.suggestion = None if error.suggestion is None else mask.text(error.suggestion)
    error.detail = None if error.detail is None else mask.said(error.detail)
    error.problems = tuple(replace(each, message=mask.text(each.message)) for each in error.problems)
