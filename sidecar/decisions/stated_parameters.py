"""Whether the template can take what the parameters files state, and what it gets where they state nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from sidecar.core.deployment import SWITCHES, Template, VaultSecret
from sidecar.words.nearest import nearest
from sidecar.words.text import Text

Declared = Mapping[str, object]

SET_BY_US = frozenset({"projectId", "apiKey", "deployKey", *SWITCHES.values()})
"""Parameters that Slipway itself sets."""
DOCUMENTED: dict[str, object] = {
    "location": "[resourceGroup().location]",
    "maximumInstanceCount": 1,
    **{
        name: f"[format('{prefix}{{0}}', take(uniqueString(resourceGroup().id), 5))]"
        for name, prefix in (
            ("storageAccountName", "aistorage"),
            ("fileShareName", "aifileshare"),
            ("acaEnvironmentName", "aienv"),
            ("acaEnvironmentStorageName", "aienvstorage"),
            ("acaAppName", "aiacaapp"),
            ("acaLogAnalyticsName", "ailog"),
        )
    },
}
"""What null means by the documents, for a template that declares the parameter without a default of its own."""


@dataclass(frozen=True)
class Misstated:
    """`name`: as the file has it."""

    name: str
    code: str
    sentence: Text
    near: str | None = None
    """What it may have been meant to be."""


def misstated(template: Template, stated: Mapping[str, object]) -> tuple[Misstated, ...]:
    """Every parameter that the template would refuse. `stated`: values without nulls."""
    declared = _declared(template)
    found: list[Misstated] = []
    for name, value in stated.items():
        known = declared.get(name.lower())
        if known is None:
            near = nearest(name, _parameters(template), 0.7)
            found.append(Misstated(name, "InvalidTemplateParameter", _unknown(name, template, near), near))
            continue
        sentence = None if isinstance(value, VaultSecret) else _refused(name, value, known)
        if sentence is not None:
            found.append(Misstated(name, "InvalidParameterValue", sentence))
    return tuple(found)


def without_value(template: Template, stated: Mapping[str, object], ours: frozenset[str]) -> tuple[str, ...]:
    """Parameters that nobody gives a value: not stated, without a default, not nullable, not set by Slipway itself (`ours`)."""
    given = {name.lower() for name in (*stated, *ours)}
    return tuple(
        name
        for name, known in _parameters(template).items()
        if name.lower() not in given and "defaultValue" not in known and known.get("nullable") is not True
    )


def with_documented_defaults(template: Template, stated: Mapping[str, object]) -> Template:
    """The template with the documents' defaults where it has none and nothing is stated: null means default with it too."""
    wanted = {name.lower(): value for name, value in DOCUMENTED.items()}
    lacking = [name for name in without_value(template, stated, frozenset()) if name.lower() in wanted]
    if not lacking:
        return template
    parameters = _parameters(template)
    filled = {name: {**parameters[name], "defaultValue": wanted[name.lower()]} for name in lacking}
    return {**template, "parameters": {**parameters, **filled}}


def _unknown(name: str, template: Template, near: str | None) -> Text:
    if near is not None:
        return Text("The template has no parameter {name}: did you mean {near}?", name=name, near=near)
    known = ", ".join(sorted(_parameters(template)))
    return Text("The template has no parameter {name}. It has: {known}.", name=name, known=known)


KINDS: dict[str, tuple[type[object], Text]] = {
    "string": (str, Text("a text")),
    "securestring": (str, Text("a text")),
    "int": (int, Text("a whole number")),
    "bool": (bool, Text("true or false")),
    "array": (list, Text("a list")),
    "object": (dict, Text("an object")),
    "secureobject": (dict, Text("an object")),
}
NOUNS: dict[type[object], Text] = {**dict(KINDS.values()), float: Text("a number")}


def _refused(name: str, value: object, known: Declared) -> Text | None:
    kind, noun = KINDS.get(str(known.get("type", "")).lower(), (object, Text("")))
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        given = NOUNS.get(type(value), Text("something else"))
        return Text("{name} has to be {needed}, not {given}.", name=name, needed=noun, given=given)
    allowed = cast("list[object]", known.get("allowedValues") or [])
    if allowed and str(value).lower() not in {str(each).lower() for each in allowed}:
        told = {"name": name, "value": value, "allowed": ", ".join(map(str, allowed))}
        return Text("{name} can't be {value}; it may be: {allowed}.", **told)
    return _out_of_bounds(name, value, known)


def _out_of_bounds(name: str, value: object, known: Declared) -> Text | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        if _lies(value, known.get("minValue"), known.get("maxValue")):
            return None
        return Text("{name} is {value}; {bounds}.", name=name, value=value, bounds=_bounds(known, "Value"))
    if isinstance(value, (str, list)):
        length = len(cast("str", value))
        if not _lies(length, known.get("minLength"), known.get("maxLength")):
            return Text(
                "{name} has the length {length}; {bounds}.", name=name, length=length, bounds=_bounds(known, "Length")
            )
    return None


def _lies(size: int, low: object, high: object) -> bool:
    return not (isinstance(low, int) and size < low) and not (isinstance(high, int) and size > high)


def _bounds(known: Declared, what: str) -> Text:
    low, high = known.get(f"min{what}"), known.get(f"max{what}")
    if low is None or high is None:
        return Text("at most {high}", high=high) if low is None else Text("at least {low}", low=low)
    return Text("from {low} to {high}", low=low, high=high)


def _parameters(template: Template) -> dict[str, dict[str, object]]:
    return cast("dict[str, dict[str, object]]", template.get("parameters") or {})


def _declared(template: Template) -> dict[str, dict[str, object]]:
    return {name.lower(): known for name, known in _parameters(template).items()}
