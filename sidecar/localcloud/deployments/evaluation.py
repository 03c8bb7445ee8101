"""Parts of a template evaluated: nested templates, and what has no value before a deployment."""

from typing import Any

from sidecar.armlang.copies import expand
from sidecar.armlang.expression_syntax import Literal, calls
from sidecar.armlang.expressions import Deferred, Scope, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.localcloud.core.fields import Json, as_list, as_object, member


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
