"""The table of template functions beside the project: each expression evaluated here, and compared with the engine's answer."""

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from sidecar.armlang.expressions import Scope, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.json_values import same, written
from sidecar.localcloud.deployments.scope_functions import Place, place_functions
from tests.support.bicep_corpus import function_cases

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-corpus"
TENANT = "99999999-9999-9999-9999-999999999999"
Kind = Literal[
    "equal",
    "other value",
    "an error instead of a value",
    "refused alike",
    "refused in other words",
    "a value instead of an error",
    "crashed",
]


@dataclass(frozen=True)
class Answer:
    id: str
    kind: Kind
    wanted: str
    got: str


def corpus_place() -> Place:
    """Where the corpus was evaluated."""
    subscription = {"id": SUBSCRIPTION, "subscriptionId": SUBSCRIPTION.rsplit("/", 1)[1], "tenantId": TENANT}
    group = {"id": GROUP, "name": "rg-corpus", "location": "westeurope"}
    return Place(subscription, group, {"name": "main"})


def function_answers() -> list[Answer]:
    """What becomes of each expression that the engine evaluated or refused."""
    functions = place_functions(corpus_place())
    found: list[Answer] = []
    for case in function_cases():
        if case.get("arm") is None or case.get("crash") or not {"value", "error"} & case.keys():
            continue
        found.append(_answer(case, Scope(functions=functions)))
    return found


def _answer(case: dict[str, Any], scope: Scope) -> Answer:
    wanted = case.get("value", case.get("error"))
    try:
        got: Any = shown(written(evaluate(case["arm"], scope)))
    except ExpressionError as refused:
        if "value" in case:
            return Answer(case["id"], "an error instead of a value", json.dumps(wanted), str(refused))
        alike = first_sentence(str(refused)) == first_sentence(case["error"])
        return Answer(case["id"], "refused alike" if alike else "refused in other words", case["error"], str(refused))
    except Exception as crash:  # noqa: BLE001  (what is measured is whether anything else comes out)
        return Answer(case["id"], "crashed", json.dumps(wanted), repr(crash))
    if "value" not in case:
        return Answer(case["id"], "a value instead of an error", case["error"], json.dumps(got))
    equal = same(got, case["value"]) and json.dumps(got) == json.dumps(case["value"])
    return Answer(case["id"], "equal" if equal else "other value", json.dumps(wanted), json.dumps(got))


def first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")


def shown(value: Any) -> Any:
    """Floats that JSON has not are recorded as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [shown(each) for each in value]
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    return value
