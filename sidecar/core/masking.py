"""What is shown nowhere: values of the environment's variables that a parameters file reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from sidecar.words.errors import SlipwayError
from sidecar.words.text import Text

MARK = "‹"
"""Before the name that stands in a value's place."""
SHORTEST = 4
"""Characters of a value that is masked wherever it stands: shorter ones stand in everything, and are where they are a word of
their own."""


class Mask:
    """`hidden`: parameters with what they are given, and the variables, with what these hold, that this is made of."""

    def __init__(self, hidden: Mapping[str, Mapping[str, str]], values: Mapping[str, object]) -> None:
        found: dict[str, str] = {}
        for parameter, variables in hidden.items():
            for name, held in variables.items():
                found.setdefault(held, name)
            for each in _texts(values.get(parameter)):
                found.setdefault(each, next(iter(variables)))
        self._shown = {value: f"{MARK}{name}›" for value, name in found.items() if value}
        self._pattern: re.Pattern[str] | None = None

    def learn(self, stated: object, there: object) -> None:
        """What is there in place of what is hidden is hidden too: it may be what a variable held before."""
        if isinstance(stated, str):
            if self.said(stated) != stated and isinstance(there, str) and there:
                self.know(there, self.said(stated))
        elif isinstance(stated, dict) and isinstance(there, dict):
            held = cast("dict[str, object]", there)
            for key, each in cast("dict[str, object]", stated).items():
                self.learn(each, held.get(key))
        elif isinstance(stated, list) and isinstance(there, list):
            items = cast("list[object]", there)
            for place, each in enumerate(cast("list[object]", stated)):
                self.learn(each, _alike(each, items, place))

    def know(self, value: str, shown: str) -> None:
        """What is shown in a value's place, where that is not known already."""
        if value:
            self._shown.setdefault(value, shown)
            self._pattern = None

    def __bool__(self) -> bool:
        return bool(self._shown)

    def said(self, text: str) -> str:
        """In one go: what is shown in a value's place is not looked through again."""
        if not self._shown:
            return text
        if self._pattern is None:
            self._pattern = re.compile("|".join(map(_looked_for, sorted(self._shown, key=lambda each: -len(each)))))
        return self._pattern.sub(lambda found: self._shown[found[0]], text)

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


def _looked_for(value: str) -> str:
    escaped = re.escape(value)
    return escaped if len(value) >= SHORTEST else rf"(?<![^\W_]){escaped}(?![^\W_])"


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
