"""Bodies newer than the Swagger files: every key known to the SDK's models, every enumerated value to its enums."""

import enum
import sys
import typing
from typing import Any

import pytest
from azure.mgmt.appcontainers import models

from tests.contract.localcloud.conftest import World
from tests.contract.localcloud.test_apps import app_body, deployed

# States that Container Apps returns and its own enums lack.
OPEN_VALUES = {"Activating", "ScaledToZero", "RunningAtMaxScale", "Deprovisioning"}
# Keys that Azure returns (they are in the recordings and captures) and the SDK's models lack.
OPEN_KEYS = {
    "delegatedIdentities",
    "imageType",
    "patchingMode",
    "revisionTransitionThreshold",
    "runningStateDetails",
    "targetLabel",
    "targetPortHttpScheme",
}


@pytest.fixture(scope="module")
def app(world: World, group: str) -> str:
    body = {
        "location": "westus3",
        "properties": {"workloadProfiles": [{"name": "Consumption", "workloadProfileType": "Consumption"}]},
    }
    environment = world.apps.managed_environments.begin_create_or_update(group, "models-env", body).result()
    deployed(world, group, "models", app_body(environment.id, secrets=[{"name": "s", "value": "v"}]))
    return "models"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("managedEnvironments/models-env", models.ManagedEnvironment),
        ("containerApps/models", models.ContainerApp),
        ("containerApps/models/revisions/{revision}", models.Revision),
        ("containerApps/models/revisions/{revision}/replicas/{replica}", models.Replica),
    ],
)
def test_what_is_shown_is_what_the_models_know(world: World, group: str, app: str, path: str, model: Any):
    revision = world.apps.container_apps.get(group, app).properties.latest_revision_name
    replica = world.apps.container_apps_revision_replicas.list_replicas(group, app, revision).value[0].name
    base = f"/subscriptions/{world.subscription}/resourceGroups/{group}/providers/Microsoft.App"
    with world.http() as http:
        answer = http.get(f"{base}/{path.format(revision=revision, replica=replica)}?api-version=2026-07-01")
    assert problems(model, answer.json(), model.__name__) == []


def problems(model: Any, value: Any, path: str) -> list[str]:
    """Keys and values of `value` that the model does not know."""
    found: list[str] = []
    known = {field._rest_name: name for name, field in model()._attr_to_rest_field.items()}
    hints = annotations_of(model)
    for key, each in value.items():
        if key not in known:
            found += [] if key in OPEN_KEYS else [f"{path}.{key}: unknown key"]
            continue
        found += of_kind(hints.get(known[key]), each, f"{path}.{key}")
    return found


def of_kind(hint: Any, value: Any, path: str) -> list[str]:
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Union else (hint,)
    enums = [each for each in choices if isinstance(each, type) and issubclass(each, enum.Enum)]
    nested = [each for each in choices if isinstance(each, type) and hasattr(each, "as_dict")]
    lists = [each for each in choices if typing.get_origin(each) is list]
    if isinstance(value, str) and enums:
        values = {str(member.value).lower() for member in enums[0]}
        return [] if value.lower() in values or value in OPEN_VALUES else [f"{path}: '{value}' is in no enum"]
    if isinstance(value, dict) and nested:
        return problems(nested[0], value, path)
    if isinstance(value, list) and lists:
        inner = typing.get_args(lists[0])[0]
        return [problem for each in value for problem in of_kind(inner, each, f"{path}[]")]
    return []


def annotations_of(model: Any) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for base in reversed(model.__mro__):
        module = sys.modules.get(base.__module__)
        names = {**vars(module), "_models": models} if module else {}
        for name, annotation in getattr(base, "__annotations__", {}).items():
            try:
                hints[name] = eval(annotation, names) if isinstance(annotation, str) else resolved(annotation, names)
            except NameError:
                continue
    return hints


def resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """An annotation with its forward references (`Optional["_models.X"]`) looked up."""
    return typing.get_type_hints(type("Holder", (), {"__annotations__": {"field": annotation}}), names)["field"]


def test_an_unknown_key_or_value_would_be_noticed():
    wrong = {"properties": {"provisioningState": "Nonsense", "strange": 1, "configuration": {"ingress": {"odd": 1}}}}
    assert problems(models.ContainerApp, wrong, "app") == [
        "app.properties.provisioningState: 'Nonsense' is in no enum",
        "app.properties.strange: unknown key",
        "app.properties.configuration.ingress.odd: unknown key",
    ]
