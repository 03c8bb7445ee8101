"""ARM's preflight: what a provider, a registration or a namespace refuses is said before anything of a deployment is made."""

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import World, code_of
from tests.contract.localcloud.test_deployments import deploy, template, thing

Json = dict[str, Any]
Start = Callable[..., World]


@pytest.fixture(scope="module")
def place(world: World) -> str:
    world.groups.resource_groups.create_or_update("preflight", {"location": "westus3"})
    return "preflight"


def refused(world: World, group: str, content: Json) -> Any:
    """The error that validate, what-if and PUT give alike; nothing of the template is there afterwards."""
    body: Any = {"properties": {"mode": "Incremental", "template": content}}
    client = world.deployments.deployments
    foreseen = client.begin_what_if(group, "refused", body).result()
    assert foreseen.status == "Failed"
    errors: list[Any] = [foreseen.error]
    for ask in (client.begin_validate, client.begin_create_or_update):
        with pytest.raises(HttpResponseError) as problem:
            ask(group, "refused", body).result()
        errors.append(problem.value.error)
    assert len({error.code for error in errors}) == 1
    assert not client.check_existence(group, "refused")
    assert list(world.groups.resources.list_by_resource_group(group)) == []
    return errors[1]


def innermost(error: Any) -> tuple[list[str], Any]:
    """(the codes on the way down, the last error)"""
    codes = [error.code]
    while error.details:
        error = error.details[0]
        codes.append(error.code)
    return codes, error


def account(name: str = "preflightok", **parts: Any) -> Json:
    stated = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, **parts}
    return {"type": "Microsoft.Storage/storageAccounts", "apiVersion": "2024-01-01", "name": name, **stated}


def share(name: str) -> Json:
    kind = "Microsoft.Storage/storageAccounts/fileServices/shares"
    return {"type": kind, "apiVersion": "2024-01-01", "name": f"preflightok/default/{name}"}


def workspace(name: str = "preflight-logs") -> Json:
    kind = "Microsoft.OperationalInsights/workspaces"
    return {"type": kind, "apiVersion": "2023-09-01", "name": name, "location": "westus3", "properties": {}}


def environment(name: str = "preflight-env", profiles: list[Json] | None = None, **parts: Any) -> Json:
    logs = {
        "customerId": "[reference('preflight-logs').customerId]",
        "sharedKey": "[listKeys('preflight-logs', '2023-09-01').primarySharedKey]",
    }
    return {
        "type": "Microsoft.App/managedEnvironments",
        "apiVersion": "2025-07-01",
        "name": name,
        "location": "westus3",
        "properties": {
            "appLogsConfiguration": {"destination": "log-analytics", "logAnalyticsConfiguration": logs},
            "workloadProfiles": profiles or [{"name": "c", "workloadProfileType": "Consumption"}],
        },
        "dependsOn": ["preflight-logs"],
        **parts,
    }


def app(name: str = "preflight-app", container: Json | None = None, **parts: Any) -> Json:
    properties = {
        "managedEnvironmentId": "[resourceId('Microsoft.App/managedEnvironments', 'preflight-env')]",
        "template": {"containers": [{"name": "main", "image": "python:3.12", **(container or {})}]},
        **parts,
    }
    return {
        "type": "Microsoft.App/containerApps",
        "apiVersion": "2025-07-01",
        "name": name,
        "location": "westus3",
        "properties": properties,
        "dependsOn": ["preflight-env"],
    }


SECRET: Any = {"configuration": {"secrets": [{"name": "key"}]}}
COUNTED = {"name": "g", "workloadProfileType": "Consumption-GPU-NC8as-T4", "minimumCount": 0, "maximumCount": 1}


