"""A deployment that is cancelled while it runs: what was made stays, the rest is never begun, and it can run again."""

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import World, code_of, eventually
from tests.contract.localcloud.test_deployments import deploy, template, thing

Start = Callable[..., World]


@pytest.fixture
def slow(another: Start) -> World:
    """A cloud where an environment takes its time: eight seconds at its scale."""
    world = another(settings={"times": {"poll": 0, "environment": 80}})
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    return world


def environment(world: World) -> Any:
    return world.apps.managed_environments.get("g", "env").properties


def names(world: World) -> set[str]:
    return {each.name for each in world.groups.resources.list_by_resource_group("g")}


def state(world: World) -> str:
    return world.deployments.deployments.get("g", "slow").properties.provisioning_state


def operations(world: World) -> dict[str, str]:
    found = world.deployments.deployment_operations.list("g", "slow")
    return {each.properties.target_resource.resource_name: each.properties.provisioning_state for each in found}


CONTENT = template(
    [
        thing("first", location="westus3"),
        {
            "type": "Microsoft.App/managedEnvironments",
            "apiVersion": "2025-07-01",
            "name": "env",
            "location": "westus3",
            "properties": {},
            "dependsOn": ["first"],
        },
        thing("after", location="westus3", dependsOn=["env"]),
    ]
)


def test_a_running_deployment_is_cancelled_and_runs_again(slow: World):
    body: Any = {"properties": {"mode": "Incremental", "template": CONTENT}}
    poller = slow.deployments.deployments.begin_create_or_update("g", "slow", body)
    eventually(lambda: {"first", "env"} <= names(slow))
    assert state(slow) == "Running"
    assert operations(slow) == {"first": "Succeeded", "env": "Running"}
    with pytest.raises(HttpResponseError) as active:
        slow.deployments.deployments.begin_create_or_update("g", "slow", body)
    assert code_of(active.value) == "DeploymentActive"
    with pytest.raises(HttpResponseError) as held:
        slow.deployments.deployments.begin_delete("g", "slow")
    assert code_of(held.value) == "DeploymentActive"
    slow.deployments.deployments.cancel("g", "slow")
    eventually(lambda: state(slow) == "Canceled")
    with pytest.raises(HttpResponseError):
        poller.result()
    assert poller.status() == "Canceled"
    assert names(slow) == {"first", "env"}, "what was made stays, what waited is never begun"
    assert operations(slow) == {"first": "Succeeded", "env": "Canceled"}
    eventually(lambda: environment(slow).provisioning_state == "Succeeded", what="the provider ends what it began")
    assert names(slow) == {"first", "env"}
    assert deploy(slow, "g", "slow", CONTENT).properties.provisioning_state == "Succeeded"
    assert names(slow) == {"first", "env", "after"}


def test_it_runs_again_at_once_while_the_environment_is_still_being_made(slow: World):
    body: Any = {"properties": {"mode": "Incremental", "template": CONTENT}}
    slow.deployments.deployments.begin_create_or_update("g", "slow", body, polling=False)
    eventually(lambda: "env" in names(slow))
    slow.deployments.deployments.cancel("g", "slow")
    eventually(lambda: state(slow) == "Canceled")
    assert environment(slow).provisioning_state != "Succeeded"
    assert deploy(slow, "g", "slow", CONTENT).properties.provisioning_state == "Succeeded"
