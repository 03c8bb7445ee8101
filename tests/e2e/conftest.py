"""The main job in a terminal: the CLI, the local cloud and the model server as real processes, in a throw-away home."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from azure.mgmt.appcontainers import ContainerAppsAPIClient

from sidecar.core.workspace import open_workspace
from sidecar.doors.demo import Question, sample_models, upload_models
from sidecar.gateway import resources
from sidecar.gateway.local import known_local_cloud, runs
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session, Settings, open_session, settings_from

ROOT = Path(__file__).resolve().parents[2]
Sample = tuple[Path, list[Question]]


@dataclass(frozen=True)
class Home:
    """One person's state on this machine, apart from every other's."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        # One thread a server: beside others a second one of PyTorch's would only wait for theirs, and let nobody else go on.
        return {"OMP_NUM_THREADS": "1", **os.environ, "SLIPWAY_STATE": str(self.folder / "state")}

    @property
    def settings(self) -> Settings:
        return settings_from(self.environ)

    def session(self) -> Session:
        return open_session(self.settings, "local")

    def hasten(self, **more: Any) -> None:
        """A local cloud whose own work takes a fiftieth of Azure's time, and that falls asleep no sooner than it."""
        state = self.settings.local_state
        state.mkdir(parents=True, exist_ok=True)
        settings = {"times": {"scale": 0.02, "cooldown_scale": 1}, "environments_quota": 100, **more}
        (state / "settings.json").write_text(json.dumps(settings), encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sidecar", *arguments],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def cli(self, *arguments: str, expect: int = 0) -> Any:
        """Runs a command with --json; returns its document after checking the exit code."""
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=600)
        assert process.returncode == expect, f"{arguments} ended with {process.returncode}:\n{out}\n{err}"
        return json.loads(out)

    def cloud(self) -> psutil.Process:
        known = known_local_cloud(self.settings.local_state)
        assert known is not None
        return psutil.Process(known.pid)

    def replica_processes(self) -> list[psutil.Process]:
        """Every process that runs with this home's share as its mount."""
        marked: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                mount = process.environ().get("SLIPWAY_MOUNT", "")
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if mount.startswith(str(self.folder)):
                marked.append(process)
        return marked

    def last_of_logs(self) -> list[str]:
        """What the local cloud, and the containers in it, have said last: for a test that failed."""
        logs = sorted(self.settings.local_state.rglob("*.log"))
        return [f"--- {each.name}\n{each.read_text(errors='replace')[-3000:]}" for each in logs]

    def stop_cloud(self, how: signal.Signals = signal.SIGTERM) -> None:
        known = known_local_cloud(self.settings.local_state)
        if known is None or not runs(known):
            return
        process = psutil.Process(known.pid)
        process.send_signal(how)
        until(lambda: not alive(process), 120, "the local cloud to end")


def alive(process: psutil.Process) -> bool:
    """A process that nobody has reaped yet is dead all the same, and another under its old number is not it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)  # sleeps: between two looks


@dataclass(frozen=True)
class Place:
    """A project on the local cloud."""

    home: Home
    workspace: Path
    subscription: str
    group: str

    @property
    def config(self) -> dict[str, str]:
        return json.loads((self.workspace / "infra" / "inference.config.json").read_text())

    @property
    def around(self) -> GroupPlace:
        return GroupPlace(self.home.session(), self.subscription, self.group)

    def provision(self, *more: str) -> Any:
        where = ("--subscription", self.subscription, "--group", self.group)
        return self.home.cli("provision", str(self.workspace), *where, "--yes", *more)

    def deploy(self) -> Any:
        return self.home.cli("deploy", str(self.workspace), "--yes")

    def status(self) -> Any:
        return self.home.cli("status", str(self.workspace))

    def api_key(self) -> str:
        return self.home.cli("api-key", str(self.workspace))["apiKey"]

    def upload_models(self, sample: Path) -> None:
        upload_models(self.home.session(), open_workspace(self.workspace), sample)


def apps_of(place: Place) -> ContainerAppsAPIClient:
    session = place.home.session()
    return ContainerAppsAPIClient(session.credential, place.subscription, **session.arm_options())


def delete_apps(place: Place) -> None:
    """The GPUs are few: an app that stays has one for minutes, or waits for one."""
    with apps_of(place) as client:
        for app in list(client.container_apps.list_by_resource_group(place.group)):
            client.container_apps.begin_delete(place.group, app.name or "").result()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("home"))
    home.hasten(default_gpu_quota=3)  # several projects of these tests are awake at once
    yield home
    home.stop_cloud()


@pytest.fixture(scope="session")
def sample(home: Home) -> Sample:
    return sample_models(home.settings, threading.Event())


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Home]:
    """A home that no other test looks at, with a local cloud of its own."""
    home = Home(tmp_path / "home")
    home.folder.mkdir()
    home.hasten()
    yield home
    home.stop_cloud()


@functools.cache
def where(home: Home) -> tuple[str, str]:
    """A home's subscription and its first region, by the commands that tell them: once, they stay the same."""
    subscription = home.cli("subscriptions", "--cloud", "local")["subscriptions"][0]["id"]
    return subscription, home.cli("locations", "--subscription", subscription)["locations"][0]["name"]


def new_place(home: Home, folder: Path, group: str) -> Place:
    folder.mkdir(parents=True, exist_ok=True)
    home.cli("init", str(folder))
    subscription, region = where(home)
    resources.create_group(home.session(), subscription, group, region)
    return Place(home, folder, subscription, group)


@pytest.fixture
def deployed(once_deployed: Place) -> Place:
    """A project provisioned and deployed once, for every test that only looks at it or deploys it again. It is awake: the tests
    between two of its own may take longer than its cooldown. A test's thresholds would be a gate of the next one's."""
    for each in (once_deployed.workspace / "infra").glob("evaluation.*"):
        each.unlink()
    endpoint = f"http://{once_deployed.config['ACA_APP_ENDPOINT']}/health/live"
    assert httpx.get(endpoint, timeout=240, trust_env=False).status_code == 200
    return once_deployed


@pytest.fixture(scope="session")
def once_deployed(home: Home, sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = new_place(home, tmp_path_factory.mktemp("project"), "deployed")
    place.provision()
    place.upload_models(sample[0])
    place.deploy()
    return place


BRIEF = {"scale": 0.02, "cooldown_scale": 1, "bounds": 0.2}
"""Times of a local cloud: grace and drain are a fifth of Azure's too."""


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose region has one GPU, as a new subscription's."""
    home = Home(tmp_path_factory.mktemp("narrow"))
    home.hasten(times=BRIEF, default_gpu_quota=1)
    yield home
    home.stop_cloud()


@pytest.fixture
def place(narrow: Home, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A project there, provisioned and not yet deployed; its app is deleted afterwards."""
    with provisioned(narrow, tmp_path, re.sub(r"[^\w.-]+", "-", request.node.name)[-60:].strip("-.")) as place:
        yield place


@contextlib.contextmanager
def provisioned(home: Home, folder: Path, name: str) -> Generator[Place]:
    place = new_place(home, folder / "project", name)
    place.provision()
    try:
        yield place
    finally:
        delete_apps(place)
