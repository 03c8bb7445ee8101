"""Exchanges in place by *Deploy*, on a local cloud with one GPU and the model server's sample: faults 31 to 34, 47, 48, kills."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from sidecar.core.journal import Journal
from sidecar.core.workspace import open_workspace
from sidecar.decisions.upgrade import deploy_secret
from sidecar.gateway import apps, resources, revisions
from sidecar.gateway.apps import client_of
from sidecar.gateway.keys import write_secrets
from sidecar.gateway.session import open_session
from sidecar.words.errors import SlipwayError
from sidecar.words.names import ExchangeForm
from sidecar.workflows.deploy import deploy
from sidecar.workflows.observe import api_key
from sidecar.workflows.restart import Patience
from tests.bench.deploy import GROUP, Ground
from tests.contract.localcloud.conftest import eventually
from tests.faults.rolling.callers import Caller
from tests.faults.rolling.defects import never_ready
from tests.faults.rolling.in_place_kills import swept
from tests.faults.rolling.in_turn_gates import ANY, NEVER, killed
from tests.faults.rolling.table import Play, Told
from tests.support.contained import edit

SHORT = Patience(poll=0.2, whole=12, again=30, drain=20, keep=0.5, lag=1, settle=1)
LONG = Patience(poll=0.2, again=30)
LATE_SECONDS = 8


@dataclass
class Exchanging:
    """One app that serves; each row leaves it so."""

    ground: Ground
    key: str
    endpoint: str
    said: list[str] = field(default_factory=list[str])

    @property
    def code(self) -> Path:
        return self.ground.project / "inference"

    def caller(self) -> Caller:
        return Caller(f"http://{self.endpoint}", self.key)

    def deployed(self, patience: Patience = LONG) -> tuple[str, str]:
        """What the person is told (`done`, or the code), and the form or the sentence."""
        journal = Journal(
            self.ground.folder / "journal", "row", lambda event: self.said.append(str(event.text)), threading.Event()
        )
        session, workspace = open_session(self.ground.settings, "local"), open_workspace(str(self.ground.project))
        try:
            done = deploy(workspace, session, journal, (), patience, wish="in-place")
        except SlipwayError as error:
            return error.code, str(error)
        return "done", str(done.form or done.strategy)

    def replicas(self) -> list[str]:
        place = self.ground.place()
        active = [each.name for each in revisions.revisions(place) if each.active]
        return [each.name for name in active for each in revisions.replicas(place, name)]

    def is_ready(self) -> bool:
        place = self.ground.place()
        active = [each.name for each in revisions.revisions(place) if each.active]
        return all(each.ready for name in active for each in revisions.replicas(place, name))

    def await_tried(self) -> psutil.Process:
        """The container's first process, once a second server runs in it."""
        supervisor = self.ground.server().parent()
        assert supervisor is not None, "its container runs"
        eventually(lambda: len(supervisor.children()) > 1, 180, "the server that is tried")
        return supervisor

    def read_by_arm(self) -> str:
        """What Azure says of the revision that is active."""
        place = self.ground.place()
        with client_of(place) as client:
            found = [each.as_dict() for each in client.container_apps_revisions.list_revisions(place.group, place.name)]
        told: dict[str, Any] = next(each["properties"] for each in found if each["properties"]["active"])
        return f"{told['provisioningState']}, {told['healthState']}"

    @contextmanager
    def changed(self, change: Callable[[Path], None]) -> Generator[None]:
        """Other code, until the block ends."""
        kept = {file: file.read_bytes() for file in self.code.rglob("*.py")}
        change(self.code)
        try:
            yield
        finally:
            for file in [each for each, content in kept.items() if each.read_bytes() != content]:
                file.write_bytes(kept[file])


