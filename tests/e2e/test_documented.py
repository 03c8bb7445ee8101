"""What the documents promise of resources that exist, of apps made by hand and of parameters, on the real local cloud."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.mgmt.appcontainers import ContainerAppsAPIClient
from azure.mgmt.resource.deployments import DeploymentsMgmtClient

from sidecar.core.journal import Journal
from sidecar.gateway.files import open_share
from sidecar.words.errors import Conflict
from sidecar.workflows.registration import register_providers

from .conftest import Home, Place, apps_of, delete_apps, new_place, until
from .rollouts import faults

SHIPPED = Path("infra/provision")


@pytest.fixture
def place(home: Home, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    place = new_place(home, tmp_path / "project", request.node.name[:60].replace("[", "-").rstrip("]"))
    yield place
    delete_apps(place)


@pytest.fixture
def apps(place: Place) -> Iterator[ContainerAppsAPIClient]:
    with apps_of(place) as client:
        yield client


def registered(place: Place, scratch: Path) -> None:
    """What was made by hand, or by fine-tuning, was made in a subscription that knows the providers."""
    journal = Journal(scratch / "journal", "by hand", lambda _: None, threading.Event())
    register_providers(place.home.session(), place.subscription, journal)


def state(place: Place, **values: object) -> None:
    """States parameters in the project's file, over the shipped ones."""
    file = place.workspace / "infra" / "provision" / "inference.parameters.json"
    document = json.loads(file.read_text())
    document["parameters"] |= {name: {"value": value} for name, value in values.items()}
    file.write_text(json.dumps(document))


def test_the_shipped_template_and_parameters_deploy_by_hand_and_deploy_works(
    place: Place, sample: tuple[Path, Any], tmp_path: Path
) -> None:
    """As `az deployment group create` does it: the two shipped files and nothing else, in a registered subscription."""
    session = place.home.session()
    registered(place, tmp_path)
    template = json.loads((SHIPPED / "inference.json").read_text())
    parameters = json.loads((SHIPPED / "inference.parameters.json").read_text())["parameters"]
    body: Any = {"properties": {"mode": "Incremental", "template": template, "parameters": parameters}}
    with DeploymentsMgmtClient(session.credential, place.subscription, **session.arm_options()) as client:
        done = client.deployments.begin_create_or_update(place.group, "by-hand", body).result()
    assert done.properties is not None
    outputs = done.properties.outputs or {}
    assert "acA_APP_ENDPOINT" in outputs
    config = {key.upper(): each["value"] for key, each in outputs.items()}
    (place.workspace / "infra" / "inference.config.json").write_text(json.dumps(config))
    place.upload_models(sample[0])
    assert place.deploy()["verified"]


def test_an_app_made_by_hand_is_deployed_as_a_plain_tree_and_reported_unverified(
    place: Place, apps: ContainerAppsAPIClient
) -> None:
    place.provision()
    config = place.config
    ours = apps.container_apps.get(place.group, config["ACA_APP_NAME"])
    assert ours.properties is not None
    assert ours.properties.template is not None
    container = {
        "name": "server",
        "image": "python:3.12",
        "command": [
            "/bin/bash",
            "-c",
            "cd /mount/inference && python3 -m http.server $CONTAINER_APP_PORT --bind 127.0.0.1",
        ],
        "resources": {"cpu": 0.5, "memory": "1Gi"},
        "volumeMounts": [{"volumeName": "share", "mountPath": "/mount"}],
    }
    body: Any = {
        "location": ours.location,
        "properties": {
            "environmentId": ours.properties.environment_id or ours.properties.managed_environment_id,
            "configuration": {"activeRevisionsMode": "Single", "ingress": {"external": True, "targetPort": 8000}},
            "template": {
                "containers": [container],
                "volumes": [each.as_dict() for each in ours.properties.template.volumes or []],
                "scale": {"minReplicas": 1, "maxReplicas": 1},
            },
        },
    }
    # the folder must be there, or the first start fails: a person made it when they made the app
    with open_share(place.around, config["STORAGE_ACCOUNT_NAME"], config["FILE_SHARE_NAME"]) as share:
        share.replace("inference/index.html", b"by hand")
    made = apps.container_apps.begin_create_or_update(place.group, "by-hand", body).result()
    assert made.properties is not None
    assert made.properties.configuration is not None
    assert made.properties.configuration.ingress is not None
    theirs = {**config, "ACA_APP_NAME": "by-hand", "ACA_APP_ENDPOINT": made.properties.configuration.ingress.fqdn}
    (place.workspace / "infra" / "inference.config.json").write_text(json.dumps(theirs))
    (place.workspace / "inference" / "index.html").write_text("synced")
    result = place.deploy()
    assert not result["verified"]
    assert result["codeChanged"]
    assert httpx.get(result["url"], timeout=60).text == "synced"
    (place.workspace / "inference" / "index.html").write_text("edited")
    with another_deployer(place, "index.html"):
        left = place.deploy()
    assert not left["codeChanged"]
    assert [each for each in left["notes"] if "Left as they are on the share" in each and "index.html" in each], left
    assert httpx.get(result["url"], timeout=60).text == "synced"


