"""Groups, providers, storage, workspaces, environments: what Azure does, and what it refuses with which code."""

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.contract.localcloud.conftest import QUICK, World, code_of, eventually, start_cloud
from tests.contract.localcloud.test_apps import app_body, deployed, replicas, system_events
from tests.support.evidence import evidence, same_shape

Start = Callable[..., World]


def refused(call: Callable[[], Any]) -> str:
    """The code that Azure's error carries."""
    with pytest.raises(HttpResponseError) as problem:
        call()
    return code_of(problem.value)


def test_a_group_is_made_found_whatever_its_case_and_deleted(world: World):
    groups = world.groups.resource_groups
    made = groups.create_or_update("Case", {"location": "West US 3", "tags": {"a": "1"}})
    assert made.location == "westus3"
    assert groups.get("cASE").name == "Case"
    assert groups.check_existence("CASE")
    assert [each.name for each in groups.list(filter="tagName eq 'a' and tagValue eq '1'")] == ["Case"]
    groups.begin_delete("Case").result()
    assert not groups.check_existence("Case")
    with pytest.raises(ResourceNotFoundError) as missing:
        groups.get("Case")
    assert code_of(missing.value) == "ResourceGroupNotFound"


def test_a_list_can_be_kept_to_a_group(world: World):
    for group in ("list-a", "list-b"):
        world.groups.resource_groups.create_or_update(group, {"location": "westus3"})
        body: Any = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        world.storage.storage_accounts.begin_create(group, group.replace("-", ""), body).result()
    wanted = "resourceType eq 'Microsoft.Storage/storageAccounts' and resourceGroup eq 'LIST-A'"
    assert [each.name for each in world.groups.resources.list(filter=wanted)] == ["lista"]


def test_providers_are_refused_until_registered(another: Start):
    world = another()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    body = {"location": "westus3", "properties": {}}
    create = world.apps.managed_environments.begin_create_or_update
    assert refused(lambda: create("g", "env", body)) == "MissingSubscriptionRegistration"
    assert world.groups.providers.get("Microsoft.App").registration_state == "NotRegistered"
    world.groups.providers.register("Microsoft.App")
    assert world.groups.providers.get("Microsoft.App").registration_state == "Registered"
    assert create("g", "env", body).result().properties.provisioning_state == "Succeeded"


def test_storage_names_are_unique_and_keys_change(world: World, group: str):
    body = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {}}
    accounts = world.storage.storage_accounts
    accounts.begin_create(group, "uniquename1", body).result()
    assert accounts.check_name_availability(
        {"name": "uniquename1", "type": "Microsoft.Storage/storageAccounts"}
    ).reason == ("AlreadyExists")
    assert accounts.check_name_availability({"name": "No!", "type": "Microsoft.Storage/storageAccounts"}).reason == (
        "AccountNameInvalid"
    )
    before = [key.value for key in accounts.list_keys(group, "uniquename1").keys_property]
    after = [key.value for key in accounts.regenerate_key(group, "uniquename1", {"keyName": "key1"}).keys_property]
    assert before[0] != after[0]
    assert before[1] == after[1]
    world.groups.resource_groups.create_or_update("second", {"location": "westus3"})
    assert refused(lambda: accounts.begin_create("second", "uniquename1", body)) == "StorageAccountAlreadyTaken"


def test_a_workspace_has_keys_and_a_customer_id(world: World, group: str):
    body = {"location": "westus3", "properties": {"retentionInDays": 30}}
    workspace = world.logs.workspaces.begin_create_or_update(group, "logs-one", body).result()
    assert workspace.customer_id
    assert world.logs.shared_keys.get_shared_keys(group, "logs-one").primary_shared_key


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Any:
    quota = {"SubscriptionConsumptionT4Gpus": 1, "SubscriptionConsumptionNCA100Gpus": 0, "SubscriptionNCA100Gpus": -1}
    world = start_cloud(tmp_path_factory.mktemp("limited"), settings={**QUICK, "gpu_quota": quota})
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    yield world
    world.stop()


def environment(world: World, name: str, *kinds: str, location: str = "westus3", **counts: int) -> Any:
    profiles = [{"name": kind.lower(), "workloadProfileType": kind, **counts} for kind in kinds]
    body = {"location": location, "properties": {"workloadProfiles": profiles}}
    return world.apps.managed_environments.begin_create_or_update("g", name, body).result()


@pytest.mark.fact(127)
def test_a_missing_row_of_the_t4_is_not_a_zero(another: Start):
    world = another(settings={**QUICK, "gpu_quota": {"SubscriptionConsumptionT4Gpus": -1}})
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    names = {row.name.value for row in world.apps.usages.list("westus3")}
    assert {"SubscriptionConsumptionNCA100Gpus", "SubscriptionNCA100Gpus"} <= names
    assert not any("T4" in name for name in names)
    made = environment(world, "env", "Consumption-GPU-NC8as-T4")
    assert made.properties.provisioning_state == "Succeeded"


@pytest.mark.fact(133)
def test_an_environment_counts_cores_in_azures_rows(limited: World):
    captured = [line.split() for line in evidence("captured-outputs/environment-usages.txt").splitlines()[1:] if line]
    made = environment(limited, "counted", "Consumption")
    body = app_body(made.id, scale={"minReplicas": 2, "maxReplicas": 2})
    deployed(limited, "g", "counter", body)
    each = body["properties"]["template"]["containers"][0].get("resources", {}).get("cpu", 0.5)
    rows = {row.name.value: row for row in limited.apps.managed_environment_usages.list("g", "counted")}
    assert [(name, row.limit) for name, row in rows.items()] == [(name, int(limit)) for name, _, limit in captured]
    assert rows["ManagedEnvironmentConsumptionCores"].current_value == 2 * each
    limited.apps.container_apps.begin_delete("g", "counter").result()


