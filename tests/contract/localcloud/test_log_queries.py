"""Queries to a workspace: a token of their own audience, errors as Log Analytics words them, nothing of the language guessed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.localcloud.conftest import World, eventually
from tests.contract.localcloud.test_apps import app_body, deployed

AUDIENCE = "https://api.loganalytics.azure.com"


@pytest.fixture(scope="module")
def workspace(world: World) -> str:
    world.groups.resource_groups.create_or_update("g-queries", {"location": "westus3"})
    made = world.logs.workspaces.begin_create_or_update("g-queries", "logs-asked", {"location": "westus3"}).result()
    return str(made.customer_id)


def ask(world: World, workspace: str, body: Any, audience: str = AUDIENCE) -> tuple[int, Any]:
    host = world.arm.rpartition(":")[0]
    token = world.credential().get_token(f"{audience}/.default").token
    url = f"{host}:{world.known['ports']['data']}/v1/workspaces/{workspace}/query"
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(url, json=body, headers=headers, verify=world.known["caFile"], trust_env=False, timeout=60)
    return answer.status_code, answer.json()["error"]


def test_a_token_for_arm_opens_no_workspace(world: World, workspace: str) -> None:
    status, error = ask(world, workspace, {"query": "T"}, audience=world.arm)
    assert (status, error["code"]) == (401, "InvalidAuthenticationTokenAudience")


def test_a_workspace_that_is_not_there_is_404(world: World) -> None:
    status, _ = ask(world, "00000000-0000-0000-0000-000000000000", {"query": "T"})
    assert status == 404


def test_a_table_is_not_there_before_its_first_line(world: World, workspace: str) -> None:
    status, error = ask(world, workspace, {"query": "ContainerAppConsoleLogs_CL | take 1"})
    assert (status, error["code"]) == (400, "BadArgumentError")
    inner = error["innererror"]["innererror"]
    assert inner["code"] == "SEM0100"
    assert "Failed to resolve table" in inner["message"]


@pytest.mark.parametrize("body", [{"query": "T | union U"}, {"query": ["T"]}, {}, []])
def test_what_is_not_understood_is_refused(world: World, workspace: str, body: Any) -> None:
    status, error = ask(world, workspace, body)
    assert (status, error["code"]) == (400, "BadArgumentError")


def test_what_an_app_writes_is_found_where_its_environment_sends_it(world: World, workspace: str) -> None:
    logs = {
        "destination": "log-analytics",
        "logAnalyticsConfiguration": {"customerId": workspace, "sharedKey": "c2VjcmV0"},
    }
    body: Any = {"location": "westus3", "properties": {"appLogsConfiguration": logs}}
    made = world.apps.managed_environments.begin_create_or_update("g-queries", "sends", body).result()
    deployed(world, "g-queries", "writes", app_body(made.id))
    token = world.credential().get_token(f"{AUDIENCE}/.default").token
    url = f"{world.arm.rpartition(':')[0]}:{world.known['ports']['data']}/v1/workspaces/{workspace}/query"
    headers = {"Authorization": f"Bearer {token}"}
    query = {"query": "ContainerAppConsoleLogs_CL | take 5"}

    def rows() -> Any:
        answer = httpx.post(url, json=query, headers=headers, verify=world.known["caFile"], trust_env=False, timeout=60)
        return answer.status_code == 200 and answer.json()["tables"][0]["rows"]

    assert "listening on" in str(eventually(rows, 30))
    world.apps.container_apps.begin_delete("g-queries", "writes").result()