@contextmanager
def another_deployer(place: Place, name: str) -> Generator[None]:
    """Takes an upload away before it can be put in place."""
    uploads = f".{name}.*.part"
    faults(place, {"part": "files", "path": f"/{name}\\?comp=rename", "kind": "hold", "seconds": 300})

    def take_away() -> None:
        until(lambda: any(shares.rglob(uploads)), 240, "the upload")
        for each in shares.rglob(uploads):
            each.unlink()
        faults(place)

    shares = place.home.settings.local_state / "shares"
    other = threading.Thread(target=take_away)
    other.start()
    yield
    other.join()


def test_what_the_parameters_state_is_changed_in_the_existing_app(place: Place, apps: ContainerAppsAPIClient) -> None:
    place.provision()
    before = apps.container_apps.get(place.group, place.config["ACA_APP_NAME"])
    state(place, maximumInstanceCount=2, defaultCommands=["python3 -m inference"])
    place.provision()
    after = apps.container_apps.get(place.group, place.config["ACA_APP_NAME"])
    assert before.properties is not None
    assert after.properties is not None
    assert after.properties.template is not None
    assert after.properties.template.scale is not None
    assert after.properties.template.scale.max_replicas == 2
    assert (after.properties.template.containers or [])[0].args == ["set -e\npython3 -m inference"]
    assert after.properties.latest_revision_name != before.properties.latest_revision_name
    place.provision()
    again = apps.container_apps.get(place.group, place.config["ACA_APP_NAME"])
    assert again.properties is not None
    assert again.properties.latest_revision_name == after.properties.latest_revision_name


def test_an_existing_environment_gets_the_gpu_profile_after_consent_and_keeps_its_own(
    place: Place, apps: ContainerAppsAPIClient, tmp_path: Path
) -> None:
    registered(place, tmp_path)
    body: Any = {
        "location": "westeurope",
        "properties": {
            "workloadProfiles": [
                {"name": "Consumption", "workloadProfileType": "Consumption"},
                {"name": "theirs", "workloadProfileType": "D4", "minimumCount": 0, "maximumCount": 2},
            ]
        },
    }
    apps.managed_environments.begin_create_or_update(place.group, "theirs", body).result()
    state(place, acaEnvironmentName="theirs")
    where = ("--subscription", place.subscription, "--group", place.group)
    refused = place.home.cli("provision", str(place.workspace), *where, expect=3)
    assert refused["error"]["consent"] == "gpu-profile"
    assert "The existing environment theirs has no Consumption-GPU-NC8as-T4 profile yet." in refused["error"]["message"]
    place.provision()
    found = apps.managed_environments.get(place.group, "theirs")
    assert found.properties is not None
    profiles = {each.name: each for each in found.properties.workload_profiles or []}
    assert profiles["theirs"].maximum_count == 2
    assert "Consumption-GPU-NC8as-T4" in {each.workload_profile_type for each in profiles.values()}


