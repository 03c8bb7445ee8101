"""What is under way is waited for, what is busy asked again, lost answers borne, failures told by their innermost sentence."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sidecar.gateway import resources, revisions
from sidecar.words.errors import Cancelled, CloudError, PreflightFailed
from tests.contract.provision.conftest import Arm, Project, cancelled_when, new_project
from tests.contract.provision.test_existing import A100, CONSUMPTION, environment, toolkit
from tests.support.evidence import evidence

BUSY = {"status": 409, "code": "ContainerAppOperationInProgress"}


def app_of(project: Project) -> str:
    (name,) = project.names("Microsoft.App/containerApps")
    return name


@pytest.mark.parametrize(
    "struck",
    [
        {"status": 409, "code": "ContainerAppLockConflict"},
        BUSY,
        {"status": 429, "code": "TooManyRequests"},
        {"status": 502, "code": "BadGateway"},
        {"status": 408, "code": "RequestTimeout"},
    ],
)
def test_a_patch_is_asked_for_again_while_the_app_is_busy(
    project: Project, faults: Arm, struck: dict[str, Any]
) -> None:
    """The SDK gives up at the first."""
    project.provision()
    project.state(cooldownSeconds=60)
    hits = faults({"method": "PATCH", "path": "/containerApps/", "times": 2, **struck})
    project.provision()
    assert hits() == [2]
    found = project.world.apps.container_apps.get(project.group, app_of(project))
    assert found.properties.template.scale.cooldown_period == 60
    assert sum("busy (" in each for each in project.said) == 2


def test_a_restart_is_asked_for_again_while_the_app_is_busy(project: Project, faults: Arm) -> None:
    project.provision()
    name = app_of(project)
    (revision,) = revisions.revisions(project.place.app(name))
    hits = faults(
        {"method": "POST", "path": "/restart", "status": 502, "times": 1},
        {"method": "POST", "path": "/restart", "times": 2, **BUSY},
    )
    revisions.restart(project.place.app(name), revision.name)
    assert hits() == [1, 2]


def test_a_deployment_is_asked_for_again_while_one_is_active(project: Project, faults: Arm) -> None:
    hits = faults({"method": "PUT", "path": "/deployments/", "status": 409, "code": "DeploymentActive", "times": 2})
    project.provision()
    assert hits() == [2]


def test_what_stays_busy_is_told_and_a_cancel_is_heard_at_once(project: Project, faults: Arm) -> None:
    project.provision()
    project.state(cooldownSeconds=60)
    hits = faults({"method": "PATCH", "path": "/containerApps/", "times": None, **BUSY})
    heard = threading.Event()
    began: list[float] = []

    def cancel(said: str) -> None:
        if "busy (ContainerAppOperationInProgress)" in said and not heard.is_set():
            heard.set()
            began.append(time.monotonic())
            project.stop.set()

    project.on_said = cancel
    with pytest.raises(Cancelled):
        project.provision()
    assert time.monotonic() - began[0] < 60
    assert hits() == [1]


def test_a_change_that_does_not_end_hears_a_cancel(project: Project, faults: Arm) -> None:
    """The SDK's own wait lasts its 15 minutes, and then counts as success."""
    environment(project, "slow", CONSUMPTION)
    project.state(acaEnvironmentName="slow")
    hits = faults(
        {"path": "/operationResults/", "status": 202, "body": "{}", "times": None},
        {"path": "/operationStatuses/", "kind": "never-ending", "times": None},
    )
    began = time.monotonic()
    looked = cancelled_when(project, lambda: sum(hits()) > 0)
    with looked, pytest.raises(Cancelled, match="The cloud goes on with it"):
        project.provision("gpu-profile")
    assert time.monotonic() - began < 120


