"""What of an app that exists is changed to what the parameters state, and what is only said to differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sidecar.decisions.registries import Stated
from sidecar.words.text import Text

Json = dict[str, Any]
Pair = tuple[str, object, object]
"""A parameter, what the app has of it, and what is stated."""

BASE_MODEL = "SLIPWAY_BASE_MODEL"
VARIABLES = {"baseModel": BASE_MODEL, "hubModel": "SLIPWAY_HUB_MODEL", "hubRevision": "SLIPWAY_HUB_REVISION"}
"""Of the first container, by the parameter that states each."""


@dataclass(frozen=True)
class Change:
    """`template`: the app's, with what is stated and differs put in. `texts`: a sentence for each change. `notes`: what differs
    and stays as it is. `alone`: the app is another template's, and nothing of it is changed."""

    template: Json
    texts: tuple[Text, ...]
    notes: tuple[Text, ...]
    alone: bool = False
    login: Stated | None = None
    """For a registry, which the app has another or none for."""
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Written with it, by name."""


@dataclass(frozen=True)
class Standing:
    """Where an app is. `kind`, `profile`: type and name of the workload profile that it runs on, where they are known."""

    kind: str | None = None
    profile: str | None = None
    location: str | None = None


def app_change(name: str, actual: Json, at: Standing, wanted: Json, stated: dict[str, object]) -> Change:
    """`actual`: the app's template as Azure gives it; `wanted`: the template's, as it would deploy it."""
    if not _same_start(actual, wanted):
        return Change(actual, (), (_left_alone(name, actual),), alone=True)
    containers = [dict(each) for each in _containers(actual)]
    scale = dict(cast("Json", actual.get("scale") or {}))
    moves = _differs(at.kind, stated.get("gpuProfileType"), stated, "gpuProfileType")
    texts = (
        *_container_changes(containers, _containers(wanted), stated),
        *_base_changes(containers, stated),
        *([] if moves else _size_changes(containers, _containers(wanted), stated)),
        *_scale_changes(scale, wanted, stated),
    )
    pairs = (*(_sizes(actual, wanted) if moves else ()), *_places(at, stated))
    notes = _not_applied(name, pairs, stated)
    return Change({**actual, "containers": containers, "scale": scale}, texts, notes)


def _same_start(actual: Json, wanted: Json) -> bool:
    """Whether both start releases, or neither does. Our start command lives by variables, a secret and probes that only the app
    as a whole has; another's command knows nothing of releases."""
    return _starts_releases(actual) == _starts_releases(wanted)


def _starts_releases(template: Json) -> bool:
    return {"SLIPWAY_RELEASE", "SLIPWAY_APP"} <= set(_variables(template))


def _left_alone(name: str, actual: Json) -> Text:
    if _starts_releases(actual):
        return Text(
            "The container app {name} was made by Slipway's template, this project has another: the app stays as it is.",
            name=name,
        )
    return Text(
        "The container app {name} was not made by Slipway's template: it stays as it is, commands and image included, and Deploy "
        "syncs the code to it as plain files. For Slipway's server, name a new app in acaAppName, or delete this one and run "
        "Provision again.",
        name=name,
    )


def _container_changes(containers: list[Json], wanted: list[Json], stated: dict[str, object]) -> list[Text]:
    if not containers or not wanted:
        return []
    texts: list[Text] = []
    first, ours = containers[0], wanted[0]
    if "defaultCommands" in stated and _commands(first) != _commands(ours):
        first |= {part: ours[part] for part in ("command", "args") if part in ours}
        texts.append(Text("The start commands change to what defaultCommands states."))
    if "image" in stated and "image" in ours and first.get("image") != ours["image"]:
        first["image"] = ours["image"]
        texts.append(Text("The image changes to {image}.", image=first["image"]))
    return texts


def _base_changes(containers: list[Json], stated: dict[str, object]) -> list[Text]:
    """Which base model is served, and which one is fetched for that."""
    return [
        text
        for name, variable in VARIABLES.items()
        if containers and name in stated and (text := _variable_change(containers[0], variable, str(stated[name])))
    ]


