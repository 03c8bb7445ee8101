"""Codes and reasons of Container Apps that other files do not meet: limits of probes, changes at the same time, events."""

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import QUICK, World, code_of, eventually
from tests.contract.localcloud.test_apps import app_body, deployed, system_events

Start = Callable[..., World]


@pytest.fixture(scope="module")
def environment(world: World, group: str) -> str:
    body: Any = {"location": "westus3", "properties": {}}
    return world.apps.managed_environments.begin_create_or_update(group, "refusals-env", body).result().id


def probed(environment: str, **probe: Any) -> dict[str, Any]:
    body = app_body(environment)
    container = body["properties"]["template"]["containers"][0]
    container["probes"] = [{"type": "Liveness", "tcpSocket": {"port": 8080}, **probe}]
    return body


@pytest.mark.fact(50)
@pytest.mark.parametrize(
    "probe",
    [
        {"initialDelaySeconds": 61},
        {"periodSeconds": 241},
        {"periodSeconds": 0},
        {"timeoutSeconds": 241},
        {"successThreshold": 11},
        {"failureThreshold": 31},
        {"type": "Readiness", "failureThreshold": 49},
        {"type": "Startup", "failureThreshold": 241},
    ],
    ids=str,
)
def test_a_probe_beyond_its_limits_is_refused(world: World, group: str, environment: str, probe: dict[str, Any]):
    with pytest.raises(HttpResponseError) as refused:
        world.apps.container_apps.begin_create_or_update(group, "probes", probed(environment, **probe))
    (field,) = (f"{name[:1].upper()}{name[1:]}" for name in probe if name != "type")
    assert code_of(refused.value) == f"ContainerAppProbe{field}OutOfRange"
    assert f"probe's {field} must be in the range of ['" in str(refused.value)


@pytest.mark.parametrize(("kind", "failures"), [("Liveness", 30), ("Readiness", 48), ("Startup", 240)])
def test_a_probe_at_its_limits_is_taken(world: World, group: str, environment: str, kind: str, failures: int):
    limits = {"initialDelaySeconds": 60, "periodSeconds": 240, "timeoutSeconds": 240, "failureThreshold": failures}
    body = probed(environment, type=kind, **limits)
    made = world.apps.container_apps.begin_create_or_update(group, f"limits-{kind.lower()}", body).result()
    assert made.properties.template.containers[0].probes[0].failure_threshold == failures
    world.apps.container_apps.begin_delete(group, f"limits-{kind.lower()}").result()


def test_an_app_takes_one_change_at_a_time(another: Start):
    world = another(settings={"times": {**QUICK["times"], "write": 150}})
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    plain: Any = {"location": "westus3", "properties": {}}
    body = app_body(world.apps.managed_environments.begin_create_or_update("g", "env", plain).result().id)
    first = world.apps.container_apps.begin_create_or_update("g", "app", body)
    with pytest.raises(HttpResponseError) as refused:
        world.apps.container_apps.begin_create_or_update("g", "app", body)
    assert (refused.value.status_code, code_of(refused.value)) == (409, "ContainerAppOperationInProgress")
    assert first.result().properties.provisioning_state == "Succeeded"


def test_a_revision_that_is_not_active_can_not_be_restarted(world: World, group: str, environment: str):
    deployed(world, group, "inactive", app_body(environment, mode="Multiple", suffix="one"))
    revisions = world.apps.container_apps_revisions
    revisions.deactivate_revision(group, "inactive", "inactive--one")
    assert list(revisions.list_revisions(group, "inactive", filter="properties/active eq true")) == []
    assert len(list(revisions.list_revisions(group, "inactive", filter="properties/active eq false"))) == 1
    with pytest.raises(HttpResponseError) as refused:
        revisions.restart_revision(group, "inactive", "inactive--one")
    assert code_of(refused.value) == "RevisionNotActive"
    revisions.activate_revision(group, "inactive", "inactive--one")
    revisions.restart_revision(group, "inactive", "inactive--one")


def test_a_probe_that_fails_is_in_the_system_log(world: World, group: str, environment: str):
    body = app_body(environment, env={"START_AFTER": "600"})
    world.apps.container_apps.begin_create_or_update(group, "unprobed", body).result()
    eventually(lambda: any("ProbeFailed" in event for event in system_events(world, group, "unprobed")))
    world.apps.container_apps.begin_delete(group, "unprobed").result()


def test_a_share_that_can_not_be_mounted_is_in_the_system_log(world: World, group: str, environment: str):
    azure = {"accountName": "nosuchaccount", "accountKey": "bm8=", "shareName": "no", "accessMode": "ReadOnly"}
    storage: Any = {"properties": {"azureFile": azure}}
    world.apps.managed_environments_storages.create_or_update(group, "refusals-env", "lost", storage)
    body = app_body(environment)
    template = body["properties"]["template"]
    template["volumes"] = [{"name": "share", "storageType": "AzureFile", "storageName": "lost"}]
    template["containers"][0]["volumeMounts"] = [{"volumeName": "share", "mountPath": "/mount"}]
    world.apps.container_apps.begin_create_or_update(group, "unmounted", body).result()
    eventually(lambda: any("VolumeMountFailure" in event for event in system_events(world, group, "unmounted")))
    world.apps.container_apps.begin_delete(group, "unmounted").result()
