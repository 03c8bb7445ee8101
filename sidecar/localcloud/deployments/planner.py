"""A template with what a deployment of it is given → its plan: checked, parameters resolved, resources listed. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from sidecar.armlang.copies import user_functions
from sidecar.armlang.expressions import Scope
from sidecar.localcloud.core.fields import Json
from sidecar.localcloud.deployments.parameters import resolve_parameters, with_external_inputs
from sidecar.localcloud.deployments.planning import Plan, plan_template
from sidecar.localcloud.deployments.scope_functions import Place, chance_functions, place_functions
from sidecar.localcloud.deployments.syntax import check_syntax


def planned_deployment(
    template: Json,
    given: Json,
    place: Place,
    now: float,
    keep_unknown: Mapping[str, Callable[..., Any]],
    inputs: Json | None = None,
) -> Plan:
    """`given` are its parameters; `keep_unknown` the functions that a what-if leaves unevaluated; `inputs` are what the
    deployer read outside for parameters that are expressions."""
    check_syntax(template)
    functions = {**place_functions(place), **keep_unknown}
    defaults = functions if keep_unknown else {**functions, **chance_functions(now)}
    scope = Scope(functions=defaults, user_functions=user_functions(template, functions))
    given = with_external_inputs(given, inputs or {}, scope)
    parameters = resolve_parameters(template, given, scope, keep_unknown)
    return plan_template(template, parameters, place, functions)
