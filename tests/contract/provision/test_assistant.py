"""The assistants' door by the official client, over stdio, as a coding assistant starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult, TextContent

from sidecar.core.workspace import target_of
from sidecar.gateway import apps, resources
from sidecar.gateway.session import settings_from
from sidecar.wire import protocol as wire
from sidecar.workflows.assisting import MOST, MOST_OF_A_TEXT, document_told, secrets_of, shortened, spoken, text_told
from sidecar.workflows.context import Context, place_of
from tests.contract.localcloud.conftest import ROOT
from tests.contract.provision.conftest import Project


@asynccontextmanager
async def assistant(project: Project, errors: Path, *folders: str) -> AsyncGenerator[ClientSession]:
    state = str(project.world.state)
    env = {**os.environ, "SLIPWAY_STATE": state, "SLIPWAY_LOCAL_STATE": state, "PYTHONPATH": str(ROOT)}
    command = StdioServerParameters(command=sys.executable, args=["-m", "sidecar", "mcp", *folders], env=env)
    with errors.open("w") as said:
        async with stdio_client(command, errlog=said) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            yield session


def text(result: CallToolResult) -> str:
    (part,) = result.content
    assert isinstance(part, TextContent)
    assert len(part.text) <= MOST + 200
    return part.text


def test_an_assistant_reads_how_a_project_stands_changes_nothing_and_sees_no_secret(
    project: Project, tmp_path: Path
) -> None:
    folder = str(project.workspace.folder)

    async def before_it_is_provisioned() -> None:
        async with assistant(project, tmp_path / "errors", folder) as session:
            plan = await session.call_tool("plan", {})
            assert plan.isError
            assert "Name both" in text(plan), "what is to be done is said"
            named = await session.call_tool(
                "plan", {"subscription": project.world.subscription, "resource_group": project.group}
            )
            assert not named.isError, text(named)
            assert "Microsoft.App/containerApps" in text(named) or "container app" in text(named).lower()
            assert json.loads(text(await session.call_tool("status", {})))["state"] == "not-provisioned"

    anyio.run(before_it_is_provisioned)
    assert project.names("Microsoft.App/containerApps") == [], "a plan makes nothing"
    project.provision()
    place = place_of(project.session, target_of(project.workspace))
    secrets = [
        *apps.secrets(place).values(),
        *resources.storage_keys(place.around, target_of(project.workspace).storage_account),
    ]
    assert len(secrets) >= 3

    async def afterwards() -> list[str]:
        told: list[str] = []
        async with assistant(project, tmp_path / "errors", folder) as session:
            tools = {each.name: each for each in (await session.list_tools()).tools}
            assert sorted(tools) == ["diagnose", "logs", "plan", "status"]
            assert all(each.annotations and each.annotations.readOnlyHint for each in tools.values())
            status = json.loads(text(await session.call_tool("status", {})))
            assert status["app"] == place.name
            told.append(json.dumps(status))
            diagnosis = json.loads(text(await session.call_tool("diagnose", {"folder": folder})))
            assert diagnosis["code"] == "WaitingForFirstDeploy", diagnosis
            assert isinstance(diagnosis["sentence"], str), "sentences are whole"
            for name, given in (("logs", {}), ("logs", {"source": "system", "lines": 5}), ("plan", {})):
                found = await session.call_tool(name, given)
                assert not found.isError, text(found)
                told.append(text(found))
            for name, given, says in (
                ("logs", {"lines": 100_000}, "Input validation error"),
                ("logs", {"source": "everything"}, "Input validation error"),
                ("status", {"foldr": folder}, "Input validation error"),
                ("logs", {"since": "yesterday"}, "yesterday"),
                ("status", {"folder": "/etc"}, "not among the folders that this server was started for"),
                ("deploy", {}, "deploy"),
            ):
                wrong = await session.call_tool(name, given)
                assert wrong.isError, name
                assert says in text(wrong)
                told.append(text(wrong))
        return told

    told = "\n".join(anyio.run(afterwards))
    for secret in secrets:
        assert secret not in told
        assert secret not in (tmp_path / "errors").read_text()
    assert "Traceback" not in (tmp_path / "errors").read_text()


def test_what_is_secret_is_taken_out_and_what_is_long_is_cut_and_says_so(project: Project) -> None:
    secret = "s3cret-value-of-this-test"
    assert text_told(f"key {secret} end", [secret]) == "key [redacted] end"
    cut = text_told("x" * MOST + "the newest", ())
    assert cut.startswith(f"(cut: the last {MOST} of {MOST + 10} characters)")
    assert cut.endswith("the newest")
    within = {"message": "It failed: {why}", "args": {"why": {"message": "no {what}", "args": {"what": "GPU"}}}}
    assert spoken({"reason": [within]}) == {"reason": ["It failed: no GPU"]}
    assert shortened({"a": ["y" * 5000, *range(300)]})["a"][0].endswith("(cut: 5000 characters)")
    assert shortened([*range(300)])[-1] == "… (cut: 300 entries)"
    through = wire.EndpointLink(url="y" * (MOST_OF_A_TEXT - 4) + secret, login_url=None, note=None)
    assert secret[:4] not in document_told(through, [secret]), "nor is a part left of one that is cut through"
    assert secrets_of(str(project.workspace.folder), context_of(project)) == [], "there is no app yet"


def context_of(project: Project) -> Context:
    settings = settings_from(
        {"SLIPWAY_LOCAL_STATE": str(project.world.state), "SLIPWAY_STATE": str(project.world.state)}
    )
    return Context(settings, lambda _: None, project.stop)


@pytest.mark.parametrize("given", ["", "not json\n"])
def test_it_ends_with_its_client_and_says_nothing_that_is_not_of_the_protocol(given: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sidecar", "mcp", str(tmp_path)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