@contextmanager
def opened(gpus: int = 1) -> Generator[Play]:
    with tempfile.TemporaryDirectory(prefix="slipway-in-place-", ignore_cleanup_errors=True) as folder:
        ground = Ground(Path(folder), gpus=gpus)
        try:
            ground.prepare()
            workspace = open_workspace(str(ground.project))
            endpoint = json.loads((workspace.infra / "inference.config.json").read_text())["ACA_APP_ENDPOINT"]
            row = Exchanging(ground, api_key(workspace, open_session(ground.settings, "local")), endpoint)
            yield lambda name: ({**ROWS, **MORE_GPUS})[name](row)
        finally:
            ground.stop()


def stuck(row: Exchanging) -> Told:
    """31 and 48: never ready, though Azure calls the revision Provisioned and Healthy: it looks at the server that serves."""
    arm: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.5):
            arm.add(row.read_by_arm())

    with row.changed(never_ready), row.caller() as caller, ThreadPoolExecutor(1) as pool:
        old = caller.release()
        looking = pool.submit(look)
        told, sentence = row.deployed(SHORT)
        ended.set()
        looking.result()
        serves = caller.release() == old
    seen = f"told {told}: {sentence} ARM said meanwhile: {sorted(arm)}; {caller.counts()}"
    right = told == "NotReady" and "goes on serving" in sentence and arm == {"Provisioned, Healthy"}
    return Told("deadline; ARM is not believed; the old one never stops", seen, right and serves and not caller.failed)


def container_ended(row: Exchanging) -> Told:
    """32: what was taken on, and of which nothing is there any more: the container ends amid it and starts again."""
    before, ran = row.caller().release(), row.replicas()
    with row.changed(never_ready), ThreadPoolExecutor(1) as pool:
        deploying = pool.submit(row.deployed)
        row.await_tried().kill()
        told, sentence = deploying.result()
    eventually(lambda: row.caller().release() == before, 180, "the old release to serve again")
    again, form = row.deployed()  # nothing of it is in the way
    seen = f"told {told}: {sentence} Run again: {again}, {form}"
    right = told == "ContainerCrashed" and (again, form) == ("done", "beside") and row.replicas() == ran
    return Told("told; the old release starts again; the next run finishes", seen, right)


def mount_refused(row: Exchanging) -> Told:
    """33: the account's key is rotated; what runs already has the share, and a release needs no new mount."""
    session = open_session(row.ground.settings, "local")
    account = json.loads((row.ground.project / "infra" / "inference.config.json").read_text())["STORAGE_ACCOUNT_NAME"]
    subscription = row.ground.place().around.subscription_id
    with resources.storage_client(session, subscription) as client:
        client.storage_accounts.regenerate_key(GROUP, account, {"keyName": "key1"})
    row.ground.edit("with another key of the account")
    with row.caller() as caller:
        told, form = row.deployed()
    seen = f"{told}, {form}; {caller.counts()}"
    return Told("exchanged all the same", seen, (told, form) == ("done", "beside") and not caller.failed)


def late(row: Exchanging, form: ExchangeForm) -> Told:
    """34: the new server takes long. Beside nobody waits for it; in turn who asks is held as long as it takes, and answered."""

    if form == "in turn":
        row.ground.other_packages("late")
    with row.changed(slowly), row.caller() as caller:
        told, taken = row.deployed()
    longest = max(caller.took)
    seen = f"{told}, {taken}; {caller.counts()}; the longest took {longest:.1f} s"
    waited = longest < LATE_SECONDS if form == "beside" else longest >= LATE_SECONDS
    return Told(
        "no request waits for it" if form == "beside" else "requests wait, and are answered",
        seen,
        (told, taken) == ("done", form) and waited and not caller.failed,
    )


def no_gpu(row: Exchanging) -> Told:
    """47: as many GPUs as the quota has: no replica is made, so none is needed."""
    ran = row.replicas()
    row.ground.edit("with one GPU")
    with row.caller() as caller:
        told, form = row.deployed()
    seen = f"{told}, {form}; {len(ran)} replica before, the same after: {row.replicas() == ran}; {caller.counts()}"
    right = (told, form) == ("done", "beside") and row.replicas() == ran and not caller.failed
    return Told("exchanged beside: the replica that has the GPU stays", seen, right)


