"""Parts of a template evaluated: loops of values written out, nested templates, and what has no value before a deployment."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sidecar.armlang.expression_syntax import Literal, calls, is_expression
from sidecar.armlang.expressions import Deferred, Scope, evaluate, named
from sidecar.armlang.values import ExpressionError
from sidecar.localcloud.core.fields import Json, as_list, as_object, member

Leaf = Callable[[Any, Scope], Any]


def expand(value: Any, scope: Scope, leaf: Leaf = evaluate) -> Any:
    """`value` with its expressions evaluated (by `leaf`) and its property copy loops written out."""
    if (entries := as_object(value)) is not None:
        loops = as_list(entries.get("copy"))
        if loops is not None and all(isinstance(loop, dict) and "input" in loop for loop in loops):
            made: Json = {loop["name"]: repeated(loop, scope, leaf) for loop in loops}
            return {**expand({k: v for k, v in entries.items() if k != "copy"}, scope, leaf), **made}
        return named((name, _name(name, scope, leaf), expand(item, scope, leaf)) for name, item in entries.items())
    if (items := as_list(value)) is not None:
        return [expand(item, scope, leaf) for item in items]
    return leaf(value, scope)


def _name(name: str, scope: Scope, leaf: Leaf) -> Any:
    return leaf(name, scope) if is_expression(name) else evaluate(name, scope)


def unevaluated(value: Any, scope: Scope) -> Any:
    """`value` evaluated as far as it can be before a deployment; the rest stays as the expression that it is."""
    if (entries := as_object(value)) is not None:
        if "copy" in entries:
            try:
                return expand(value, scope, unevaluated)
            except (Deferred, ExpressionError):
                return value  # how often is known only later
        return {name: unevaluated(item, scope) for name, item in entries.items()}
    if (items := as_list(value)) is not None:
        return [unevaluated(item, scope) for item in items]
    try:
        return evaluate(value, scope)
    except Deferred as unknown:
        alone = calls(value)
        only = len(alone) == 1 and all(isinstance(argument, Literal) for argument in alone[0].arguments)
        return unknown.text if only and alone[0].name.lower() == "parameters" else value
    except ExpressionError:
        return value


def nested_properties(properties: Json, scope: Scope) -> Json:
    """A nested deployment's properties: an inner scope's template stays as it is written, an outer one's is evaluated."""
    template: Json = member(properties, "template")
    outer = str(member(properties, "expressionEvaluationOptions").get("scope", "outer")).lower() == "outer"
    rest: Json = expand({name: value for name, value in properties.items() if name != "template"}, scope)
    return {**rest, "template": _outer_template(template, scope) if outer and "template" in properties else template}


def _outer_template(template: Json, scope: Scope) -> Json:
    """Parameters, variables and expressions of a nested template with outer scope are those of the deployment around it."""
    return {
        name: expand(value, scope) if name in ("resources", "outputs") else value for name, value in template.items()
    }


def repeated(loop: Json, scope: Scope, leaf: Leaf = evaluate) -> list[Any]:
    count = evaluate(loop.get("count"), scope)
    if not isinstance(count, int) or not 0 <= count <= 800:
        raise ExpressionError(f"The copy count of '{loop.get('name')}' must be between 0 and 800.")
    # Named, its index is asked for by that name: copyIndex() without one is the resource's loop around it.
    name = str(loop.get("name", "")).lower()
    return [
        expand(loop.get("input"), replace(scope, copy_index={**scope.copy_index, name: index}), leaf)
        for index in range(count)
    ]
