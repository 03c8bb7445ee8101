"""Hostile input: it gets 4xx or a closed connection, never a 500, never a file outside the share, never a crash."""

import asyncio
import ssl
import uuid

import httpx
import pytest

from tests.contract.localcloud.conftest import World

BODIES = [
    b"{",
    b"[]",
    b'"x"',
    b"null",
    b"\xff\xfe",
    b"1e999",
    b"[" * 100_000,
    b'{"properties": 3}',
    b'{"location": 5}',
    b'{"properties": {"template": []}}',
    b'{"location": {"a": 1}, "properties": {"workloadProfiles": [1]}}',
]
PATHS = [
    "/resourcegroups/g{}?api-version=2025-04-01",
    "/resourcegroups/tests/providers/Microsoft.Resources/deployments/d?api-version=2025-04-01",
    "/resourcegroups/tests/providers/Microsoft.App/managedEnvironments/hostile?api-version=2025-07-01",
    "/resourcegroups/tests/providers/Microsoft.App/containerApps/hostile?api-version=2025-07-01",
    "/resourcegroups/tests/providers/Microsoft.Storage/storageAccounts/hostile?api-version=2025-06-01",
    "/resourcegroups/tests/providers/Microsoft.OperationalInsights/workspaces/hostile?api-version=2025-07-01",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_malformed_bodies_get_4xx(world: World, group: str, path: str, body: bytes):
    with world.http() as http:
        for method in ("PUT", "PATCH"):
            answer = http.request(
                method,
                f"/subscriptions/{world.subscription}{path.format(uuid.uuid4().hex)}",
                content=body,
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code < 500, answer.text
            assert answer.status_code >= 400, "none of these bodies is right"
            assert answer.json()["error"]["code"]


def test_a_huge_body_is_refused_without_being_read_wholly(world: World):
    with world.http() as http:
        answer = http.put(
            f"/subscriptions/{world.subscription}/resourcegroups/huge?api-version=2025-04-01",
            content=b"x" * (5 * 1024 * 1024),
        )
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "RequestContentTooLarge"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/%00",
        "/subscriptions/../../etc/passwd",
        "/subscriptions/%2e%2e",
        "/" + "a" * 20_000,
        "/providers/x",
        "/subscriptions//x",
        "/subscriptions/S/resourcegroups/tests/providers",
        "/subscriptions/S/providers/Microsoft.App/x/y/z",
    ],
)
def test_strange_paths_get_4xx(world: World, path: str):
    with world.http() as http:
        for method in ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            url = path.replace("/S/", f"/{world.subscription}/")
            answer = http.request(method, f"{url}?api-version=2025-04-01")
            assert 400 <= answer.status_code < 500, (method, answer.text)


def test_a_thousand_connections_at_once_leave_it_answering(world: World):
    context = ssl.create_default_context(cafile=world.known["caFile"])
    host, port = world.arm.removeprefix("https://").split(":")

    async def silent() -> asyncio.StreamWriter | None:
        try:
            _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        except OSError:
            return None
        writer.write(b"GET /subscriptions HTTP/1.1\r\nHost: ")
        return writer

    async def crowd() -> int:
        writers: list[asyncio.StreamWriter | None] = []
        for _ in range(10):
            writers += await asyncio.gather(*(silent() for _ in range(100)))
        async with httpx.AsyncClient(verify=context, timeout=120) as http:
            answer = await http.get(f"{world.arm}/metadata/endpoints")
        for writer in writers:
            if writer:
                writer.close()
        return answer.status_code

    assert asyncio.run(crowd()) == 200
    assert world.process.poll() is None