def test_an_environment_that_is_being_made_is_waited_for(project: Project, faults: Arm) -> None:
    environment(
        project, "young", CONSUMPTION, {**A100, "name": "t4", "workloadProfileType": "Consumption-GPU-NC8as-T4"}
    )
    project.state(acaEnvironmentName="young")
    found = project.world.apps.managed_environments.get(project.group, "young").as_dict()
    found["properties"]["provisioningState"] = "InfrastructureSetupInProgress"
    hits = faults(
        {
            "method": "GET", "path": "/managedEnvironments/young[?]", "kind": "body", "status": 200, "times": 2,
            "body": json.dumps(found), "headers": {"content-type": "application/json"},
        }
    )  # fmt: skip
    project.provision()
    assert hits() == [2]
    assert any("young is InfrastructureSetupInProgress: waiting" in each for each in project.said)


def failing(project: Project, path: str, body: Any, times: int | None = None) -> dict[str, Any]:
    return {
        "method": "GET", "path": path, "kind": "body", "status": 200, "times": times, "body": json.dumps(body),
        "headers": {"content-type": "application/json"},
    }  # fmt: skip


def test_a_failed_environment_that_holds_something_is_named(project: Project, faults: Arm) -> None:
    project.provision()
    (name,) = project.names("Microsoft.App/managedEnvironments")
    found = project.world.apps.managed_environments.get(project.group, name).as_dict()
    found["properties"]["provisioningState"] = "Failed"
    faults(failing(project, f"/managedEnvironments/{name}[?]", found))
    with pytest.raises(CloudError, match=f"is in the state Failed, and holds {app_of(project)}") as error:
        project.provision()
    assert error.value.code == "EnvironmentFailed"


def test_a_failed_environment_without_anything_is_made_anew(project: Project, faults: Arm) -> None:
    environment(project, "broken", CONSUMPTION)
    project.state(acaEnvironmentName="broken")
    found = project.world.apps.managed_environments.get(project.group, "broken").as_dict()
    found["properties"]["provisioningState"] = "Failed"
    faults(failing(project, "/managedEnvironments/broken[?]", found, times=1))
    project.provision()
    made = project.world.apps.managed_environments.get(project.group, "broken")
    assert "gpu-inference" in {each.name for each in made.properties.workload_profiles}


@pytest.mark.fact(27)
def test_an_app_whose_making_failed_is_made_anew(project: Project, faults: Arm) -> None:
    """As Azure shows an app whose image was refused: no revision, no host, no event stream."""
    project.provision()
    name = app_of(project)
    captured = evidence("acr-pull-failure/02-containerapp-show-baseline.json")
    shown = project.world.apps.container_apps.get(project.group, name).as_dict()
    for part in ("latestRevisionName", "latestRevisionFqdn", "provisioningState"):
        shown["properties"][part] = captured[part]
    shown["properties"]["configuration"]["ingress"] = captured["ingress"]
    shown["properties"].pop("eventStreamEndpoint")
    assert shown["properties"]["provisioningState"] == "Failed"
    hits = faults(failing(project, f"/containerApps/{name}[?]", shown, times=1))
    project.provision()
    assert hits() == [1]
    assert any(f"The container app {name} is in the state Failed: it is made anew" in each for each in project.said)

    faults(failing(project, f"/containerApps/{name}[?]", {**shown, "tags": None}, times=1))
    with pytest.raises(CloudError) as error:
        project.provision()
    assert error.value.code == "AppFailed"


def test_an_app_whose_last_change_failed_is_changed_once_more(project: Project, faults: Arm) -> None:
    project.provision()
    name = app_of(project)
    shown = project.world.apps.container_apps.get(project.group, name).as_dict()
    shown["properties"]["provisioningState"] = "Failed"
    faults(failing(project, f"/containerApps/{name}[?]", shown, times=1))
    project.provision()
    assert any("it is made once more" in each for each in project.said)
    assert any("Updating the container app" in each for each in project.said)


def test_a_failed_app_of_another_template_is_left_alone_all_the_same(
    project: Project, tmp_path: Path, faults: Arm
) -> None:
    toolkit(project)
    project.provision()
    name = app_of(project)
    shown = project.world.apps.container_apps.get(project.group, name).as_dict()
    shown["properties"]["provisioningState"] = "Failed"
    ours = new_project(project.world, tmp_path / "ours", project.group)
    faults(failing(project, f"/containerApps/{name}[?]", shown))
    ours.provision()
    assert any("it stays as it is" in each for each in ours.said)
    assert not any("Updating the container app" in each for each in ours.said)


