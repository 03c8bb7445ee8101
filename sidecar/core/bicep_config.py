"""A bicepconfig.json: the levels of the linter's rules, and what in it only Microsoft's compiler can do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from sidecar.armlang.bicep import LINTED, Levels
from sidecar.core.jsonedit import strict
from sidecar.core.textfile import read_text
from sidecar.words.errors import TemplateError
from sidecar.words.refused import Finding, Refused
from sidecar.words.text import Text

NAME = "bicepconfig.json"


def stated_levels(bicep: Path, root: Path) -> Levels:
    """The levels of the linter's rules for a Bicep file, by the nearest configuration up to the workspace's root.

    Raises Refused for one that asks for what only Microsoft's compiler has, TemplateError for one that can't be read."""
    above = [each for each in (bicep.parent, *bicep.parent.parents) if each.is_relative_to(root)]
    file = next((each / NAME for each in above if (each / NAME).exists()), None)
    if file is None:
        return {}
    text = read_text(file, NAME)
    try:
        document: object = json.loads(strict(text))
    except (json.JSONDecodeError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise TemplateError(
            Text("{file}, line {line}: this is no JSON.", file=NAME, line=line),
            Text("Correct the file: Microsoft's compiler refuses it too."),
        ) from error
    analysers = _inside(_inside(document, "analyzers"), "core")
    on = _inside_value(analysers, "enabled") is not False
    stated = {name: level for name, each in _inside(analysers, "rules").items() if (level := _level(each))}
    levels: Levels = stated if on else dict.fromkeys(LINTED, "off")
    errors = {name for name, level in levels.items() if level == "error"}
    features = {name for name, each in _inside(document, "experimentalFeaturesEnabled").items() if each is True}
    foreign = sorted(errors - LINTED) + sorted(features)
    if foreign:
        line = next((at for at, each in enumerate(text.splitlines(), 1) if f'"{foreign[0]}"' in each), 1)
        names = ", ".join(foreign)
        message = Text("Only the Bicep CLI knows {names}, which this file switches on.", names=names)
        raise Refused([Finding(line, 1, None, message, "outside", NAME)])
    return levels


def _level(rule: object) -> str:
    level = _inside_value(rule, "level")
    return level.lower() if isinstance(level, str) else ""


def _inside_value(value: object, name: str) -> object:
    return cast("Mapping[str, object]", value).get(name) if isinstance(value, Mapping) else None


def _inside(value: object, name: str) -> Mapping[str, object]:
    found = _inside_value(value, name)
    return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}
