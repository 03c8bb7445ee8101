"""A project on a local cloud in which one failure is played: what the cloud shows, a person is told and a caller gets."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sidecar.core.journal import Event, Journal
from sidecar.gateway import apps
from sidecar.words.errors import SlipwayError
from sidecar.workflows.deploy import deploy
from sidecar.workflows.observe import status
from sidecar.workflows.restart import Patience
from tests.contract.localcloud.conftest import World, eventually
from tests.contract.provision.conftest import Project, new_project

REGISTRY = "registry.example"
PASSWORD = "registry-password"
"""A registry that wants a password, and that lacks the image app:gone."""

IMAGE = "docker.io/pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime"
"""The template's own."""

STUCK = "why-mount-stuck"
"""A resource group in which a renewed account key never comes to work."""

TINY = Path(__file__).with_name("tiny_server.py")
REPLICA_SECONDS = 180
CALL_SECONDS = 1.5
"""A caller's own limit: a request that is held has no answer within it."""


@dataclass(frozen=True)
class Told:
    """What a person was told: an error's code, `ok`, or the state of Status; and the sentence."""

    code: str
    sentence: str
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Sign:
    """What the cloud showed when the cause was first to be seen there."""

    at: float
    shown: Any


class Caller:
    """Asks the endpoint all the while, as somebody who uses it would; keeps when each request began and what came of it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._answers: list[tuple[float, str]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(2)]
        for each in self._threads:
            each.start()

    def _ask(self) -> None:
        with httpx.Client(timeout=CALL_SECONDS, trust_env=False) as client:
            while not self._stop.wait(0.1):
                began = time.monotonic()
                try:
                    said = str(client.get(f"{self._url}/version").status_code)
                except httpx.TimeoutException:
                    said = "no answer"
                except httpx.HTTPError as error:
                    said = type(error).__name__
                self._answers.append((began, said))

    def since(self, moment: float) -> list[str]:
        return [said for began, said in list(self._answers) if began >= moment]

    def end(self, since: float) -> list[str]:
        """What came of the requests that began after `since`; at least six of them."""
        eventually(lambda: len(self.since(since)) >= 6, 120, "six requests")
        self._stop.set()
        for each in self._threads:
            each.join()
        return self.since(since)


class Stage:
    """One project, in a resource group of its own."""

    def __init__(self, world: World, folder: Path, name: str) -> None:
        self.world = world
        self.name = name
        world.groups.resource_groups.create_or_update(name, {"location": "westus3"})
        self.project: Project = new_project(world, folder / name, name)
        self.project.state(defaultCommands=["python3 -m inference"])
        self._callers: list[Caller] = []

    # What a person does

    def template(self, *replaced: tuple[str, str]) -> None:
        text = self.project.workspace.bicep_file.read_text(encoding="utf-8")
        for old, new in replaced:
            assert old in text, f"the template does not say {old!r}"
            text = text.replace(old, new)
        self.project.template(text)

    def provision(self) -> Told:
        try:
            self.project.provision()
        except SlipwayError as error:
            return Told(error.code, str(error.message))
        return Told("ok", "")

    def released(self, mode: str = "serve") -> None:
        """Provisioned, and a release of the tiny server answers."""
        self.project.provision()
        told = self.deploy(mode)
        assert told.code == "ok", f"{self.name}: the good release failed: {told}"

    def deploy(self, mode: str, patience: Patience | None = None) -> Told:
        code = self.project.workspace.code
        code.mkdir(exist_ok=True)
        shutil.copy(TINY, code / "__main__.py")
        (code / "__init__.py").write_text("")
        (code / "mode.txt").write_text(mode)
        warnings: list[str] = []
        failures: list[float] = []

        def listen(event: Event) -> None:
            if event.kind == "log" and event.level == "warning":
                warnings.append(str(event.text))
            if event.kind == "log" and event.level == "error":  # told, before the way back is gone
                failures.append(time.monotonic())

        journal = Journal(self.project.workspace.folder / "journal", "test", listen, self.project.stop)
        try:
            limits = patience or Patience(whole=150)
            deploy(self.project.workspace, self.project.session, journal, patience=limits, wish="restart")
        except SlipwayError as error:
            return Told(error.code, str(error.message), *failures[:1])
        return Told("ok", " ".join(warnings))

    def status(self) -> Told:
        found = status(self.project.workspace, self.project.session)
        said = [*([] if found.reason is None else [found.reason]), *found.notes]
        return Told(found.state, " ".join(str(each) for each in said))

    def patch(self, **properties: Any) -> None:
        """A change of the app that was not made by Slipway: the portal's, the command line's."""
        body: Any = {"location": "westus3", "properties": properties}
        self.world.apps.container_apps.begin_update(self.name, self.app, body).result()

    def new_revision(self, **changed: Any) -> str:
        """The app's container with other values: another revision. `env`: variables that it has beside its own."""
        container = self.shown()["properties"]["template"]["containers"][0]
        env = [{"name": name, "value": value} for name, value in changed.pop("env", {}).items()]
        names = {each["name"] for each in env}
        kept = [each for each in container["env"] if each["name"] not in names]
        container |= {**changed, "env": [*kept, *env]}
        container["resources"].pop("ephemeralStorage", None)
        template = self.shown()["properties"]["template"] | {"containers": [container], "revisionSuffix": None}
        self.patch(template=template)
        return str(self.shown()["properties"]["latestRevisionName"])

    # What Azure's side shows

    @property
    def app(self) -> str:
        return self.project.names("Microsoft.App/containerApps")[0]

    @property
    def url(self) -> str:
        found = apps.app(self.project.place.app(self.app))
        return f"http://{found.fqdn}"

    def shown(self, below: str = "") -> Any:
        """An answer of ARM as it came: of the app, or of what is below it."""
        base = f"/subscriptions/{self.world.subscription}/resourceGroups/{self.name}/providers/Microsoft.App"
        with self.world.http() as http:
            answer = http.get(f"{base}/containerApps/{self.app}{below}", params={"api-version": "2025-07-01"})
        return answer.json()

    def revision(self, name: str | None = None) -> dict[str, Any]:
        name = name or self.shown()["properties"]["latestRevisionName"]
        return self.shown(f"/revisions/{name}")["properties"]

    def replicas(self, revision: str | None = None) -> list[dict[str, Any]]:
        name = revision or self.shown()["properties"]["latestRevisionName"]
        return self.shown(f"/revisions/{name}/replicas").get("value", [])

    def events(self) -> list[dict[str, Any]]:
        return self._stream(self.shown()["properties"]["eventStreamEndpoint"])

    def console(self, replica: dict[str, Any]) -> list[dict[str, Any]]:
        return self._stream(replica["properties"]["containers"][0]["logStreamEndpoint"])

    def _stream(self, url: str) -> list[dict[str, Any]]:
        token = self.world.apps.container_apps.get_auth_token(self.name, self.app).properties.token
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(verify=self.world.known["caFile"], headers=headers, trust_env=False, timeout=60) as http:
            found = http.get(url, params={"follow": "false", "tailLines": "300"})
        return [json.loads(line) for line in found.text.splitlines()] if found.status_code == 200 else []

    def storage(self) -> tuple[str, dict[str, Any]]:
        """The environment's name, and its storage that was provisioned."""
        (environment,) = self.project.names("Microsoft.App/managedEnvironments")
        base = f"/subscriptions/{self.world.subscription}/resourceGroups/{self.name}/providers/Microsoft.App"
        with self.world.http() as http:
            url = f"{base}/managedEnvironments/{environment}/storages"
            found = http.get(url, params={"api-version": "2025-07-01"}).json()["value"]
        return environment, next(each for each in found if each["properties"]["azureFile"]["accessMode"] == "ReadWrite")

    def account_key(self) -> str:
        (account,) = self.project.names("Microsoft.Storage/storageAccounts")
        return str(self.world.storage.storage_accounts.list_keys(self.name, account).keys_property[0].value)

    def event(self, part: str) -> dict[str, Any] | None:
        """The first event that says `part`."""
        return next((each for each in self.events() if part in each["Msg"]), None)

    # Both together

    def calling(self) -> Caller:
        caller = Caller(self.url)
        self._callers.append(caller)
        return caller

    @contextlib.contextmanager
    def watching(self, look: Callable[[], Any]) -> Generator[Callable[[], Sign]]:
        """Looks in the background for the first sign of a cause."""
        found: list[Sign] = []
        stop = threading.Event()

        def run() -> None:
            while not found and not stop.wait(0.1):
                with contextlib.suppress(KeyError, IndexError, httpx.HTTPError):  # not there yet
                    if shown := look():
                        found.append(Sign(time.monotonic(), shown))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def sign() -> Sign:
            eventually(lambda: found, REPLICA_SECONDS, f"{self.name}: the cloud shows the cause")
            return found[0]

        try:
            yield sign
        finally:
            stop.set()
            thread.join()

    def end(self) -> None:
        """The GPUs are few: what a row made goes before the next."""
        for each in self.project.names("Microsoft.App/containerApps"):
            self.world.apps.container_apps.begin_delete(self.name, each).result()


def captured(file: Path) -> Any:
    """A capture of real Azure: its JSON, a list where it has an object a line, else its text."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".json":
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
