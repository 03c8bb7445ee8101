"""A throwaway local cloud, spoken to by Microsoft's own SDKs."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.identity import ClientSecretCredential

ROOT = Path(__file__).resolve().parents[3]
# Everything that passes the door of ARM in these tests, for the last of them (test_bicep_types.py, test_swagger.py).
TRAFFIC = ROOT / "build" / "contract" / f"traffic-{os.getpid()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The validation of the recorded traffic comes last; test_swagger.py, which removes it, at the very end."""
    last = ("test_bicep_types.py", "test_swagger.py")
    items.sort(key=lambda item: last.index(item.path.name) if item.path.name in last else -1)


@dataclass
class World:
    """A running cloud and clients for it."""

    process: subprocess.Popen[str]
    state: Path
    known: dict[str, Any] = field(default_factory=dict)
    _credential: ClientSecretCredential | None = None
    record: Path = field(default_factory=Path)
    """What passes its door of ARM, a JSON line a request."""

    @property
    def arm(self) -> str:
        return self.known["arm"]

    @property
    def subscription(self) -> str:
        return self.known["subscriptions"][0]["id"]

    def credential(self, client: tuple[str, str] | None = None, tenant: str | None = None) -> ClientSecretCredential:
        if client is None and tenant is None and self._credential:
            return self._credential
        client_id, secret = client or (self.known["clientId"], self.known["clientSecret"])
        made = ClientSecretCredential(
            tenant or self.known["tenantId"],
            client_id,
            secret,
            authority=self.known["authority"],
            disable_instance_discovery=True,
            connection_verify=self.known["caFile"],
        )
        if client is None and tenant is None:
            self._credential = made
        return made

    def options(self) -> dict[str, Any]:
        return {
            "base_url": self.arm,
            "credential_scopes": [f"{self.arm}/.default"],
            "connection_verify": self.known["caFile"],
            "polling_interval": 0.2,
        }

    def client(self, kind: Any, credential: Any = None) -> Any:
        return kind(credential or self.credential(), self.subscription, **self.options())

    @property
    def groups(self) -> Any:
        from azure.mgmt.resource.resources import ResourceManagementClient  # noqa: PLC0415  (the SDKs load slowly; only who asks waits)

        return self.client(ResourceManagementClient)

    @property
    def apps(self) -> Any:
        from azure.mgmt.appcontainers import ContainerAppsAPIClient  # noqa: PLC0415  (the SDKs load slowly; only who asks waits)

        return self.client(ContainerAppsAPIClient)

    @property
    def storage(self) -> Any:
        from azure.mgmt.storage import StorageManagementClient  # noqa: PLC0415  (the SDKs load slowly; only who asks waits)

        return self.client(StorageManagementClient)

    @property
    def logs(self) -> Any:
        from azure.mgmt.loganalytics import LogAnalyticsManagementClient  # noqa: PLC0415  (the SDKs load slowly; only who asks waits)

        return self.client(LogAnalyticsManagementClient)

    @property
    def deployments(self) -> Any:
        from azure.mgmt.resource.deployments import DeploymentsMgmtClient  # noqa: PLC0415  (the SDKs load slowly; only who asks waits)

        return self.client(DeploymentsMgmtClient)

    def token(self) -> str:
        return self.credential().get_token(f"{self.arm}/.default").token

    def http(self) -> httpx.Client:
        """Plain HTTP with the owner's token, for what an SDK would never send."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        return httpx.Client(base_url=self.arm, verify=self.known["caFile"], headers=headers, timeout=120)

    def share(self, account: str, share: str, group: str, **options: Any) -> Any:
        from azure.storage.fileshare import ShareClient  # noqa: PLC0415  (the SDKs load slowly; only who asks waits)

        key = self.storage.storage_accounts.list_keys(group, account).keys_property[0].value
        url = self.storage.storage_accounts.get_properties(group, account).primary_endpoints.file.rstrip("/")
        credential = {"account_name": account, "account_key": key}
        return ShareClient(url, share, credential=credential, connection_verify=self.known["caFile"], **options)

    def register(self) -> None:
        for namespace in ("Microsoft.App", "Microsoft.OperationalInsights"):
            self.groups.providers.register(namespace)

    def delete_apps(self) -> None:
        """Every app of the subscription, without a wait for their ends."""
        with self.apps as apps:
            for app in list(apps.container_apps.list_by_subscription()):
                apps.container_apps.begin_delete(str(app.id).split("/")[4], app.name, polling=False)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=120)


def start_cloud(state: Path, *arguments: str, settings: dict[str, Any] | None = None) -> World:
    state.mkdir(parents=True, exist_ok=True)
    TRAFFIC.mkdir(parents=True, exist_ok=True)
    if settings is not None:
        (state / "settings.json").write_text(json.dumps(settings))
    # tests/contract/kindness.py proves with a cloud that is kinder than Azure that these tests can fail.
    # tests/contract/fates.py --prove proves with one that does not hear a part of what it is asked that it would be missed.
    module = "tests.support.kind_cloud" if os.environ.get("SLIPWAY_KINDNESS") else "sidecar.localcloud"
    module = "tests.support.deaf_cloud" if os.environ.get("SLIPWAY_DEAF") else module
    # Others' tests may take longer than a cloud waits for its next client.
    command = [sys.executable, "-m", module, "--state", str(state), "--idle-exit", "86400", *arguments]
    record = TRAFFIC / f"{uuid.uuid4()}.jsonl"
    command += ["--record", str(record)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the cloud did not start (exit {process.poll()})"
    assert json.loads(line)["ready"] is True
    return World(process, state, json.loads((state / "cloud.json").read_text()), record=record)


@contextmanager
def cloud_with_environment(
    state: Path, settings: dict[str, Any], profiles: Sequence[dict[str, str]] = ()
) -> Generator[World]:
    """A cloud of its own, with a group `g` and an environment `env` in it; stopped at the end."""
    world = start_cloud(state, settings=settings)
    try:
        world.register()
        world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
        body = {"location": "westus3", "properties": {"workloadProfiles": list(profiles)} if profiles else {}}
        world.apps.managed_environments.begin_create_or_update("g", "env", body).result()
        yield world
    finally:
        world.stop()


# Quick where Azure makes people wait; a test that is about waiting brings settings of its own.
QUICK = {"times": {"poll": 0, "tick": 0.05, "scale": 0.02, "bounds": 0.2}}


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The cloud of all tests that need no settings of their own."""
    running = start_cloud(tmp_path_factory.mktemp("cloud"), "--throwaway", settings=QUICK)
    running.register()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def world(shared: World) -> World:
    return shared


