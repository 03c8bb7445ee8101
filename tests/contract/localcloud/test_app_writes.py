"""PUT and PATCH of an app: what each has to state (secrets, profile, variables), and how a PATCH is polled."""

from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import World, code_of, eventually
from tests.contract.localcloud.test_apps import SERVING, app_body, replicas, state_of


@pytest.fixture(scope="module")
def environment(world: World, group: str) -> str:
    body: Any = {"location": "westus3", "properties": {}}
    return world.apps.managed_environments.begin_create_or_update(group, "secrets-env", body).result().id


def values(world: World, group: str, name: str) -> dict[str, str]:
    return {each.name: each.value for each in world.apps.container_apps.list_secrets(group, name).value}


@pytest.mark.fact(123)
def test_what_a_get_shows_can_not_be_put_back_for_want_of_the_secrets_values(
    world: World, group: str, environment: str
):
    body = app_body(environment)
    body["properties"]["configuration"]["secrets"] = [{"name": "key", "value": "s3cret"}, {"name": "b", "value": "x"}]
    made = world.apps.container_apps.begin_create_or_update(group, "keeper", body).result()
    assert [(each.name, each.value) for each in made.properties.configuration.secrets] == [("key", None), ("b", None)]
    path = f"/subscriptions/{world.subscription}/resourceGroups/{group}/providers/Microsoft.App/containerApps/keeper"
    with world.http() as http:
        url = f"{path}?api-version=2025-07-01"
        shown = http.get(url).json()
        refused = http.put(url, json=shown)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "ContainerAppSecretInvalid")
        assert "'key, b'" in refused.json()["error"]["message"]
        assert "value or keyVaultUrl and identity should be provided" in refused.json()["error"]["message"]
    assert values(world, group, "keeper") == {"key": "s3cret", "b": "x"}
    world.apps.container_apps.begin_update(group, "keeper", {"location": "westus3", "tags": {"a": "b"}}).result()
    assert values(world, group, "keeper") == {"key": "s3cret", "b": "x"}
    full = app_body(environment)
    full["properties"]["configuration"]["secrets"] = [{"name": "key", "value": "other"}]
    world.apps.container_apps.begin_create_or_update(group, "keeper", full).result()
    assert values(world, group, "keeper") == {"key": "other"}
    world.apps.container_apps.begin_delete(group, "keeper").result()


@pytest.mark.parametrize("name", ["", None], ids=["empty", "null"])
def test_an_empty_profile_name_means_the_consumption_profile(world: World, group: str, name: str | None):
    profiles: list[dict[str, Any]] = [
        {"name": "plain", "workloadProfileType": "Consumption"},
        {"name": "d", "workloadProfileType": "D4"},
    ]
    profiles[1] |= {"minimumCount": 0, "maximumCount": 1}
    stated: Any = {"location": "westus3", "properties": {"workloadProfiles": profiles}}
    place = world.apps.managed_environments.begin_create_or_update(group, "profiles-env", stated).result()
    body = app_body(place.id)
    body["properties"]["workloadProfileName"] = name
    path = f"/subscriptions/{world.subscription}/resourceGroups/{group}/providers/Microsoft.App/containerApps/unnamed"
    with world.http() as http:
        answer = http.put(f"{path}?api-version=2025-07-01", json=body)
    assert answer.status_code in (200, 201), answer.text
    assert answer.json()["properties"]["workloadProfileName"] == "plain"
    world.apps.container_apps.begin_delete(group, "unnamed").result()


def test_a_profile_that_is_not_there_is_refused(world: World, group: str, environment: str):
    body = app_body(environment)
    body["properties"]["workloadProfileName"] = "nowhere"
    with pytest.raises(HttpResponseError) as refused:
        world.apps.container_apps.begin_create_or_update(group, "nowhere", body)
    assert code_of(refused.value) == "WorkloadProfileNameNotFound"


@pytest.mark.fact(91)
def test_the_same_variable_twice_is_a_success_without_a_revision(world: World, group: str, environment: str):
    create = world.apps.container_apps.begin_create_or_update
    first = create(group, "twice", app_body(environment)).result()
    body = app_body(environment)
    body["properties"]["template"]["containers"][0]["env"] = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    second = create(group, "twice", body).result()
    assert second.properties.provisioning_state == "Succeeded"
    assert second.properties.latest_revision_name == first.properties.latest_revision_name
    assert len(list(world.apps.container_apps_revisions.list_revisions(group, "twice"))) == 1
    world.apps.container_apps.begin_delete(group, "twice").result()


def test_a_patch_can_be_polled_by_its_state_and_by_its_place(world: World, group: str, environment: str):
    world.apps.container_apps.begin_create_or_update(group, "patched", app_body(environment)).result()
    path = f"/subscriptions/{world.subscription}/resourceGroups/{group}/providers/Microsoft.App/containerApps/patched"
    with world.http() as http:
        answer = http.patch(f"{path}?api-version=2025-07-01", json={"location": "westus3", "tags": {"a": "b"}})
        assert answer.status_code == 202
        state, place = answer.headers["azure-asyncoperation"], answer.headers["location"]
        assert "/operationStatuses/" in state
        assert "/operationResults/" in place
        eventually(lambda: http.get(state).json()["status"] == "Succeeded")
        done = http.get(place)
        assert (done.status_code, done.json()["tags"]) == (200, {"a": "b"})
    world.apps.container_apps.begin_delete(group, "patched").result()


def test_a_container_that_runs_first_ends_before_the_others_begin(
    world: World, group: str, environment: str, tmp_path: Path
):
    """Its command, arguments, variables and secrets are its own. While it runs, the revision is not ready."""
    said, let_on = tmp_path / "said", tmp_path / "on"
    body = app_body(environment, secrets=[{"name": "word", "value": "first"}])
    first: dict[str, Any] = {
        "name": "before",
        "image": "example/first:1",
        "command": ["/bin/sh", "-c"],
        "args": [f'printf "%s %s" "$WORD" "$PLAIN" > {said}; while [ ! -e {let_on} ]; do sleep 0.05; done'],
        "env": [{"name": "WORD", "secretRef": "word"}, {"name": "PLAIN", "value": "value"}],
    }
    body["properties"]["template"]["initContainers"] = [first]
    world.apps.container_apps.begin_create_or_update(group, "begins", body).result()
    eventually(lambda: said.exists() and said.read_text() == "first value")
    latest = world.apps.container_apps.get(group, "begins").properties.latest_revision_name
    assert state_of(world, group, "begins", latest) == ("Activating", "None")
    assert [each.running_state for each in replicas(world, group, "begins")] == ["NotRunning"]
    let_on.touch()
    eventually(lambda: state_of(world, group, "begins", latest) in SERVING)
    world.apps.container_apps.begin_delete(group, "begins").result()