def test_a_lost_look_does_not_end_following(project: Project, faults: Arm) -> None:
    """Beyond the SDK's own four tries: a laptop's lid, a deployment that is not yet to be read."""
    hits = faults(
        {
            "method": "GET",
            "path": "/deployments/[^/]*[?]",
            "skip": 1,
            "times": 2,
            "status": 404,
            "code": "DeploymentNotFound",
        }
    )
    project.provision()
    assert hits() == [2]
    assert any("still following" in each for each in project.said)


@pytest.mark.fact(80, 86, 87)
def test_a_failed_deployment_is_told_in_the_words_of_the_resource(project: Project, faults: Arm) -> None:
    """The deployment itself says only that something failed; the cause stands in its operations. Both as Azure gave them."""
    result = evidence("acr-pull-failure/01-deployment-result.json")
    (captured,) = evidence("acr-pull-failure/01-deployment-operations-failed.json")
    deployment = {
        "id": "/d", "name": "d", "properties": {"provisioningState": "Failed", "error": result["error"]},
    }  # fmt: skip
    faults(
        failing(project, "/deployments/[^/]*/operations", operations(captured, captured["statusMessage"])),
        {**failing(project, "/deployments/[^/]*[?]", deployment), "skip": 1},
    )
    with pytest.raises(CloudError, match="MANIFEST_UNKNOWN: manifest tagged by") as error:
        project.provision()
    assert error.value.code == "ContainerAppOperationError"
    assert str(error.value).startswith("Microsoft.App/containerApps ca-labacr-rnnljl: Failed to provision revision")


def operations(captured: dict[str, Any], status: Any) -> dict[str, Any]:
    target = {"id": "/r", "resourceType": captured["resourceType"], "resourceName": captured["resourceName"]}
    properties = {"provisioningOperation": "Create", "provisioningState": "Failed", "targetResource": target}
    return {"value": [{"id": "/o", "operationId": "1", "properties": {**properties, "statusMessage": status}}]}


def test_a_cause_that_is_json_inside_a_string_is_unwrapped(project: Project, faults: Arm) -> None:
    """As an operation and a deployment hold it: an error in the text of an error in the text of an error."""
    inner = {"error": {"code": "MaxRegionalQuotaExceeded", "message": "The quota of the region is used up."}}
    middle = {
        "status": "Failed",
        "error": {"code": "Conflict", "message": f"The operation failed: {json.dumps(inner)}"},
    }
    outer = {"status": "Failed", "error": {"code": "ResourceDeploymentFailure", "message": json.dumps(middle)}}
    captured = {"resourceType": "Microsoft.App/containerApps", "resourceName": "ui"}
    failed = {"id": "/d", "name": "d", "properties": {"provisioningState": "Failed", "error": outer["error"]}}
    for status in (outer, None):
        project.state(acaAppName="ui" if status else "another")  # else there would be nothing to deploy
        found = operations(captured, status) if status else {"value": []}
        faults(
            failing(project, "/deployments/[^/]*/operations", found),
            {**failing(project, "/deployments/[^/]*[?]", failed), "skip": 1},
        )
        with pytest.raises(CloudError, match=r"The quota of the region is used up\.$") as error:
            project.provision()
        assert error.value.code == "MaxRegionalQuotaExceeded"


def test_a_provider_that_can_not_be_read_is_a_warning(project: Project, faults: Arm) -> None:
    """Whoever has a role in the resource group alone may not read the subscription's providers."""
    hits = faults(
        {
            "method": "GET",
            "path": "/providers/Microsoft.[A-Za-z]+[?]",
            "status": 403,
            "code": "AuthorizationFailed",
            "times": None,
        }
    )
    project.provision()
    assert hits() == [3]
    assert sum(each.startswith("Unverified: Whether Microsoft.") for each in project.said) == 3