@pytest.mark.fact(127)
def test_quota_and_profiles_are_those_of_the_region(limited: World):
    rows = {row.name.value: row for row in limited.apps.usages.list("westus3")}
    assert rows["SubscriptionConsumptionT4Gpus"].limit == 1
    assert "SubscriptionNCA100Gpus" not in rows, "an unknown quota has no row"
    offered = {each.name for each in limited.apps.available_workload_profiles.get("westus3")}
    assert "Consumption-GPU-NC24-A100" in offered
    assert "Consumption-GPU-NC24-A100" not in {
        each.name for each in limited.apps.available_workload_profiles.get("eastus2")
    }


def test_a_profile_without_quota_or_region_is_refused(limited: World):
    assert refused(lambda: environment(limited, "env-a", "Consumption-GPU-NC24-A100")) == "MaxRegionalQuotaExceeded"
    assert refused(lambda: environment(limited, "env-b", "Consumption-GPU-NC8as-T4", location="eastus2")) == (
        "WorkloadProfileTypeNotAvailable"
    )


def test_a_serverless_profile_takes_no_counts(limited: World):
    code = refused(lambda: environment(limited, "env-c", "Consumption-GPU-NC8as-T4", minimumCount=0, maximumCount=1))
    assert code == "InvalidWorkloadProfileCount"


def test_a_second_replica_waits_for_the_gpu_that_is_in_use(limited: World):
    made = environment(limited, "gpu", "Consumption", "Consumption-GPU-NC8as-T4")
    body = app_body(made.id, scale={"minReplicas": 2, "maxReplicas": 2})
    body["properties"]["workloadProfileName"] = "consumption-gpu-nc8as-t4"
    deployed(limited, "g", "gpus", body)
    eventually(lambda: len(replicas(limited, "g", "gpus")) == 2)
    states = sorted(each.properties.running_state for each in replicas(limited, "g", "gpus"))
    assert states == ["NotRunning", "Running"]
    pulls = [event for event in system_events(limited, "g", "gpus") if "Pulling image" in event]
    assert len(pulls) == 1, "the other is assigned, and nothing more is said"
    rows = {row.name.value: row for row in limited.apps.usages.list("westus3")}
    assert rows["SubscriptionConsumptionT4Gpus"].current_value == 1


def test_a_profile_in_use_can_not_be_dropped(limited: World):
    body: dict[str, Any] = {
        "location": "westus3",
        "properties": {
            "workloadProfiles": [
                {"name": "Consumption", "workloadProfileType": "Consumption"},
                {"name": "big", "workloadProfileType": "D4", "minimumCount": 0, "maximumCount": 1},
            ]
        },
    }
    create = limited.apps.managed_environments.begin_create_or_update
    made = create("g", "used", body).result()
    app = app_body(made.id)
    app["properties"]["workloadProfileName"] = "big"
    deployed(limited, "g", "user", app)
    body["properties"]["workloadProfiles"].pop()
    assert refused(lambda: create("g", "used", body)) == "WorkloadProfileInUse"
    states = list(limited.apps.managed_environments.list_workload_profile_states("g", "used"))
    assert {state.name: state.properties.current_count for state in states}["big"] == 1
    assert refused(lambda: limited.apps.managed_environments.begin_delete("g", "used")) == "ManagedEnvironmentNotEmpty"


def test_a_second_change_waits_for_the_first(another: Start):
    world = another(settings={"times": {"poll": 0, "environment": 30}})
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    body = {"location": "westus3", "properties": {}}
    create = world.apps.managed_environments.begin_create_or_update
    poller = create("g", "env", body)
    assert refused(lambda: create("g", "env", body)) == "ManagedEnvironmentOperationInProgress"
    assert poller.result().properties.provisioning_state == "Succeeded"


@pytest.mark.fact(137)
def test_the_number_of_environments_is_limited_and_the_limit_can_be_read(another: Start):
    world = another(settings={**QUICK, "environments_quota": 1})
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    environment(world, "first", "Consumption")
    (row,) = (each for each in world.apps.usages.list("westus3") if each.name.value == "ManagedEnvironmentCount")
    assert (row.current_value, row.limit) == (1, 1)
    code = refused(lambda: environment(world, "second", "Consumption"))
    assert code == "MaxNumberOfRegionalEnvironmentsInSubExceeded"
    assert environment(world, "first", "Consumption").name == "first"
    assert environment(world, "second", "Consumption", location="eastus").name == "second"


@pytest.mark.fact(123)
def test_the_key_of_a_workspace_is_not_shown_by_the_environment(limited: World):
    captured = evidence("image-size-startup-delay/08-environment-logs-config.json")["appLogsConfiguration"]
    logs = {"customerId": captured["logAnalyticsConfiguration"]["customerId"], "sharedKey": "c2VjcmV0"}
    stated = {"destination": "log-analytics", "logAnalyticsConfiguration": logs}
    body: Any = {"location": "westus3", "properties": {"appLogsConfiguration": stated}}
    limited.apps.managed_environments.begin_create_or_update("g", "logged", body).result()
    path = f"/subscriptions/{limited.subscription}/resourceGroups/g/providers/Microsoft.App/managedEnvironments/logged"
    with limited.http() as http:
        shown = http.get(f"{path}?api-version=2025-07-01").json()["properties"]["appLogsConfiguration"]
    preview = "dynamicJsonColumns"
    same_shape(captured, shown, {f"logAnalyticsConfiguration.{preview}": "shown by preview versions of the API only"})
    del captured["logAnalyticsConfiguration"][preview]
    assert shown == captured
