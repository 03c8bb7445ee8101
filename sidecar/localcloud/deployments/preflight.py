"""ARM's preflight of a deployment: types, registrations and what each provider says of its resources, before any is made."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from sidecar.armlang.expressions import Deferred, Scope, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.registration import require_registered
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json, as_list, as_object, member
from sidecar.localcloud.core.resource_id import parse_resource_id
from sidecar.localcloud.deployments.declared_types import invalid_template
from sidecar.localcloud.deployments.evaluation import nested_properties
from sidecar.localcloud.deployments.planning import Plan, Planned
from sidecar.localcloud.deployments.record import Ordered, require_understood
from sidecar.localcloud.deployments.scope_functions import READING
from sidecar.localcloud.resources import providers
from sidecar.localcloud.resources.namespaces import require_registered_type
from sidecar.localcloud.resources.resource_type import ArmRequest, Lookup
from sidecar.localcloud.resources.strict import require_heard

PlanOf = Callable[[Ordered], Plan]
# Texts that a provider takes as they are: where one is read from another resource only later, the rest can be judged.
_ANY_TEXT = frozenset(("value", "sharedKey", "customerId", "accountKey"))


class _Unknown(str):
    """An expression that has a value only while the deployment runs; in its place ARM shows the provider the text."""


def preflight(cloud: LocalCloud, ordered: Ordered, plan: Plan, plan_of: PlanOf) -> None:
    """ArmError where ARM would not let the deployment begin; nested deployments are looked into as far as is known."""
    require_understood(ordered)
    bodies = dict(_bodies(ordered, plan, plan_of))
    for planned, body in bodies.values():
        _check_type(cloud, planned, body)
    if ordered.properties.get("validationLevel") == "Template":
        return  # the providers are not asked
    refused = [each for planned, body in bodies.values() if (each := _refusal(cloud, ordered, planned, body, bodies))]
    if refused:
        raise ArmError(
            400,
            "InvalidTemplateDeployment",
            f"The template deployment '{ordered.name}' is not valid according to the validation procedure. The tracking id is "
            f"'{uuid.uuid4()}'. See inner errors for details.",
            details=[_detail(planned, error) for planned, error in refused],
        )


def nested_plan(ordered: Ordered, plan: Plan, planned: Planned, plan_of: PlanOf) -> tuple[Ordered, Plan] | None:
    """The plan of a nested deployment; None where its parameters are known only once the outer one runs."""
    try:
        properties = nested_properties(member(planned.source, "properties"), planned.scope)
    except (ExpressionError, Deferred):
        return None
    inner = ordered.nested(planned, properties, location=_location_of_group(plan, planned.id))
    require_understood(inner)
    try:
        return inner, plan_of(inner)
    except (ExpressionError, Deferred) as problem:
        raise invalid_template(f"The nested deployment '{planned.name}' is not valid: {problem}") from problem


def _location_of_group(plan: Plan, nested_id: str) -> str | None:
    """Where the group of a nested deployment will be, when this plan creates it."""
    group = nested_id.split("/providers/")[0].lower()
    found = [each for each in plan.resources if each.key == group]
    return str(evaluate(found[0].source.get("location"), found[0].scope)) if found else None


def _bodies(ordered: Ordered, plan: Plan, plan_of: PlanOf) -> Iterator[tuple[str, tuple[Planned, Json]]]:
    """(key, (resource, body as far as it is known)) of everything that would be written."""
    for planned in plan.resources:
        if not planned.wanted or planned.existing:
            continue
        if planned.nested:
            inner = nested_plan(ordered, plan, planned, plan_of)
            if inner:
                yield from _bodies(*inner, plan_of)
        else:
            yield planned.key, (planned, _early_body(planned))


def _early_body(planned: Planned) -> Json:
    try:
        return planned.body(_unread(), _early)
    except Deferred:
        return {}  # a name of a property is read from a resource: nothing of the body is known for certain
    except ExpressionError as problem:
        raise invalid_template(planned.refusal(problem)) from problem


def _unread() -> Mapping[str, Callable[..., Any]]:
    def later(*_arguments: Any) -> NoReturn:
        raise Deferred("")

    return dict.fromkeys(READING, later)


def _early(value: Any, scope: Scope) -> Any:
    try:
        return evaluate(value, scope)
    except Deferred:
        return _Unknown(value)


def _check_type(cloud: LocalCloud, planned: Planned, body: Json) -> None:
    location = str(body.get("location") or "")
    places = ", ".join(cloud.settings.locations)
    try:
        unknown = cloud.settings.unknown_types
        require_registered_type(planned.type, planned.api_version, location, places, unknown)
    except ArmError as error:
        # The request is not one on that resource: it is the template that is wrong.
        raise ArmError(400, error.code, error.message) from error
    require_registered(cloud, cloud.subscription(planned.id.split("/")[2]), planned.type.partition("/")[0])


def _refusal(
    cloud: LocalCloud, ordered: Ordered, planned: Planned, body: Json, bodies: Mapping[str, tuple[Planned, Json]]
) -> tuple[Planned, ArmError] | None:
    address = parse_resource_id(planned.id)
    if address is None:
        return None
    request = ArmRequest(providers.known(address), body, {}, ordered.caller)
    try:
        if cloud.settings.strict:
            require_heard("PUT", planned.id, {}, body)
        if body and _judgeable(body):
            providers.check(cloud, request, _lookup(cloud, bodies))
        else:
            providers.check_name(request)
    except ArmError as error:
        return planned, error
    return None


def _judgeable(value: Any, name: str = "") -> bool:
    """Whether nothing is missing yet that a provider would look at."""
    if isinstance(value, _Unknown):
        return name in _ANY_TEXT
    if (entries := as_object(value)) is not None:
        return all(_judgeable(item, key) for key, item in entries.items())
    return all(_judgeable(item, name) for item in as_list(value) or ())


def _lookup(cloud: LocalCloud, bodies: Mapping[str, tuple[Planned, Json]]) -> Lookup:
    def find(resource_id: str) -> Json | None:
        if found := bodies.get(resource_id.lower()):
            planned, body = found
            return {**body, "id": planned.id, "name": planned.name} if body else None
        stored = cloud.store.get(resource_id)
        return dict(stored.body) if stored else None

    return find


def _detail(planned: Planned, error: ArmError) -> Json:
    """How each provider's refusal is wrapped: Container Apps answers by itself, the others by way of ARM's preflight."""
    inner: Json = {"code": error.code, "message": error.message, "target": error.target or planned.name}
    if planned.type.lower().startswith("microsoft.app/"):
        message = "Validation failed for a resource. Check 'Error.Details[0]' for more information."
        return {"code": "ValidationForResourceFailed", "message": message, "details": [inner]}
    return {
        "code": "PreflightValidationCheckFailed",
        "message": "Preflight validation failed. Please refer to the details for the specific errors.",
        "details": [inner],
    }
