"""A project that nothing was provisioned for yet: each Provision is a process of its own, on a cloud whose faults are at hand."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sidecar.core.jsonedit import strict
from sidecar.core.workspace import CONFIG_KEYS
from sidecar.gateway.translation import word
from tests.contract.localcloud.conftest import ROOT
from tests.contract.provision.conftest import new_project
from tests.faults.deploying import ground as deploying
from tests.faults.deploying.ground import Ended

PROVISION_SECONDS = 240
APP, ENVIRONMENT = "Microsoft.App/containerApps", "Microsoft.App/managedEnvironments"
ACCOUNT, LOGS = "Microsoft.Storage/storageAccounts", "Microsoft.OperationalInsights/workspaces"
PATIENT_SECONDS = 10
"""A caller's own limit. What is held and then answered was answered; a busy machine is no fault."""

SET = {APP: 1, ENVIRONMENT: 1, ACCOUNT: 1, LOGS: 1}
"""What one Provision makes, and two make no more of."""

READING = r"oauth2|listKeys|listSecrets|getAuthtoken|checkNameAvailability|whatIf|/query"
WRITING = rf"^(?!.*({READING}))"
"""Requests that write: these are a POST, and sign in or only read."""


@dataclass(frozen=True)
class Row:
    """One fault. `bound`: seconds that it may take (I5). `wrong`: which invariants it breaks; empty when it holds all."""

    number: int
    fault: str
    expected: str
    seen: str
    seconds: float
    bound: float
    hits: int
    as_expected: bool
    wrong: tuple[str, ...] = ()


@dataclass
class Ground(deploying.Ground):
    """`failures`: what failed Provisions have told, for I4. `environment`: of its processes, beside the usual. `makes`: what the
    group holds in the end."""

    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    failures: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    makes: Mapping[str, int] = field(default_factory=lambda: SET)

    def __post_init__(self) -> None:
        self.world.groups.resource_groups.create_or_update(self.name, {"location": "westus3"})
        self.project = new_project(self.world, self.folder / self.name, self.name)
        self.project.state(defaultCommands=["python3 -m inference"])

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **self.environment}

    @property
    def arguments(self) -> list[str]:
        place = ["--subscription", self.world.subscription, "--group", self.name]
        return ["provision", str(self.project.workspace.folder), *place, "--cloud", "local", "--json", "--yes"]

    def begin(self, *verb: str) -> subprocess.Popen[str]:
        return super().begin(*verb) if verb else self.start(["-m", "sidecar", *self.arguments])

    def begin_killed(self, number: int, when: str, listed: str = "") -> subprocess.Popen[str]:
        """A Provision that is killed at one of its writes of files, or that lists them."""
        watched = [str(self.project.workspace.infra), str(self.state / "journals")]
        return self.start(
            ["-m", "tests.support.killed", str(number), when, listed or "-", *watched, "--", *self.arguments]
        )

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=self.environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[str]) -> Ended:
        out, err = process.communicate(timeout=PROVISION_SECONDS)
        self.written += [out, err]
        ended = Ended(process.returncode, out, err)
        if process.returncode in (1, 3, 130) and out:
            self.failures.append(ended.error)
        return ended

    def beside(self, name: str) -> Ground:
        """Another project in a group of its own, on the same cloud; what it writes and tells counts as this one's."""
        made = Ground(self.world, self.folder, f"{self.name}-{name}")
        made.written, made.failures = self.written, self.failures
        return made

    def provision(self) -> Ended:
        return self.finish(self.begin())

    def with_environment(self) -> None:
        """An environment of somebody else's, without a GPU profile and without a workspace for its logs."""
        profiles = [{"name": "Consumption", "workloadProfileType": "Consumption"}]
        body = {"location": "westus3", "properties": {"workloadProfiles": profiles}}
        self.world.apps.managed_environments.begin_create_or_update(self.name, "theirs", body).result()
        self.project.state(acaEnvironmentName="theirs")
        self.makes = {**SET, LOGS: 0}

    # What is read outside the code under test

    def counted(self) -> dict[str, int]:
        return {kind: len(self.project.names(kind)) for kind in SET}

    def deployments(self) -> list[tuple[str, str]]:
        """Name and state of each deployment of the group."""
        found = self.world.deployments.deployments.list_by_resource_group(self.name)
        return [(str(each.name), word(each.properties.provisioning_state)) for each in found]

    @property
    def config(self) -> dict[str, str]:
        return json.loads(strict(self.config_file))

    @property
    def config_file(self) -> str:
        """As it stands there; empty where there is none."""
        file = self.project.workspace.config_file
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def converges(self) -> list[str]:
        """I2: what is wrong after another Provision without a fault."""
        done = self.provision()
        if done.code != 0:
            return [f"I2: the next run ended with {done.code}: {done.out[:300] or done.err[-300:]}"]
        wrong = [] if self.counted() == self.makes else [f"I2: the group holds {self.counted()}"]
        if any(not self.config.get(key) for key in CONFIG_KEYS):
            wrong.append("I2: the configuration is not whole")
        if self.unfinished("provision") is not None:
            wrong.append("I2: the journal still tells of it after the next run")
        return wrong

    def torn(self) -> list[str]:
        """I6 and fault 17: the configuration is whole, or is not there; never a part."""
        if not self.config_file:
            return []
        try:
            held: Mapping[str, object] = self.config
        except ValueError:
            return ["the configuration is truncated"]
        empty = [key for key in CONFIG_KEYS if not held.get(key)]
        return [] if len(empty) in (0, len(CONFIG_KEYS)) else ["the configuration holds a part"]

    def untold(self) -> list[str]:
        """I4: every failure has a code, what it is about, and a next step."""
        return [
            f"I4: no {part} in {each.get('code')}: {str(each.get('message'))[:120]}"
            for each in self.failures
            for part in ("code", "message", "suggestion")
            if not each.get(part)
        ]

    @contextmanager
    def answering(self) -> Generator[Callable[[], list[str]]]:
        """I1: asks the endpoint all the while; the value tells which moments had no answer from the release that served."""
        served, missed, ended = self.serving(), list[str](), threading.Event()

        def ask() -> None:
            while not ended.wait(0.25):
                if (found := self.serving(PATIENT_SECONDS)) != served:
                    missed.append(f"I1: {found or 'nothing'} answered at {time.monotonic():.1f}")

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield lambda: missed if served else ["I1: nothing served before"]
        finally:
            ended.set()
            asking.join()
