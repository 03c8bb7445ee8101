"""What can be written at a place of a project's file, and what is said of what stands there. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from sidecar.core.deployment import Template
from sidecar.core.evaluation import keys_at, words_at
from sidecar.core.last_read import LastRead
from sidecar.core.located import Member, Span, Value
from sidecar.core.smoke import Question
from sidecar.core.workspace import CONFIG_KEYS
from sidecar.decisions.editor_findings import LOCATION
from sidecar.decisions.profiles import PROFILE_TYPE
from sidecar.words.text import Text


@dataclass(frozen=True)
class Spot:
    """Where the cursor is: `path` leads to the object for a key, to the value for a value. `taken`: keys beside it.
    `colon`: whether one follows the key already."""

    path: tuple[str | int, ...]
    at: Literal["key", "value"]
    place: Span
    taken: tuple[str, ...] = ()
    colon: bool = False


@dataclass(frozen=True)
class Offer:
    """`text` goes in the spot's stead; `$0` in it is where the cursor goes."""

    label: str
    text: str
    detail: str
    about: str | Text = ""


def spot(text: str, value: Value | None, offset: int, path: tuple[str | int, ...] = ()) -> Spot:
    if value is None:
        return Spot(path, "value", Span(offset, offset))
    inside = value.place.start < offset and (offset < value.place.end or not value.closed)
    if value.kind == "object" and inside:
        return _in_object(text, value, offset, path)
    if value.kind == "array" and inside:
        for number, each in enumerate(value.items):
            if each.place.holds(offset):
                return spot(text, each, offset, (*path, number))
        before = sum(each.place.end <= offset for each in value.items)
        return Spot((*path, before), "value", Span(offset, offset))
    return Spot(path, "value", value.place if value.place.holds(offset) else Span(offset, offset))


def _in_object(text: str, value: Value, offset: int, path: tuple[str | int, ...]) -> Spot:
    for each in value.members:
        beside = tuple(other.key for other in value.members if other is not each)
        if each.place.start < offset <= each.place.end:
            return Spot(path, "key", each.place, beside, colon=each.colon is not None)
        if each.colon is None or offset < each.colon:
            continue
        if each.value is not None and each.value.place.holds(offset):
            return spot(text, each.value, offset, (*path, each.key))
        if each.value is None and not text[each.colon : offset].strip():
            return Spot((*path, each.key), "value", Span(offset, offset))
    return Spot(path, "key", Span(offset, offset), tuple(each.key for each in value.members))


def in_parameters(found: Spot, template: Template | None, last: LastRead | None) -> list[Offer]:
    declared = _declared(template)
    if found.at == "key" and found.path == ("parameters",):
        taken = {each.lower() for each in found.taken}
        return [
            Offer(name, _entry(name, known, colon=found.colon), _kind(known), _about(known))
            for name, known in declared.items()
            if name.lower() not in taken
        ]
    if found.at == "key" and len(found.path) == 2 and found.path[0] == "parameters":
        return [] if "value" in found.taken else [Offer("value", '"value"' if found.colon else '"value": $0', "")]
    if found.at == "value" and len(found.path) == 3 and found.path[0] == "parameters" and found.path[2] == "value":
        name = str(found.path[1])
        known = next((each for key, each in declared.items() if key.lower() == name.lower()), dict[str, object]())
        return _values(name, known, last)
    return []


def in_config(found: Spot) -> list[Offer]:
    if found.at == "key" and not found.path:
        missing = [each for each in CONFIG_KEYS if each not in found.taken]
        return [Offer(each, _keyed(each, colon=found.colon), "", KEYS[each]) for each in missing]
    if found.at == "value" and len(found.path) == 1 and found.path[0] in CONFIG_KEYS:
        return [Offer("null", "null", "")]
    return []


def in_smoke(found: Spot) -> list[Offer]:
    if found.at == "key" and len(found.path) == 1:
        taken = {*found.taken, *(("prompt", "messages") if {"prompt", "messages"} & {*found.taken} else ())}
        names = [each for each in Question.model_fields if each not in taken]
        return [Offer(each, _keyed(each, colon=found.colon), "") for each in names]
    if found.at == "value" and not found.path[1:] and found.path:
        return [Offer("prompt", '{ "prompt": "$0", "contains": "" }', "")]
    return []


def in_evaluation(found: Spot) -> list[Offer]:
    if found.at == "key":
        taken = {*found.taken, *(("bound", "verdict") if {"bound", "verdict"} & {*found.taken} else ())}
        return [Offer(each, _keyed(each, colon=found.colon), "") for each in keys_at(found.path) if each not in taken]
    if len(found.path) == 2 and found.path[0] == "thresholds":
        return [Offer("measure", '{ "measure": "$0", "bound": 0.9 }', "")]
    plain = found.path == ("gate",)
    return [Offer(each, each if plain else json.dumps(each), "") for each in words_at(found.path)]