def test_the_stated_gpu_profile_is_the_one_that_the_app_runs_on(
    place: Place, apps: ContainerAppsAPIClient, tmp_path: Path
) -> None:
    """Fine-tuning left an A100 profile under its own name, beside a T4's, which is the default type."""
    registered(place, tmp_path)
    body: Any = {
        "location": "westus3",
        "properties": {
            "workloadProfiles": [
                {"name": "Consumption", "workloadProfileType": "Consumption"},
                {"name": "t4", "workloadProfileType": "Consumption-GPU-NC8as-T4"},
                {"name": "GPU", "workloadProfileType": "Consumption-GPU-NC24-A100"},
            ]
        },
    }
    apps.managed_environments.begin_create_or_update(place.group, "theirs", body).result()
    state(place, acaEnvironmentName="theirs", gpuProfileType="Consumption-GPU-NC24-A100", cpu="24", memory="220Gi")
    place.provision()
    made = apps.container_apps.get(place.group, place.config["ACA_APP_NAME"])
    assert made.properties is not None
    assert made.properties.workload_profile_name == "GPU"
    found = apps.managed_environments.get(place.group, "theirs")
    assert found.properties is not None
    assert [each.name for each in found.properties.workload_profiles or []] == ["Consumption", "t4", "GPU"]


def test_a_dedicated_profile_that_an_environment_lacks_stops_before_anything_is_made(
    place: Place, apps: ContainerAppsAPIClient, tmp_path: Path
) -> None:
    registered(place, tmp_path)
    body: Any = {
        "location": "westus3",
        "properties": {"workloadProfiles": [{"name": "Consumption", "workloadProfileType": "Consumption"}]},
    }
    apps.managed_environments.begin_create_or_update(place.group, "theirs", body).result()
    state(place, acaEnvironmentName="theirs", gpuProfileType="NC24-A100")
    where = ("--subscription", place.subscription, "--group", place.group)
    refused = place.home.cli("provision", str(place.workspace), *where, "--yes", expect=1)
    assert refused["error"]["code"] == "DedicatedProfileMissing"
    assert list(apps.container_apps.list_by_resource_group(place.group)) == []


def test_two_projects_in_one_group_do_not_overwrite_each_other(place: Place, tmp_path: Path) -> None:
    place.provision()
    second = Place(place.home, tmp_path / "second", place.subscription, place.group)
    second.workspace.mkdir()
    place.home.cli("init", str(second.workspace))
    where = ("--subscription", place.subscription, "--group", place.group, "--yes")
    refused = place.home.cli("provision", str(second.workspace), *where, expect=1)
    assert refused["error"]["code"] == "AppOfAnotherProject"
    state(second, acaAppName="second-app")
    second.provision()
    assert second.config["ACA_APP_NAME"] == "second-app"
    assert second.config["STORAGE_ACCOUNT_NAME"] == place.config["STORAGE_ACCOUNT_NAME"]
    assert second.config["ACA_APP_ENDPOINT"] != place.config["ACA_APP_ENDPOINT"]


def test_a_name_on_the_share_is_taken_once(place: Place) -> None:
    place.provision()
    config = place.config
    account, name = config["STORAGE_ACCOUNT_NAME"], config["FILE_SHARE_NAME"]
    with (
        open_share(place.around, account, name) as one,
        open_share(place.around, account, name) as two,
    ):
        one.create(".slipway/x/generations/1.json", b"one")
        with pytest.raises(Conflict):
            two.create(".slipway/x/generations/1.json", b"two")
        assert two.read(".slipway/x/generations/1.json") == b"one"
        assert [each.name for each in two.list(".slipway/x/generations")] == ["1.json"]


def test_ctrl_c_cancels_the_deployment_in_the_cloud_and_says_what_came_of_it(place: Place) -> None:
    where = ("--subscription", place.subscription, "--group", place.group, "--yes", "--json")
    process = place.home.start("provision", str(place.workspace), *where)
    assert process.stderr is not None
    for line in process.stderr:
        if "Starting the deployment" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    if process.returncode == 0:  # it was faster than Ctrl-C: then it must have done its work
        assert place.config["ACA_APP_ENDPOINT"]
        return
    assert process.returncode == 130, err
    assert json.loads(out)["error"]["code"] == "Cancelled"
    assert not any(place.config.values())
    place.provision()
    assert place.config["ACA_APP_ENDPOINT"]