def test_a_missing_registration_at_the_deployment_is_made_up_for_once(project: Project, faults: Arm) -> None:
    refused = {"method": "PUT", "path": "/deployments/", "status": 409, "code": "MissingSubscriptionRegistration"}
    hits = faults({**refused, "times": 1}, {"method": "POST", "path": "/register", "kind": "delay", "times": None})
    project.provision()
    assert hits() == [1, 3]
    project.state(acaAppName="another")
    hits = faults({**refused, "times": None})
    with pytest.raises(CloudError) as error:
        project.provision()
    assert (error.value.code, hits()) == ("MissingSubscriptionRegistration", [2])


def test_a_cancel_reaches_the_cloud_though_its_request_must_be_repeated(project: Project, faults: Arm) -> None:
    """The waits of a cancelled run end at once; those of cancelling do not."""
    running = {"id": "/d", "name": "d", "properties": {"provisioningState": "Running"}}
    hits = faults(
        {"method": "POST", "path": "/cancel[?]", "status": 503, "headers": {"Retry-After": "1"}, "times": 1},
        {**failing(project, "/deployments/[^/]*[?]", running), "skip": 1},
    )
    looked = cancelled_when(project, lambda: hits()[1] > 0)
    with looked, pytest.raises(Cancelled, match=r"was cancelled|could not be cancelled .* it is still Running"):
        project.provision()
    assert hits()[0] == 1


def test_a_cancel_while_the_deployment_is_asked_for_again_tells_what_had_arrived(project: Project, faults: Arm) -> None:
    """The first request took effect, its answer says otherwise; the cancel comes before the second."""
    faults(
        {
            "method": "PUT",
            "path": "/deployments/",
            "kind": "body",
            "status": 503,
            "times": 1,
            "headers": {"Retry-After": "20", "content-type": "application/json"},
            "body": "{}",
        },
        {
            **failing(project, "/deployments/[^/]*[?]", {"name": "d", "properties": {"provisioningState": "Running"}}),
            "skip": 1,
        },
    )

    def cancel(said: str) -> None:
        if "asks for patience" in said:
            project.stop.set()

    project.on_said = cancel
    with pytest.raises(Cancelled, match=r"was cancelled|could not be cancelled .* it is still Running"):
        project.provision()


def test_throttling_with_a_time_is_waited_out_and_told(project: Project, faults: Arm) -> None:
    hits = faults({"path": "/resourcegroups/", "status": 429, "headers": {"Retry-After": "4"}, "times": 1})
    resources.group(project.session, project.world.subscription, project.group)
    assert hits() == [1]
    assert any("asks for patience" in each for each in project.said)


def test_a_long_wait_for_the_clouds_sake_hears_a_cancel(project: Project, faults: Arm) -> None:
    hits = faults({"path": "/resourcegroups/", "status": 429, "headers": {"Retry-After": "120"}, "times": 1})
    began = time.monotonic()
    with cancelled_when(project, lambda: hits() == [1]), pytest.raises(Cancelled):
        resources.group(project.session, project.world.subscription, project.group)
    assert time.monotonic() - began < 60


def test_another_projects_run_is_waited_for_and_its_app_is_then_another_projects(
    project: Project, tmp_path: Path, faults: Arm
) -> None:
    """Two projects with default names in one group: the second used to follow the first one's deployment, and to take its app."""
    second = new_project(project.world, tmp_path / "second", project.group)
    listed = f"/resourcegroups/{project.group}/providers/Microsoft.Resources/deployments/?[?]"
    running = {"id": "/d", "name": "slipway-inference-theirs", "properties": {"provisioningState": "Running"}}
    hits = faults(failing(project, listed, {"value": [running]}, times=2))
    project.provision()
    assert hits() == [2]
    assert any("Waiting for the deployment slipway-inference-theirs of another run" in each for each in project.said)
    faults()
    with pytest.raises(PreflightFailed, match="another project"):
        second.provision()
    assert not second.workspace.config_file.exists()
