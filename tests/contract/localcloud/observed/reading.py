"""What the tests of observed behaviour read of an app, as it came over the wire, and how they write one."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx

from tests.contract.localcloud.conftest import World, eventually

TIMES = {"poll": 0, "tick": 0.05, "scale": 0.02, "bounds": 0.2}
PASSWORD = "registry-password"


def raw(world: World, path: str) -> Any:
    """An answer of ARM as it came, below the group's container apps."""
    base = f"/subscriptions/{world.subscription}/resourceGroups/g/providers/Microsoft.App/containerApps"
    with world.http() as http:
        return http.get(f"{base}/{path}", params={"api-version": "2025-07-01"}).json()


def revision_of(world: World, name: str, revision: str | None = None) -> dict[str, Any]:
    revision = revision or raw(world, name)["properties"]["latestRevisionName"]
    return raw(world, f"{name}/revisions/{revision}")["properties"]


def events(world: World, name: str) -> list[dict[str, Any]]:
    token = world.apps.container_apps.get_auth_token("g", name).properties.token
    with httpx.Client(verify=world.known["caFile"], headers={"Authorization": f"Bearer {token}"}, timeout=120) as http:
        found = http.get(
            raw(world, name)["properties"]["eventStreamEndpoint"], params={"follow": "false", "tailLines": "300"}
        )
    return [json.loads(line) for line in found.text.splitlines()]


def said(world: World, name: str) -> list[tuple[str, str]]:
    return [(event["Reason"], event["Msg"]) for event in events(world, name)]


def written(world: World, name: str, body: dict[str, Any]) -> None:
    world.apps.container_apps.begin_create_or_update("g", name, body).result()


def container_of(world: World, name: str) -> dict[str, Any]:
    found = eventually(lambda: raw(world, f"{name}/revisions/{latest(world, name)}/replicas")["value"])
    return found[-1]["properties"]["containers"][0]


def latest(world: World, name: str) -> str:
    return raw(world, name)["properties"]["latestRevisionName"]


def python(body: dict[str, Any], code: str) -> dict[str, Any]:
    body["properties"]["template"]["containers"][0]["command"] = ["python3", "-c", code]
    return body


class Asking:
    """Asks an address again and again in the background; what came of each request."""

    def __init__(self, url: str, answer: Callable[[httpx.Response], str], timeout: float = 120) -> None:
        self.seen: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(url, answer, timeout))
        self._thread.start()

    def _ask(self, url: str, answer: Callable[[httpx.Response], str], timeout: float) -> None:
        while not self._stop.wait(0.02):
            try:
                found = httpx.get(url, timeout=timeout)
                self.seen.append(answer(found) if found.status_code == 200 else str(found.status_code))
            except httpx.TimeoutException:
                self.seen.append("no answer")

    def end(self) -> list[str]:
        self._stop.set()
        self._thread.join()
        return self.seen
