"""What stands in a template once and means something several times: copy loops written out, and functions of a person's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from sidecar.armlang.expression_syntax import is_expression
from sidecar.armlang.expressions import Function, Scope, evaluate, named
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.json_values import as_list, as_object

Json = dict[str, Any]
Leaf = Callable[[Any, Scope], Any]


def expand(value: Any, scope: Scope, leaf: Leaf = evaluate) -> Any:
    """`value` with its expressions evaluated (by `leaf`) and its property copy loops written out."""
    if isinstance(value, dict):
        entries = as_object(value)
        loops = loops_of(entries)
        if loops is not None:
            made: Json = {loop["name"]: repeated(loop, scope, leaf) for loop in loops}
            return {**expand({k: v for k, v in entries.items() if k != "copy"}, scope, leaf), **made}
        return named((name, _name(name, scope, leaf), expand(item, scope, leaf)) for name, item in entries.items())
    if isinstance(value, list):
        return [expand(item, scope, leaf) for item in as_list(value)]
    return leaf(value, scope)


def loops_of(entries: Mapping[str, Any]) -> list[Json] | None:
    """The property loops of an object; None where it has none, or its `copy` is a property of its own."""
    loops = entries.get("copy")
    if not isinstance(loops, list):
        return None
    known = as_list(cast("object", loops))
    return known if all(isinstance(loop, dict) and "input" in loop for loop in known) else None


def repeated(loop: Json, scope: Scope, leaf: Leaf = evaluate) -> list[Any]:
    count = evaluate(loop.get("count"), scope)
    if not isinstance(count, int) or not 0 <= count <= 800:
        raise ExpressionError(f"The copy count of '{loop.get('name')}' must be between 0 and 800.")
    return [expand(loop.get("input"), each, leaf) for each in turns(loop, scope, count)]


def turns(loop: Mapping[str, Any], scope: Scope, count: int) -> list[Scope]:
    """The scope of each turn. Named, its index is asked for by that name: copyIndex() without one is the resource's loop around
    it."""
    name = str(loop.get("name", "")).lower()
    return [replace(scope, copy_index={**scope.copy_index, name: at}) for at in range(count)]


def user_functions(template: Mapping[str, Any], functions: Mapping[str, Function]) -> Mapping[str, Function]:
    """A template's own functions, by namespace and name in lower case."""
    made: dict[str, Function] = {}

    def function(definition: Json) -> Function:
        def call(*arguments: Any) -> Any:
            names = [str(each["name"]).lower() for each in cast("list[Json]", definition.get("parameters") or [])]
            given = dict(zip(names, arguments, strict=True))

            def value(name: str) -> Any:
                if name.lower() not in given:
                    raise ExpressionError(f"The template parameter '{name}' is not found.")
                return given[name.lower()]

            return evaluate(definition["output"]["value"], Scope(value, None, functions, user_functions=made))

        return call

    for space in cast("list[Json]", template.get("functions") or []):
        for name, definition in cast("dict[str, Json]", space.get("members") or {}).items():
            made[f"{space['namespace']}.{name}".lower()] = function(definition)
    return made


def _name(name: str, scope: Scope, leaf: Leaf) -> Any:
    return leaf(name, scope) if is_expression(name) else evaluate(name, scope)