def _variable_change(first: Json, variable: str, new: str) -> Text | None:
    env = [dict(each) for each in cast("list[Json]", first.get("env") or [])]
    known = next((each for each in env if each.get("name") == variable), None)
    old = "" if known is None else str(known.get("value") or "")
    if old == new:
        return None
    if known is None:
        known = {"name": variable}
        env.append(known)
    known["value"] = new
    first["env"] = env
    told = {"old": old or "“”", "new": new or "“”"}
    if variable == BASE_MODEL:
        return Text("The base model changes from {old} to {new}.", **told)
    return Text("What is fetched from the hub ({variable}) changes from {old} to {new}.", variable=variable, **told)


def _size_changes(containers: list[Json], wanted: list[Json], stated: dict[str, object]) -> list[Text]:
    """Cores and memory of the first container."""
    if not containers or not wanted:
        return []
    first = containers[0]
    has, asked = dict(cast("Json", first.get("resources") or {})), cast("Json", wanted[0].get("resources") or {})
    texts: list[Text] = []
    for name in ("cpu", "memory"):
        if asked.get(name) is not None and _differs(_number(has.get(name)), _number(asked[name]), stated, name):
            texts.append(Text("{key} changes from {old} to {new}.", key=name, old=has[name], new=asked[name]))
            has[name] = asked[name]
    if texts:
        first["resources"] = has
    return texts


def _differs(old: object, new: object, stated: dict[str, object], name: str) -> bool:
    """Whether a parameter is stated and another than what is there; what is not known does not differ."""
    return name in stated and old is not None and new is not None and str(old).lower() != str(new).lower()


def _commands(container: Json) -> list[object]:
    """What a person's commands stand in: our start command is the template's own and may be of another version."""
    args = cast("list[object]", container.get("args") or [])
    return args or cast("list[object]", container.get("command") or [])


def _scale_changes(scale: Json, wanted: Json, stated: dict[str, object]) -> list[Text]:
    ours = cast("Json", wanted.get("scale") or {})
    texts: list[Text] = []
    for name, key in (("maximumInstanceCount", "maxReplicas"), ("cooldownSeconds", "cooldownPeriod")):
        if name in stated and key in ours and scale.get(key) != ours[key]:
            texts.append(Text("{key} changes from {old} to {new}.", key=key, old=scale.get(key), new=ours[key]))
            scale[key] = ours[key]
    return texts


def _sizes(actual: Json, wanted: Json) -> tuple[Pair, ...]:
    """An app stays on its profile, and cores and memory that are stated for another one do not fit it."""
    has, ours = _first_of(actual), _first_of(wanted)
    resources, asked = cast("Json", has.get("resources") or {}), cast("Json", ours.get("resources") or {})
    return (
        ("cpu", _number(resources.get("cpu")), _number(asked.get("cpu"))),
        ("memory", resources.get("memory"), asked.get("memory")),
    )


def _places(at: Standing, stated: dict[str, object]) -> tuple[Pair, ...]:
    """What an app is made on and in, for good. Azure writes a region in two ways: they do not differ."""
    asked = stated.get("location")
    same = _region(at.location) == _region(asked)
    return (
        ("gpuProfileType", at.kind, stated.get("gpuProfileType")),
        ("gpuProfileName", at.profile or None, stated.get("gpuProfileName")),
        ("location", None if same else at.location or None, asked),
    )


def _not_applied(name: str, pairs: tuple[Pair, ...], stated: dict[str, object]) -> tuple[Text, ...]:
    return tuple(
        Text(
            "Not applied to the container app {name}: {parameter} is {new} in the parameters and {old} in the app. It is set "
            "when an app is made: name a new one in acaAppName, or delete this one and run Provision again.",
            name=name,
            parameter=parameter,
            new=new,
            old=old,
        )
        for parameter, old, new in pairs
        if _differs(old, new, stated, parameter)
    )


def _region(name: object) -> str:
    return str(name or "").replace(" ", "").lower()


def _number(value: object) -> object:
    try:
        return f"{float(str(value)):g}"
    except ValueError:
        return value


def _containers(template: Json) -> list[Json]:
    return cast("list[Json]", template.get("containers") or [])


def _first_of(template: Json) -> Json:
    containers = _containers(template)
    return containers[0] if containers else {}


def _variables(template: Json) -> dict[str, Any]:
    """The first container's; None where the value is a secret's."""
    env = cast("list[Json]", _first_of(template).get("env") or [])
    return {str(each.get("name")): each.get("value", "" if "secretRef" not in each else None) for each in env}
