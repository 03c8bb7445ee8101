"""A project whose Deploys are processes of their own, which can be killed, on a local cloud whose faults are at hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sidecar.core.journal import Unfinished, unfinished
from sidecar.core.releases import is_release
from sidecar.gateway import apps
from sidecar.gateway.files import Share, open_share
from sidecar.words.names import OperationKind
from tests.contract.localcloud.conftest import ROOT, World, eventually
from tests.contract.provision.conftest import Project, new_project
from tests.faults.situations.stage import TINY

DEPLOY_SECONDS = 450
RESTART = ("deploy", "--strategy", "restart")
"""What these tables play; the other strategies have tables of their own."""


@dataclass(frozen=True)
class Row:
    """One fault: `seen` is what came of it, `seconds` how long that took, `hits` how often the fault struck."""

    number: int
    fault: str
    expected: str
    seen: str
    seconds: float
    hits: int
    as_expected: bool


@dataclass
class Ended:
    """A Deploy that ran as a process: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        return self.document["error"]


@dataclass
class Ground:
    """`written`: everything that the product's processes have printed, for the search for secrets."""

    world: World
    folder: Path
    name: str
    project: Project = field(init=False)
    written: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.world.groups.resource_groups.create_or_update(self.name, {"location": "westus3"})
        self.project = new_project(self.world, self.folder / self.name, self.name)
        self.project.state(defaultCommands=["python3 -m inference"])
        shutil.rmtree(self.code, ignore_errors=True)
        self.project.provision()

    @property
    def code(self) -> Path:
        return self.project.workspace.code

    def write(self, mode: str, note: str = "") -> None:
        """The tiny server as the project's code; `note` makes it another release."""
        self.code.mkdir(exist_ok=True)
        shutil.copy(TINY, self.code / "__main__.py")
        (self.code / "__init__.py").write_text("")
        (self.code / "mode.txt").write_text(mode)
        (self.code / "note.txt").write_text(note)

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "SLIPWAY_LOCAL_STATE": str(self.world.state), "SLIPWAY_STATE": str(self.state)}

    @property
    def state(self) -> Path:
        return self.folder / self.name / "state"

    def begin(self, *verb: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sidecar", *(verb or RESTART), str(self.project.workspace.folder)]
        return subprocess.Popen(
            [*command, "--cloud", "local", "--json"], cwd=ROOT, env=self.environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[str]) -> Ended:
        out, err = process.communicate(timeout=DEPLOY_SECONDS)
        self.written += [out, err]
        return Ended(process.returncode, out, err)

    def deploy(self, *verb: str) -> Ended:
        return self.finish(self.begin(*verb))

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGKILL)
        self.finish(process)

    # What is read outside the code under test

    def journal(self, kind: OperationKind) -> Path:
        project = hashlib.sha256(str(self.project.workspace.folder).encode()).hexdigest()[:16]
        return self.state / "journals" / f"{project}-{kind}.jsonl"

    def unfinished(self, kind: OperationKind = "deploy") -> Unfinished | None:
        return unfinished(self.journal(kind))

    def steps(self, kind: OperationKind = "deploy") -> list[str]:
        if not self.journal(kind).exists():
            return []
        whole, _, _ = self.journal(kind).read_text().rpartition("\n")  # the process may be writing the next
        return [str(json.loads(line)["step"]) for line in whole.splitlines() if line]

    @property
    def config(self) -> dict[str, str]:
        return json.loads((self.project.workspace.infra / "inference.config.json").read_text())

    def share(self) -> Share:
        return open_share(self.project.place, self.config["STORAGE_ACCOUNT_NAME"], self.config["FILE_SHARE_NAME"])

    @property
    def home(self) -> str:
        return f".slipway/{self.config['ACA_APP_NAME']}"

    def damaged(self) -> list[str]:
        """Releases on the share whose bytes are not those of their names."""
        with self.share() as share:
            names = [each.name for each in share.list(f"{self.home}/releases") if is_release(each.name)]
            found = {name: hashlib.sha256(share.read(f"{self.home}/releases/{name}")).hexdigest() for name in names}
        return [name for name, digest in found.items() if name != digest]

    def generations(self) -> list[str]:
        with self.share() as share:
            return sorted(each.name for each in share.list(f"{self.home}/generations") if each.name.endswith(".json"))

    def serving(self, seconds: float = 3) -> str:
        """The release that answers at the address that callers use; empty when none does in time."""
        found = apps.app(self.project.place.app(self.config["ACA_APP_NAME"]))
        try:
            answer = httpx.get(f"http://{found.fqdn}/version", timeout=seconds, trust_env=False)
        except httpx.HTTPError:
            return ""
        return str(answer.json().get("release")) if answer.status_code == 200 else ""

    def events(self) -> list[str]:
        """The platform's log of the app, line by line."""
        app = self.config["ACA_APP_NAME"]
        found = self.world.apps.container_apps.get(self.name, app).as_dict()["properties"]
        token = self.world.apps.container_apps.get_auth_token(self.name, app).properties.token
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(verify=self.world.known["caFile"], headers=headers, trust_env=False, timeout=60) as http:
            return http.get(
                found["eventStreamEndpoint"], params={"follow": "false", "tailLines": "300"}
            ).text.splitlines()

    def end(self) -> None:
        self.world.apps.container_apps.begin_delete(self.name, self.config["ACA_APP_NAME"]).result()

    # Faults

    @contextmanager
    def faults(self, *rules: dict[str, Any]) -> Generator[Callable[[], list[int]]]:
        """Rules in force; the value tells how often each has struck."""
        headers = {"Authorization": f"Bearer {self.world.known['adminToken']}"}
        with httpx.Client(
            base_url=self.world.arm, verify=self.world.known["caFile"], headers=headers, timeout=60
        ) as http:
            assert http.put("/admin/faults", json={"seed": 1, "rules": list(rules)}).status_code < 300

            def hits() -> list[int]:
                return [each["hits"] for each in http.get("/admin/faults").json()["rules"]]

            try:
                yield hits
            finally:
                http.put("/admin/faults", json={"seed": 1, "rules": []})

    def await_hit(self, hits: Callable[[], list[int]], process: subprocess.Popen[str]) -> bool:
        """Until the first rule strikes, or the process has ended by itself."""
        return bool(
            eventually(lambda: (hits()[0] > 0 and "hit") or (process.poll() is not None and "ended"), 180)
        ) and (hits()[0] > 0)
