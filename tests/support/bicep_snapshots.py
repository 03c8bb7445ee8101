"""What our planning makes of a template, in the form in which Microsoft's engine records it: resources and outputs."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.armlang.copies import expand, repeated
from sidecar.armlang.expression_syntax import Call, Literal
from sidecar.armlang.expressions import Deferred
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.json_values import written
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.deployments.planner import planned_deployment
from sidecar.localcloud.deployments.planning import Plan, Planned
from sidecar.localcloud.deployments.scope_functions import Place
from tests.support.bicep_functions import corpus_place
from tests.support.bicep_residue import LATER, Reducer, Residue, comparable

_POSITION = re.compile(r" at line '\d+' and column '\d+'")
_LEFT_OUT = ("dependsOn", "condition", "copy", "existing", "resources", "scope", "comments", "metadata", "@options")


class Refused(Exception):
    """Our planning refuses the template."""


@dataclass
class Made:
    """What a template makes: its resources, those of nested deployments too, its outputs, and how they wait."""

    resources: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    deployments: dict[str, Any] = field(default_factory=dict[str, Any])
    """Nested ones by id: mode and parameters."""
    waits: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """(id, id of what it waits for), through others too; existing ones are only passed through."""


def snapshot(template: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`predictedResources` and `outputs`. Raises Refused."""
    made = planned_whole(template, given)
    return {"predictedResources": made.resources, "outputs": made.outputs}


def planned_whole(template: dict[str, Any], given: dict[str, Any]) -> Made:
    try:
        return _predicted(template, {name: {"value": each} for name, each in given.items()}, corpus_place())
    except (ArmError, ExpressionError) as problem:
        raise Refused(str(problem)) from problem


def _predicted(template: dict[str, Any], given: dict[str, Any], place: Place) -> Made:
    late = {name: value for name, each in given.items() if isinstance(value := each.get("value"), Residue)}
    # Their types can't be checked yet.
    declared = {**template.get("parameters", {}), **{name: {"type": "string"} for name in late}}
    template = {**template, "parameters": declared}
    given = {**given, **{name: {"value": ""} for name in late}}
    plan = planned_deployment(template, given, place, 0.0, dict.fromkeys(LATER, _later))
    made = Made(waits=_closure(plan))
    inner: dict[str, dict[str, Any]] = {}
    reducer = Reducer(plan, template.get("variables", {}), late, inner)
    for planned in _in_order(plan):
        if not planned.wanted or planned.existing:
            continue
        if planned.nested:
            below = _nested(planned, reducer, place, made)
            inner[planned.key] = below.outputs
            made.resources += below.resources
            made.deployments |= below.deployments
            made.waits |= below.waits
        else:
            made.resources.append(_resource(planned, reducer))
    for name, output in plan.outputs.items():
        if reducer.leaf(output.get("condition", True), plan.scope) is True:
            loop = output.get("copy")
            value = (
                repeated(loop, plan.scope, reducer.leaf) if loop else expand(output["value"], plan.scope, reducer.leaf)
            )
            made.outputs[name] = value
    return made


def _closure(plan: Plan) -> set[tuple[str, str]]:
    direct: dict[str, set[str]] = {}
    for each in plan.resources:
        direct.setdefault(each.key, set()).update(plan.waits_for(each))
    own = {each.key for each in plan.resources if not each.existing}
    found: set[tuple[str, str]] = set()
    for key in own:
        seen: set[str] = set()
        left = [*direct[key]]
        while left:
            other = left.pop()
            if other not in seen:
                seen.add(other)
                left += direct[other]
        found |= {(key, other) for other in seen & own}
    return found


def _later(*_arguments: Any) -> Any:
    raise Deferred("")  # the text is that of what calls it


def _in_order(plan: Plan) -> list[Planned]:
    """Each after what it waits for."""
    left = list(plan.resources)
    done: list[Planned] = []
    while left:
        waiting = {each.key for each in left}
        free = [each for each in left if not plan.waits_for(each) & waiting]
        done += free
        left = [each for each in left if each not in free]
    return done


def _resource(planned: Planned, reducer: Reducer) -> dict[str, Any]:
    body = {name: value for name, value in planned.source.items() if name not in _LEFT_OUT}
    try:
        shown: dict[str, Any] = expand(body, planned.scope, reducer.leaf)
    except ExpressionError as problem:
        raise Refused(planned.refusal(problem)) from problem
    return {**shown, "id": planned.id, "name": planned.name, "apiVersion": planned.api_version}


def _nested(planned: Planned, reducer: Reducer, place: Place, made: Made) -> Made:
    properties = planned.source["properties"]
    inside = str(properties.get("expressionEvaluationOptions", {}).get("scope", "outer")).lower() == "inner"
    if not inside:
        raise Refused("a nested template with the outer scope")
    stated: dict[str, Any] = expand(properties.get("parameters", {}), planned.scope, reducer.leaf)
    given = {name: _from_vault(each) for name, each in stated.items()}
    made.deployments[planned.id] = {"mode": properties.get("mode"), "parameters": given}
    where = planned.id.rpartition("/providers/")[0]
    subscription = where.split("/")[2]
    group: dict[str, Any] = {
        "id": where,
        "name": where.rsplit("/", 1)[1],
        "location": (place.group or {}).get("location"),
    }
    inner = replace(
        place,
        subscription={**place.subscription, "id": f"/subscriptions/{subscription}", "subscriptionId": subscription},
        group=group,
        deployment={"name": planned.name},
    )
    return _predicted(properties["template"], given, inner)


def _from_vault(entry: dict[str, Any]) -> dict[str, Any]:
    """A secret of a vault is read only by the deployment itself."""
    secret = entry.get("reference")
    if not secret:
        return entry
    call = Call("getKeyVaultSecret", (Literal(secret["keyVault"]["id"]), Literal(secret["secretName"])))
    return {"value": Residue(call)}


def difference(ours: dict[str, Any], official: dict[str, Any]) -> str:
    """What differs first; "" where nothing does."""
    mine, theirs = (by_id(each) for each in (ours, official))
    for key in sorted(mine.keys() | theirs.keys()):
        if mine.get(key) != theirs.get(key):
            return f"{key}: {mine.get(key)!r} instead of {theirs.get(key)!r}"
    return ""


def by_id(made: dict[str, Any]) -> dict[str, Any]:
    """Resources by id, outputs by name; the order of them does not count."""
    found: dict[str, Any] = {}
    for each in made.get("predictedResources", []):
        shown = comparable(written_out(each))
        found[f"resource {shown['id']}"] = {name: value for name, value in shown.items() if value is not None}
    for name, value in (made.get("outputs") or {}).items():
        found[f"output {name}"] = comparable(written_out(value))
    return found


def written_out(value: Any) -> Any:
    """Texts as JSON can hold them; a Residue stays."""
    if isinstance(value, list):
        return [written_out(each) for each in value]
    if isinstance(value, dict):
        return {name: written_out(each) for name, each in value.items()}
    return value if isinstance(value, Residue) else written(value)


def same_refusal(ours: str, official: str) -> bool:
    """The first sentence of the official one is in ours; positions in the file apart, which a deployment has no part of."""
    wanted = _POSITION.sub("", official).partition(". ")[0]
    return wanted in _POSITION.sub("", ours)
