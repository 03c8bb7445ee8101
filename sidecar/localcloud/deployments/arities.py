"""How many arguments each template function takes, and which functions ARM has at all. Pure."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from sidecar.armlang.functions import FUNCTIONS
from sidecar.localcloud.deployments.scope_functions import LISTING

Arity = tuple[int, int | None]
"""Fewest and most; None: as many as one likes."""

READING = frozenset(("reference", *(name.lower() for name in LISTING)))
"""Functions that read a resource: they have a value only once it is there."""
CHANCE = frozenset(("newguid", "utcnow"))
"""Functions that give another value each time: ARM lets only a parameter's default use them."""


def _of(function: Callable[..., Any]) -> Arity:
    fewest, most = 0, 0
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return fewest, None
        most += 1
        fewest += parameter.default is parameter.empty
    return fewest, most


# Python's own methods take more than ARM's functions of that name, or do not say what they take.
_STATED: Mapping[str, Arity] = {
    "float": (1, 1),
    "replace": (3, 3),
    "trim": (1, 1),
    "uricomponenttostring": (1, 1),
    "max": (1, None),
    "min": (1, None),
}
# What the language itself treats specially, and what depends on the deployment around it.
_SPECIAL: Mapping[str, Arity] = {
    "parameters": (1, 1),
    "variables": (1, 1),
    "lambdavariables": (1, 1),
    "lambda": (1, None),
    "if": (3, 3),
    "and": (1, None),
    "or": (1, None),
    "coalesce": (1, None),
    "copyindex": (0, 2),
    "map": (2, 2),
    "filter": (2, 2),
    "reduce": (3, 3),
    "sort": (2, 2),
    "toobject": (2, 3),
    "mapvalues": (2, 2),
    "resourcegroup": (0, 0),
    "subscription": (0, 0),
    "tenant": (0, 0),
    "deployment": (0, 0),
    "environment": (0, 0),
    "deployer": (0, 0),
    "resourceid": (2, None),
    "subscriptionresourceid": (2, None),
    "tenantresourceid": (2, None),
    "extensionresourceid": (3, None),
    "newguid": (0, 0),
    "utcnow": (0, 1),
    "reference": (1, 3),
    **{name.lower(): (1, 3) for name in LISTING},
}

ARITIES: Mapping[str, Arity] = {
    **{name: _STATED.get(name) or _of(function) for name, function in FUNCTIONS.items()},
    **_SPECIAL,
}


def arity_problem(name: str, given: int, arity: Arity) -> str | None:
    """ARM's sentence where a function is given too few or too many arguments."""
    fewest, most = arity
    if given >= fewest and (most is None or given <= most):
        return None
    wanted = str(fewest) if fewest == most else f"{fewest} to {most}" if most is not None else f"at least {fewest}"
    return (
        f"Unable to evaluate template language function '{name}': function requires {wanted} argument(s) while {given} were "
        f"provided. Please see https://aka.ms/arm-functions/#{name} for usage details."
    )