@pytest.mark.parametrize(
    ("resource", "code", "target"),
    [
        (account("Not-A-Name"), "AccountNameInvalid", "Not-A-Name"),
        (account(sku={"name": "Standard_XYZ"}), "InvalidValuesForRequestParameters", None),
        (account(location="atlantis"), "LocationNotAvailableForResourceType", None),
        (share("AIFileShare"), "InvalidResourceName", None),
        (workspace("lo"), "InvalidParameter", None),
        (environment("my env"), "ManagedEnvironmentInvalidName", None),
        (environment(profiles=[{"name": "g", "workloadProfileType": "T5"}]), "InvalidWorkloadProfileType", None),
        (environment(profiles=[COUNTED]), "InvalidWorkloadProfileCount", None),
        (app("MyApp"), "ContainerAppInvalidName", None),
        (app(container={"image": ""}), "ContainerAppImageRequired", None),
        (app(container={"resources": {"cpu": 8, "memory": "16Gi"}}), "ContainerAppInvalidResourceTotal", None),
        (app(workloadProfileName="other"), "WorkloadProfileNameNotFound", None),
        (app(**SECRET), "ContainerAppSecretInvalid", None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_a_provider_refuses_stops_the_deployment_before_its_first_resource(
    world: World, place: str, resource: Json, code: str, target: str | None
):
    before = {
        "Microsoft.App/containerApps": [workspace(), environment()],
        "Microsoft.App/managedEnvironments": [workspace()],
    }
    fine = before.get(resource["type"], [thing("beside")])
    error = refused(world, place, template([*fine, resource]))
    codes, last = innermost(error)
    wrapper = (
        "ValidationForResourceFailed" if "Microsoft.App/" in resource["type"] else "PreflightValidationCheckFailed"
    )
    assert codes == ["InvalidTemplateDeployment", wrapper, code]
    assert "is not valid according to the validation procedure. The tracking id is '" in error.message
    assert target is None or last.target == target


def test_a_name_that_is_taken_is_known_before_anything_is_made(world: World, place: str):
    world.groups.resource_groups.create_or_update("taken", {"location": "westus3"})
    deploy(world, "taken", "first", template([account("preflighttaken")]))
    assert (
        innermost(refused(world, place, template([account("preflighttaken")])))[0][-1] == "StorageAccountAlreadyTaken"
    )


def test_what_is_only_known_later_is_not_judged_before(world: World, place: str):
    """A body that reads another resource may be right: only its name is looked at."""
    parts = app(container={"image": "[reference('preflight-env').name]", "resources": {"cpu": "[reference('x').cpu]"}})
    assert innermost(refused(world, place, template([workspace(), environment(), {**parts, "name": "Bad"}])))[0][
        -1
    ] == ("ContainerAppInvalidName")
    body: Any = {"properties": {"mode": "Incremental", "template": template([workspace(), environment(), parts])}}
    assert world.deployments.deployments.begin_validate(place, "later", body).result().properties


def test_a_nested_deployment_is_looked_into_too(world: World, place: str):
    nested = {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2025-04-01",
        "name": "nested",
        "properties": {"mode": "Incremental", "template": template([account("Not-A-Name")])},
    }
    error = refused(world, place, template([thing("beside"), nested]))
    assert innermost(error)[0][-1] == "AccountNameInvalid"


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        (
            "Microsoft.NoSuchProvider/things",
            "InvalidResourceNamespace",
            "namespace 'Microsoft.NoSuchProvider' is invalid",
        ),
        (
            "Microsoft.App/containerApp",
            "NoRegisteredProviderFound",
            "for type 'containerApp'. The supported api-versions are '20",
        ),
        ("Microsoft.Resources/deploymentStacks", "NoRegisteredProviderFound", "for type 'deploymentStacks'"),
    ],
)
def test_a_type_that_azure_does_not_have_is_refused(world: World, place: str, kind: str, code: str, words: str):
    error = refused(world, place, template([thing("beside"), {**thing("odd"), "type": kind, "location": "westus3"}]))
    assert error.code == code
    assert words in error.message
    with world.http() as http:
        path = f"/subscriptions/{world.subscription}/resourcegroups/{place}/providers/{kind}"
        for method, url in (("PUT", f"{path}/a"), ("GET", f"{path}/a"), ("GET", path), ("POST", f"{path}/a/listKeys")):
            answer = http.request(method, f"{url}?api-version=2025-07-01", json={} if method != "GET" else None)
            unknown = "InvalidResourceNamespace" if code == "InvalidResourceNamespace" else "InvalidResourceType"
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, unknown), (method, url)


def test_an_api_version_that_is_none_is_refused(world: World, place: str):
    error = refused(world, place, template([{**thing("odd"), "apiVersion": "latest"}]))
    assert error.code == "NoRegisteredProviderFound"


def test_an_unregistered_provider_stops_the_deployment_before_its_first_resource(another: Start):
    world = another()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    with pytest.raises(HttpResponseError) as problem:
        deploy(world, "g", "first", template([account("unregistered"), {**environment(), "dependsOn": []}]))
    assert (problem.value.status_code, code_of(problem.value)) == (409, "MissingSubscriptionRegistration")
    assert list(world.groups.resources.list_by_resource_group("g")) == []