@pytest.fixture(scope="module", autouse=True)
def swept(shared: World) -> Iterator[None]:
    """Apps that a file's tests leave are deleted after it: each is looked at and probed many times a second to the end."""
    yield
    shared.delete_apps()


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Starts further clouds with settings of their own; stopped at the end of the test."""
    started: list[World] = []

    def start(*arguments: str, settings: dict[str, Any] | None = None, state: Path | None = None) -> World:
        made = start_cloud(state or tmp_path / f"cloud{len(started)}", *arguments, settings=settings or QUICK)
        started.append(made)
        return made

    yield start
    for made in started:
        if made.process.poll() is None:
            made.stop()


@pytest.fixture(scope="session")
def group(world: World) -> str:
    world.groups.resource_groups.create_or_update("tests", {"location": "westus3"})
    return "tests"


def code_of(error: BaseException) -> str:
    """Azure's error code, wherever the SDK keeps it."""
    code: Any = getattr(error, "error_code", None) or getattr(getattr(error, "error", None), "code", None)
    return str(getattr(code, "value", code))


def eventually(condition: Callable[[], Any], seconds: float = 120, what: str = "") -> Any:
    """The first true value of `condition`; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)  # sleeps: between two looks
    raise AssertionError(f"not within {seconds} s: {what or condition}")
