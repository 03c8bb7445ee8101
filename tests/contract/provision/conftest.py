"""Projects to provision on a local cloud: the workflow, its gateway and Microsoft's SDKs, with the cloud's faults at hand."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.core.journal import Event, Journal
from sidecar.core.workspace import Workspace, open_workspace
from sidecar.decisions.plan_document import PlanDocument
from sidecar.gateway.patience import Patience
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session, open_session, settings_from
from sidecar.workflows.planning import plan
from sidecar.workflows.provision import GPU_CONSENT, Result, provision
from sidecar.workflows.resolve import Request
from tests.contract.localcloud.conftest import QUICK, ROOT, World, eventually, start_cloud

SHARED = ROOT.parent / "shared"
CASES = SHARED / "cases" / "cloud"


def case(name: str) -> str:
    file = CASES / name
    if not file.exists():
        pytest.skip(f"no cases of the field at {CASES}")
    return file.read_text(encoding="utf-8")


@dataclass
class Project:
    """A workspace with the shipped files, and a resource group of its own."""

    world: World
    workspace: Workspace
    group: str
    said: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    on_said: Callable[[str], None] = field(default=lambda _: None)

    def hear(self, text: object) -> None:
        self.said.append(str(text))
        self.on_said(str(text))

    @property
    def session(self) -> Session:
        settings = settings_from({"SLIPWAY_LOCAL_STATE": str(self.world.state), "SLIPWAY_STATE": str(self.world.state)})
        return open_session(settings, "local", patience=Patience(self.stop, self.hear))

    @property
    def place(self) -> GroupPlace:
        return GroupPlace(self.session, self.world.subscription, self.group)

    def state(self, **parameters: object) -> None:
        """States parameters in the project's file, beside those that it ships with."""
        file = self.workspace.parameters_file
        document = json.loads(file.read_text(encoding="utf-8"))
        document["parameters"] |= {name: {"value": value} for name, value in parameters.items()}
        file.write_text(json.dumps(document), encoding="utf-8")

    def template(self, bicep: str) -> None:
        self.workspace.bicep_file.write_text(bicep, encoding="utf-8")
        self.workspace.template_file.unlink(missing_ok=True)

    def provision(self, *consents: str, agreed: str | None = None, begins: bool = True) -> Result:
        self.said.clear()

        def listen(event: Event) -> None:
            self.hear(event.text)

        journal = Journal(self.workspace.folder.parent / f"{self.group}.jsonl", "test", listen, self.stop)
        return provision(self.workspace, self.session, self.request(*consents), journal, agreed, begins=begins)

    def plan(self, *, raw: bool = False) -> PlanDocument:
        self.said.clear()
        journal = Journal(None, "", lambda event: self.hear(event.text), self.stop)
        return plan(self.workspace, self.session, self.request(), journal, raw=raw)

    def request(self, *consents: str) -> Request:
        session = self.session
        tenant = session.local.tenant_id if session.local else ""
        return Request(self.world.subscription, tenant, self.group, consents, {})

    def names(self, kind: str) -> list[str]:
        """What of a type is in the group, as ARM lists it."""
        return [
            str(each.name)
            for each in self.world.groups.resources.list_by_resource_group(self.group)
            if str(each.type).lower() == kind.lower()
        ]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    running = start_cloud(
        tmp_path_factory.mktemp("provision-cloud"),
        "--throwaway",
        settings={**QUICK, "environments_quota": 200, "gpu_quota": {"swedencentral/SubscriptionNCA100Gpus": 2}},
    )
    running.register()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module", autouse=True)
def swept(world: World) -> Iterator[None]:
    """Apps that a file's tests leave are deleted after it: each is looked at twenty times a second to the end."""
    yield
    world.delete_apps()


GROUPS = itertools.count(10**7)
"""Numbers of resource groups, each once in a run."""


@pytest.fixture
def project(world: World, tmp_path: Path) -> Project:
    group = f"g{next(GROUPS)}"
    world.groups.resource_groups.create_or_update(group, {"location": "westus3"})
    return new_project(world, tmp_path / "project", group)


def new_project(world: World, folder: Path, group: str) -> Project:
    (folder / "infra" / "provision").mkdir(parents=True)
    for name in ("inference.bicep", "inference.json", "inference.parameters.json"):
        shutil.copy(ROOT / "infra" / "provision" / name, folder / "infra" / "provision" / name)
    return Project(world, open_workspace(folder), group)


Arm = Callable[..., Callable[[], list[int]]]


@pytest.fixture
def faults(world: World) -> Iterator[Arm]:
    """Sets the cloud's faults; gives how often each struck."""

    def admin(method: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {world.known['adminToken']}"}
        url = f"{world.arm}/admin/faults"
        answer = httpx.request(
            method, url, json=body, headers=headers, verify=world.known["caFile"], trust_env=False, timeout=120
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def arm(*rules: dict[str, Any]) -> Callable[[], list[int]]:
        admin("PUT", {"rules": list(rules), "seed": 0})
        return lambda: [rule["hits"] for rule in admin("GET")["rules"]]

    yield arm
    arm()


@contextlib.contextmanager
def cancelled_when(project: Project, moment: Callable[[], bool]) -> Generator[None]:
    """Somebody else cancels what runs in the block, once this is so."""

    def cancel() -> None:
        try:
            eventually(moment)
        finally:
            project.stop.set()

    other = threading.Thread(target=cancel)
    other.start()
    try:
        yield
    finally:
        other.join()


__all__ = ["GPU_CONSENT"]
