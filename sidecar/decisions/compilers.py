"""Whether two compilers agree on a file: that it is wrong and where, or what it takes, makes and gives. Pure.

Expressions are not compared: they are written in many ways that mean the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from sidecar.words.names import BicepOutcome
from sidecar.words.problems import Problem
from sidecar.words.text import Text

Template = Mapping[str, object]


@dataclass(frozen=True)
class Compilation:
    """What one compiler made of a file; `problems`: what it says of it."""

    outcome: BicepOutcome
    template: Template | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Agreement:
    """`agree` None: one of them can't judge the file."""

    agree: bool | None
    sentence: Text


def agreement(ours: Compilation, theirs: Compilation) -> Agreement:
    if "failed" in (ours.outcome, theirs.outcome) or ours.outcome == "outside":
        return Agreement(None, Text("Whether the compilers agree can't be told: one of them does not judge this file."))
    if ours.outcome != theirs.outcome:
        return Agreement(False, Text("The compilers disagree: one takes the file, the other one refuses it."))
    if ours.template is None or theirs.template is None:
        same = bool(_lines(ours.problems) & _lines(theirs.problems))
        both = Text("Both compilers refuse the file, at the same line.")
        return Agreement(same, both if same else Text("Both compilers refuse the file, at other lines."))
    differing = _differing(ours.template, theirs.template)
    if differing is not None:
        return Agreement(False, Text("The compilers disagree on {what}.", what=differing))
    return Agreement(True, Text("The compilers agree on parameters, outputs and the types of resources."))


def _lines(problems: Iterable[Problem]) -> set[tuple[str, int]]:
    return {(each.file, each.line) for each in problems if each.certain}


def _differing(ours: Template, theirs: Template) -> str | None:
    """What one has and the other one has not."""
    for part in ("parameters", "outputs"):
        mine, other = _declared(ours, part), _declared(theirs, part)
        for name in sorted(mine.keys() | other.keys()):
            if mine.get(name) != other.get(name):
                return f"{part}.{name}"
    made, expected = Counter(_made(ours)), Counter(_made(theirs))
    return next(iter(sorted((made - expected) + (expected - made))), None)


def _declared(template: Template, part: str) -> dict[str, object]:
    """Names with what decides which values they take; of a type of its own, that it has one."""
    found: dict[str, object] = {}
    for name, each in _object(template.get(part)).items():
        declared = _object(each)
        kept = {key: declared.get(key) for key in ("type", "allowedValues", "minValue", "maxValue", "nullable")}
        found[name] = "a type of its own" if "$ref" in declared else kept
    return found


def _made(template: Template) -> list[str]:
    """Type and version of each resource that is deployed, those of modules too."""
    held = template.get("resources")
    resources = cast("list[object]", held) if isinstance(held, list) else list(_object(held).values())
    found: list[str] = []
    for each in map(_object, resources):
        if each.get("existing") is True:
            continue
        if each.get("type") == "Microsoft.Resources/deployments":
            found += _made(_object(_object(each.get("properties")).get("template")))
        else:
            found.append(f"{each.get('type')}@{each.get('apiVersion')}")
    return found


def _object(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