KEYS: Mapping[str, Text] = {
    "SUBSCRIPTION_ID": Text("The subscription that everything below is in."),
    "RESOURCE_GROUP_NAME": Text("The resource group of the app."),
    "STORAGE_ACCOUNT_NAME": Text("The storage account whose share holds base model, adapters and releases."),
    "FILE_SHARE_NAME": Text("That share: the app mounts it."),
    "ACA_APP_NAME": Text("The container app that serves the model."),
    "ACA_APP_ENDPOINT": Text("Where it is asked. Provision writes these six values."),
}


@dataclass(frozen=True)
class Said:
    """`parts`: paragraphs, of which the first is a heading in Markdown."""

    place: Span
    parts: tuple[str | Text, ...]


def said_of_parameter(root: Value, offset: int, template: Template | None) -> Said | None:
    """Of the parameter whose entry is at the offset."""
    parameters = root.member("parameters")
    inside = parameters.value.members if parameters is not None and parameters.value is not None else ()
    entry = _around(inside, offset)
    if entry is None:
        return None
    name, known = next(
        ((key, each) for key, each in _declared(template).items() if key.lower() == entry.key.lower()), ("", None)
    )
    if known is None:
        return None
    default = known.get("defaultValue")
    shown = "" if default is None else f" = `{json.dumps(default, ensure_ascii=False)}`"
    allowed = cast("list[object]", known.get("allowedValues") or [])
    parts: list[str | Text] = [f"**{name}** `{_kind(known)}`{shown}", _about(known)]
    if allowed:
        parts.append(Text("It may be: {allowed}.", allowed=", ".join(f"`{each}`" for each in allowed)))
    return Said(entry.place, tuple(each for each in parts if each))


def said_of_key(root: Value, offset: int) -> Said | None:
    entry = _around(root.members, offset)
    if entry is None or entry.key not in KEYS:
        return None
    return Said(entry.place, (f"**{entry.key}**", KEYS[entry.key]))


def _around(members: Iterable[Member], offset: int) -> Member | None:
    for each in members:
        end = each.place.end if each.value is None else each.value.place.end
        if each.place.start <= offset <= end:
            return each
    return None


def _declared(template: Template | None) -> dict[str, dict[str, object]]:
    return cast("dict[str, dict[str, object]]", (template or {}).get("parameters") or {})


def _kind(known: Mapping[str, object]) -> str:
    return f"{known.get('type', '')}{'?' if known.get('nullable') is True else ''}"


def _about(known: Mapping[str, object]) -> str:
    metadata = known.get("metadata")
    return str(cast("dict[str, object]", metadata).get("description", "")) if isinstance(metadata, dict) else ""


def _entry(name: str, known: Mapping[str, object], *, colon: bool) -> str:
    if colon:
        return f'"{name}"'
    default = known.get("defaultValue")
    plain = "" if default is None or (isinstance(default, str) and default.startswith("[")) else json.dumps(default)
    return f'"{name}": {{ "value": {plain.replace("$", chr(92) + "$").replace("}", chr(92) + "}")}$0 }}'


def _keyed(name: str, *, colon: bool) -> str:
    return f'"{name}"' if colon else f'"{name}": $0'


def _values(name: str, known: Mapping[str, object], last: LastRead | None) -> list[Offer]:
    kind, lower = str(known.get("type", "")).lower(), name.lower()
    found = [Offer(shown, shown, "") for shown in ("true", "false")] if kind == "bool" else []
    texts: dict[str, str] = {}
    if last is not None:
        as_of = f"({last.moment})"
        offered = sorted(each for each in last.profiles.get(last.location, ()) if each in last.gpus)
        regions = dict.fromkeys(last.regions, as_of) if lower == LOCATION else {}
        profiles = dict.fromkeys(offered, f"{last.location} {as_of}") if lower == PROFILE_TYPE.lower() else {}
        there = {key.lower(): each for key, each in last.names.items()}.get(lower, ())
        texts |= {**regions, **profiles, **dict.fromkeys(there, as_of)}
    allowed = [each for each in cast("list[object]", known.get("allowedValues") or []) if isinstance(each, str)]
    texts |= {each: "" for each in allowed if each not in texts}
    found += [Offer(each, json.dumps(each), detail) for each, detail in texts.items()]
    return [*found, Offer("null", "null", "")] if known.get("nullable") is True else found