def slowly(code: Path) -> None:
    line = "def main() -> int:\n"
    edit(code / "__main__.py", line, f'{line}    __import__("time").sleep({LATE_SECONDS})\n')


def key_changed(row: Exchanging) -> Told:
    """The deploy key is changed amid an exchange, and the app starts anew with it: told; the next run reads it."""
    before = row.caller().release()
    with row.changed(slowly), ThreadPoolExecutor(1) as pool, row.caller() as caller:
        deploying = pool.submit(row.deployed)
        row.await_tried()
        place = row.ground.place()
        write_secrets(place, {deploy_secret(apps.template_of(place)) or "": "another-key"})
        revisions.restart(place, next(each.name for each in revisions.revisions(place) if each.active))
        told, sentence = deploying.result()
        serves = caller.release() == before
    eventually(lambda: len(row.replicas()) == 1, 180, "the old replica to be gone")
    again, form = row.deployed()
    seen = f"told {told}: {sentence} Serves the old: {serves}. Run again: {again}, {form}; {caller.counts()}"
    right = told in ("DeployKeyRefused", "ContainerCrashed") and serves and (again, form) == ("done", "beside")
    return Told("told; the old release serves; the next run finishes", seen, right and not caller.failed)


def second_replica(row: Exchanging) -> Told:
    """Load brings a second replica while the new server is checked: both are given the release, by a restart."""
    place = row.ground.place()
    rule = {"name": "http", "http": {"metadata": {"concurrentRequests": "2"}}}
    scale = {"minReplicas": 1, "maxReplicas": 2, "rules": [rule]}
    body: Any = {"location": "westus3", "properties": {"template": {"scale": scale}}}
    (old,) = [each.name for each in revisions.revisions(place) if each.active]
    with client_of(place) as client:
        client.container_apps.begin_update(place.group, place.name, body).result()
    eventually(lambda: len(row.replicas()) == 2 and row.is_ready(), 120, "the new scale")
    revisions.deactivate(place, old)
    eventually(lambda: len(row.replicas()) == 1, 180, "the revision before to end")
    with row.changed(slowly), ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        deploying = pool.submit(row.deployed)
        row.await_tried()
        callers = [stack.enter_context(row.caller()) for _ in range(6)]
        eventually(lambda: len(row.replicas()) == 2, 180, "a second replica")
        told, way = deploying.result()
    failed = [each for caller in callers for each in caller.failed]
    releases = {row.caller().release() for _ in range(20)}
    said = [line for line in row.said if "Another replica has started" in line]
    seen = f"told {told}, {way}; said {said[-1:]}; {len(releases)} release serves; {len(failed)} requests failed {set(failed)}"
    right = (told, way) == ("done", "restart") and len(releases) == 1 and bool(said) and not failed
    return Told("told; all replicas are restarted with it, one release serves", seen, right)


ROWS: dict[str, Callable[[Exchanging], Told]] = {
    "in-place-47": no_gpu,
    "in-place-31-48": stuck,
    "in-place-32": container_ended,
    "in-place-34-beside": partial(late, form="beside"),
    "in-place-34-in-turn": partial(late, form="in turn"),
    "in-place-kills": lambda row: swept(row.ground, "beside"),
    "in-turn-kills": lambda row: swept(row.ground, "in turn"),
    "gate-in-turn-killed": lambda row: killed(row.ground, ANY),
    "gate-in-turn-killed-missed": lambda row: killed(row.ground, NEVER),
    "in-place-33": mount_refused,
}
"""The last one leaves a container that could not start again."""

MORE_GPUS: dict[str, Callable[[Exchanging], Told]] = {
    "in-place-key-changed": key_changed,
    "in-place-second-replica": second_replica,
}
