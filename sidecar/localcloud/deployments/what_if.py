"""What-if: a plan compared with what is there. `before` and `after` are shown, nothing is changed.

Both sides are JSON by nature, of whatever type the template states: an app is compared as its provider shows it, not as the
values that the runtime reads of it, and what has no value before the deployment stands there as its expression.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sidecar.armlang.expressions import Deferred
from sidecar.dotnet.json_values import written
from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, as_list, as_object, member
from sidecar.localcloud.core.resource_id import parse_resource_id
from sidecar.localcloud.deployments.complete import left_over
from sidecar.localcloud.deployments.deployments import Deployments
from sidecar.localcloud.deployments.evaluation import nested_properties, unevaluated
from sidecar.localcloud.deployments.planning import Planned
from sidecar.localcloud.deployments.preflight import preflight
from sidecar.localcloud.deployments.record import Ordered
from sidecar.localcloud.deployments.scope_functions import LISTING
from sidecar.localcloud.deployments.what_if_delta import delta
from sidecar.localcloud.resources import providers

_SECRET = frozenset(("accountkey", "sharedkey", "value", "password", "connectionstring"))


def what_if(cloud: LocalCloud, deployments: Deployments, ordered: Ordered) -> list[Json]:
    """The changes, sorted by resource id: Create, Modify (with a delta), NoChange, Unsupported where the name is known later,
    and Ignore for what is not in it."""
    preflight(cloud, ordered, deployments.plan(ordered), deployments.plan)
    found = _changes(cloud, deployments, ordered)
    if "/resourcegroups/" in ordered.scope.lower():
        mentioned = {str(change["resourceId"]).lower() for change in found}
        if ordered.properties["mode"] == "Complete":
            gone = left_over(cloud, ordered.scope, mentioned)
            shown = {each.id: _masked(providers.show(cloud, each)) for each in gone}
            found += [{"resourceId": each, "changeType": "Delete", "before": before} for each, before in shown.items()]
            mentioned |= {each.lower() for each in shown}
        found += _ignored(cloud, ordered.scope, mentioned)
    return sorted(found, key=lambda change: str(change["resourceId"]).lower())


def result_format(ordered: Ordered) -> str:
    """FullResourcePayloads unless whatIfSettings ask for ResourceIdOnly."""
    stated = member(ordered.properties, "whatIfSettings").get("resultFormat") or "FullResourcePayloads"
    if stated not in ("FullResourcePayloads", "ResourceIdOnly"):
        raise invalid(f"The value '{stated}' of 'resultFormat' is not one of 'ResourceIdOnly, FullResourcePayloads'.")
    return str(stated)


def in_format(form: str, changes: list[Json]) -> list[Json]:
    """With ids alone nobody has looked whether what is there would change: ARM calls that Deploy."""
    if form != "ResourceIdOnly":
        return changes
    known = {"Modify": "Deploy", "NoChange": "Deploy"}
    return [
        {"resourceId": each["resourceId"], "changeType": known.get(each["changeType"], each["changeType"])}
        for each in changes
    ]


def _changes(cloud: LocalCloud, deployments: Deployments, ordered: Ordered) -> list[Json]:
    plan = deployments.plan(ordered, _unknown_functions())
    found: list[Json] = []
    for planned in plan.resources:
        if not planned.wanted or planned.existing:
            continue
        if planned.nested:
            found += _nested(cloud, deployments, ordered, planned)
        else:
            found.append(_change(cloud, planned))
    return found


def _nested(cloud: LocalCloud, deployments: Deployments, ordered: Ordered, planned: Planned) -> list[Json]:
    scope = replace(planned.scope, functions={**planned.scope.functions, **_unknown_functions()})
    properties: Json = member(planned.source, "properties")
    parameters: Json = {}
    for name, entry in member(properties, "parameters").items():
        value = unevaluated(entry, scope)
        parameters[name] = value
    try:
        rest = nested_properties({**properties, "parameters": {}}, scope)
    except Deferred:
        rest = {**properties}
    inner = ordered.nested(planned, {**rest, "parameters": parameters}, location=planned.source.get("location"))
    return _changes(cloud, deployments, inner)


def _change(cloud: LocalCloud, planned: Planned) -> Json:
    if planned.unnamed:
        return {"resourceId": planned.id, "changeType": "Unsupported", "unsupportedReason": _UNNAMED}
    scope = replace(planned.scope, functions={**planned.scope.functions, **_unknown_functions()})
    kept = {name: value for name, value in planned.source.items() if name in _BODY}
    after: Json = {
        **written(unevaluated(kept, scope)),
        "apiVersion": planned.api_version,
        "id": planned.id,
        "name": planned.name.rsplit("/", 1)[-1],
        "type": planned.type,
    }
    after = _masked(after)
    before = _before(cloud, planned)
    if before is None:
        return {"resourceId": planned.id, "changeType": "Create", "after": after}
    changes = delta(planned.type, before, after, _BODY)
    kind = "Modify" if changes else "NoChange"
    shown: Json = {"resourceId": planned.id, "changeType": kind, "before": before, "after": _over(before, after)}
    return {**shown, "delta": changes}


_UNNAMED = "The resource ID cannot be calculated until the deployment is under way."
_BODY = ("location", "tags", "properties", "sku", "kind", "identity", "zones", "plan", "managedBy")


def _before(cloud: LocalCloud, planned: Planned) -> Json | None:
    stored = cloud.store.get(planned.id)
    if stored is None:
        address = parse_resource_id(planned.id)
        try:
            stored = providers.find(cloud, providers.known(address)) if address else None
        except ArmError:
            return None
    if stored is None:
        return None
    shown = dict(stored.body) if stored.type.endswith("/resourceGroups") else providers.show(cloud, stored)
    kept = {name: value for name, value in shown.items() if name in (*_BODY, "id", "name", "type")}
    return _masked({**kept, "apiVersion": planned.api_version})


def _over(before: Json, after: Json) -> Json:
    """What will be there: the template's values over those that it leaves alone."""
    merged = {**before, **after}
    for name, value in after.items():
        old, inner = as_object(before.get(name)), as_object(value)
        if old is not None and inner is not None:
            merged[name] = _over(old, inner)
    return merged


def _ignored(cloud: LocalCloud, scope: str, seen: set[str]) -> list[Json]:
    """Resources of the group that the template does not mention."""
    found: list[Json] = []
    for stored in cloud.store.under(scope):
        address = parse_resource_id(stored.id)
        top = address is not None and len(address.names) == 1 and "location" in stored.body
        if top and stored.key not in seen and stored.type != "Microsoft.Resources/deployments":
            before = _masked(providers.show(cloud, stored))
            found.append({"resourceId": stored.id, "changeType": "Ignore", "before": before, "after": before})
    return found


def _masked(value: Any) -> Any:
    """Secret values are never part of a what-if."""
    if (entries := as_object(value)) is not None:
        named_secret = set(entries) <= {"name", "value", "keyVaultUrl", "identity"}
        return {
            name: "*******"
            if isinstance(item, str) and name.lower() in _SECRET and not (name == "value" and not named_secret)
            else _masked(item)
            for name, item in entries.items()
        }
    if (items := as_list(value)) is not None:
        return [_masked(item) for item in items]
    return value


def _unknown_functions() -> Mapping[str, Callable[..., Any]]:
    """Functions that have no value before a deployment."""

    def unknown(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            raise Deferred(f"[{name}({', '.join(repr(argument) for argument in arguments)})]")

        return call

    names = ("reference", *LISTING, "listOutputsWithSecureValues", "newGuid", "utcNow")
    return {name.lower(): unknown(name) for name in names}
