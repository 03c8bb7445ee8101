"""Faults of what is waited for: conflicts, operations that can't be followed or never end, a network that is gone, a cancel."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.contract.localcloud.conftest import ROOT, eventually
from tests.contract.test_wire import Client
from tests.faults.deploying.ground import Ended
from tests.faults.provisioning.answers_rows import COUNTED, GET, JSON, PUT, answered_with, told
from tests.faults.provisioning.ground import Ground, Row
from tests.support.inspecting_proxy import InspectingProxy

PATCH = {"method": "PATCH", "path": "/containerApps/"}
POLL = {"method": "GET", "path": "/(operationResults|operationStatuses|containerappOperation[A-Za-z]*)/"}
SHORT = {"SLIPWAY_WAIT_SCALE": "0.004"}
"""An hour in 14 seconds."""

STOPS_WITHIN = 1.0
"""Until the person reads what came of it; a process takes more to end."""


def served(ground: Ground) -> None:
    """An app that answers, of a release that is there."""
    assert ground.provision().code == 0
    ground.write("serve", "served")
    assert ground.finish(ground.begin("deploy")).code == 0


def cooldown_of(ground: Ground) -> int:
    found = ground.world.apps.container_apps.get(ground.name, ground.config["ACA_APP_NAME"])
    return int(found.properties.template.scale.cooldown_period)


def scheduled(ground: Ground, revision: str) -> set[str]:
    """Names of the replicas that the platform's log says were given a node, those that have ended too."""
    events = [json.loads(each) for each in ground.events() if "AssigningReplica" in each and revision in each]
    return {str(each["ReplicaName"]) for each in events if each.get("ReplicaName")}


def one_restart(ground: Ground) -> Row:
    served(ground)
    name = ground.config["ACA_APP_NAME"]
    revision = ground.world.apps.container_apps.get(ground.name, name).latest_revision_name
    before = scheduled(ground, revision)
    restart = {"method": "POST", "path": "/restart"}
    began = time.monotonic()
    with ground.faults(
        {**restart, "status": 502, "code": "BadGateway"},
        {**restart, "status": 429, "code": "TooManyRequests"},
        {**restart, **COUNTED},
    ) as hits:
        done = ground.finish(ground.begin("deploy", "--strategy", "restart"))
        struck = hits()
    new = scheduled(ground, revision) - before
    return Row(
        4, "502 and 429 without Retry-After on POST restart (Deploy)", "asked for again; one restart",
        f"{told(done)}, restarts taken {struck[2]}, new replicas {len(new)}", time.monotonic() - began, 90,
        struck[0] + struck[1], done.code == 0 and struck == [1, 1, 1] and len(new) == 1,
    )  # fmt: skip


def deployment_active(ground: Ground) -> Row:
    began = time.monotonic()
    with ground.faults({**PUT, "status": 409, "code": "DeploymentActive", "times": 2}) as hits:
        done = ground.provision()
        struck = sum(hits())
    return Row(
        10, "409 DeploymentActive twice", "waited out", told(done), time.monotonic() - began, 60, struck,
        done.code == 0 and struck == 2,
    )  # fmt: skip


def app_busy(ground: Ground) -> Row:
    served(ground)
    ground.project.state(cooldownSeconds=77)
    began = time.monotonic()
    with (
        ground.answering() as missed,
        ground.faults(
            *(
                {**PATCH, "status": 409, "code": code}
                for code in ("ContainerAppOperationInProgress", "ContainerAppLockConflict")
            ),
            {**PATCH, "status": 429, "code": "TooManyRequests"},
        ) as hits,
    ):
        done = ground.provision()
        struck = sum(hits())
        seconds = time.monotonic() - began
        eventually(lambda: ground.serving(), 180, "the app after its change")
        lost = missed()
    return Row(
        10, "an app that is busy: OperationInProgress, LockConflict, 429", "waited out; the old one answers meanwhile",
        f"{told(done)}, told {done.err.count('asking again')} times, cooldown {cooldown_of(ground)}", seconds, 90, struck,
        done.code == 0 and struck == 3 and cooldown_of(ground) == 77, tuple(lost[:2]),
    )  # fmt: skip


def environment_busy(ground: Ground) -> Row:
    ground.with_environment()
    busy = {
        "method": "PATCH",
        "path": "/managedEnvironments/",
        "status": 409,
        "code": "ManagedEnvironmentOperationInProgress",
    }
    began = time.monotonic()
    with ground.faults({**busy, "times": 2}) as hits:
        done = ground.provision()
        struck = sum(hits())
    return Row(
        10, "an environment that is busy", "waited out", told(done), time.monotonic() - began, 60, struck,
        done.code == 0 and struck == 2,
    )  # fmt: skip


def busy_for_good(ground: Ground) -> Row:
    assert ground.provision().code == 0
    ground.project.state(cooldownSeconds=78)
    ground.environment = {"SLIPWAY_WAIT_SCALE": "0.03"}
    began = time.monotonic()
    with ground.faults({**PATCH, "status": 409, "code": "ContainerAppOperationInProgress", "times": None}) as hits:
        done = ground.provision()
        struck = sum(hits())
    ground.environment = {}
    return Row(
        10, "an app that stays busy (limits of waits shortened)", "bounded; told by its own code", told(done),
        time.monotonic() - began, 60, struck,
        done.code == 1 and struck > 2 and done.error["code"] == "ContainerAppOperationInProgress",
    )  # fmt: skip


def odd_looks(ground: Ground) -> Row:
    page = {
        **GET,
        "kind": "body",
        "status": 200,
        "headers": {"content-type": "text/html"},
        "body": "<html>Welcome</html>",
    }
    began = time.monotonic()
    with ground.faults(
        {**GET, "status": 404, "code": "DeploymentNotFound", "skip": 1, "times": 2},
        {**answered_with({}, GET["path"], 2), "skip": 1},
        {**page, "times": 2, "skip": 1},
    ) as hits:
        done = ground.provision()
        struck = hits()
    return Row(
        11, "looks at the deployment: 404, {}, a page", "looked at again", told(done), time.monotonic() - began, 60,
        sum(struck), done.code == 0 and struck == [2, 2, 2],
    )  # fmt: skip


def odd_polls(ground: Ground) -> Row:
    assert ground.provision().code == 0
    shapes: dict[str, dict[str, Any]] = {
        "404": {**POLL, "status": 404, "code": "NotFound"},
        "{}": {**POLL, "kind": "body", "status": 200, "headers": JSON, "body": "{}"},
        "a page": {**POLL, "kind": "body", "status": 200, "headers": {"content-type": "text/html"}, "body": "<html>"},
        "no header": {**PATCH, "kind": "body", "status": 202, "headers": JSON, "body": "{}"},
    }
    began, seen, struck, right = time.monotonic(), list[str](), 0, True
    for number, (name, rule) in enumerate(shapes.items()):
        ground.project.state(cooldownSeconds=80 + number)
        with ground.faults({**rule, "times": None}) as hits:
            done = ground.provision()
            struck += (hit := sum(hits()))
        seen.append(f"{name}: {told(done)}, {hit} hits")
        right = right and done.code == 0 and hit > 0 and cooldown_of(ground) == 80 + number
    return Row(
        11, "polls of a PATCH: 404, {}, a page; no header to poll at", "the resource tells", "; ".join(seen),
        time.monotonic() - began, 120, struck, right,
    )  # fmt: skip


def never_ends(ground: Ground) -> Row:
    running = {"id": "/d", "name": "d", "properties": {"provisioningState": "Running"}}
    ground.environment = SHORT
    began = time.monotonic()
    with ground.faults({**answered_with(running, GET["path"]), "skip": 1}) as hits:
        done = ground.provision()
        struck = sum(hits())
    ground.environment = {}
    seconds = time.monotonic() - began
    adopted = ground.provision()
    there = ground.deployments()
    return Row(
        12, "a deployment that never ends (an hour shortened)", "deadline; the next run adopts it",
        f"{told(done)}; then exit {adopted.code}, deployments {there}", seconds, 60, struck,
        done.code == 1 and done.error["code"] == "DeploymentTimeout" and "cancel" in done.error["suggestion"]
        and adopted.code == 0 and len(there) == 1,
    )  # fmt: skip


def patch_never_ends(ground: Ground) -> Row:
    assert ground.provision().code == 0
    ground.project.state(cooldownSeconds=90)
    ground.environment = {"SLIPWAY_WAIT_SCALE": "0.01"}
    began = time.monotonic()
    with ground.faults({**POLL, "kind": "never-ending", "times": None}) as hits:
        done = ground.provision()
        struck = sum(hits())
    ground.environment = {}
    seconds = time.monotonic() - began
    after = ground.provision()
    return Row(
        12, "a PATCH that never ends (a quarter of an hour shortened)", "deadline; the next run goes on",
        f"{told(done)}; then exit {after.code}, cooldown {cooldown_of(ground)}", seconds, 60, struck,
        done.code == 1 and done.error["code"] == "OperationTimeout" and after.code == 0 and cooldown_of(ground) == 90,
    )  # fmt: skip


# A network that is not there


AZURE = [
    "provision",
    "--cloud",
    "azure",
    "--subscription",
    "22222222-2222-2222-2222-222222222222",
    "--group",
    "g",
    "--json",
]


def unreachable(ground: Ground) -> Row:
    """The way to Azure leads through a name that does not exist, a port at which nobody listens, an unknown authority."""
    began, seen, right, struck = time.monotonic(), list[str](), True, 0
    with (
        tempfile.TemporaryDirectory() as folder,
        InspectingProxy(Path(folder), ["management.azure.com"], lambda *_: {}) as proxy,
    ):
        ways = {
            "DNS": "http://no-such-host.invalid:3128", "refused": "http://127.0.0.1:9", "certificate": proxy.url,
        }  # fmt: skip
        for name, way in ways.items():
            kept = {key: value for key, value in ground.environ.items() if not key.startswith("AZURE_")}
            at = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "sidecar", *AZURE, str(ground.project.workspace.folder)], cwd=ROOT,
                env={**kept, "HTTPS_PROXY": way, "https_proxy": way, "NO_PROXY": "", "no_proxy": ""},
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            took = time.monotonic() - at
            error = json.loads(done.stdout)["error"]
            struck += error["code"] == "Unreachable"
            seen.append(f"{name}: {error['code']} in {took:.1f} s")
            ground.failures.append(error)
            right = right and done.returncode == 1 and error["code"] == "Unreachable" and took < 10
        right = right and proxy.asked == []
    return Row(
        6, "a name that is unknown, nobody who listens, a certificate that is not trusted", "a clear message in 10 s each",
        "; ".join(seen), time.monotonic() - began, 45, struck, right,
    )  # fmt: skip


LOST_SECONDS = 45


def network_lost(ground: Ground) -> Row:
    began = time.monotonic()
    process = ground.begin()
    eventually(lambda: "deploy" in ground.steps("provision")[-1:] and ground.deployments(), 180, "the deployment")
    with ground.faults({"kind": "reset-before", "path": "^/subscriptions/", "times": None}) as hits:
        time.sleep(LOST_SECONDS)  # sleeps: the fault is that long
        struck = sum(hits())
    done = ground.finish(process)
    return Row(
        18, f"the network is lost for {LOST_SECONDS} s", "followed; ends right", told(done), time.monotonic() - began, 120,
        struck, done.code == 0 and struck > 0,
    )  # fmt: skip


# Cancel, and a window that is closed


def interrupted(ground: Ground, process: subprocess.Popen[str]) -> tuple[Ended, float]:
    """Ctrl-C; seconds until the outcome is told."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("error: "):
            break
    seconds = time.monotonic() - began
    ground.written += said
    return ground.finish(process), seconds


def cancelled(ground: Ground) -> Row:
    process = ground.begin()
    eventually(lambda: ground.deployments(), 180, "the deployment")
    done, seconds = interrupted(ground, process)
    state = eventually(
        lambda: [each for each in ground.deployments() if each[1] == "Canceled"], 180, "the cancel in the cloud"
    )
    return Row(
        18, "cancelled while the deployment runs", "ends within a second; cancelled in the cloud; told what is there",
        f"{told(done)} after {seconds:.1f} s, {state}", seconds, STOPS_WITHIN, 1,
        done.code == 130 and "was cancelled" in done.error["message"] and "Begun, and ended by" in done.error["message"],
        tuple(ground.torn()),
    )  # fmt: skip


def cancelled_while_held(ground: Ground) -> Row:
    """A look that is not answered: no byte comes."""
    with ground.faults({**GET, "kind": "hold", "seconds": 60, "skip": 1, "times": None}) as hits:
        process = ground.begin()
        eventually(lambda: sum(hits()) > 0, 180, "a look that is held")
        done, seconds = interrupted(ground, process)
        struck = sum(hits())
    return Row(
        18, "cancelled while a look is held", "ends within a second", f"{told(done)} after {seconds:.1f} s", seconds,
        STOPS_WITHIN, struck, done.code == 130 and "was cancelled" in done.error["message"], tuple(ground.torn()),
    )  # fmt: skip


def cancelled_by_the_next(ground: Ground) -> Row:
    """Killed, and then not gone on with: `cancel` ends what goes on in the cloud."""
    process = ground.begin()
    eventually(lambda: ground.deployments(), 180, "the deployment")
    ground.kill(process)
    began = time.monotonic()
    done = ground.finish(ground.begin("cancel"))
    seconds = time.monotonic() - began
    there = ground.deployments()
    said = str(done.document.get("sentence"))
    return Row(
        18, "killed, then cancelled by its verb", "the cloud's deployment ends; told what is there",
        f"exit {done.code}: {said[:110]}, {there}", seconds, 30, 1,
        done.code == 0 and [state for _, state in there] == ["Canceled"] and "was cancelled" in said
        and ground.unfinished("provision") is None,
        tuple(ground.torn()),
    )  # fmt: skip


def window_closed(ground: Ground) -> Row:
    """The sidecar of a window, whose client goes away."""
    begin = (
        f"import os; os.environ['SLIPWAY_LOCAL_STATE'] = {str(ground.world.state)!r}; "
        "from sidecar.doors.server import serve; serve(dict(os.environ))"
    )
    client = Client(ground.state, "-c", begin)
    asked = {
        "folder": str(ground.project.workspace.folder),
        "cloud": "local",
        "subscriptionId": ground.world.subscription,
        "resourceGroup": ground.name,
    }
    client.send(
        "slipway/provision", {**asked, "consents": ["local-image"], "digest": None, "begins": True, "operation": "o"}
    )
    eventually(lambda: ground.deployments(), 180, "the deployment")
    began = time.monotonic()
    assert client.process.stdin is not None
    client.process.stdin.close()
    client.process.wait(timeout=30)
    seconds = time.monotonic() - began
    told_of = ground.finish(ground.begin("interrupted")).document["interrupted"]
    ended = eventually(
        lambda: [each for each in ground.deployments() if each[1] == "Succeeded"], 180, "the deployment's end"
    )
    return Row(
        18, "the window is closed", "the sidecar ends within a second; the cloud goes on; the next run follows",
        f"ended after {seconds:.1f} s, told: {[each['kind'] for each in told_of]}, {ended}", seconds, STOPS_WITHIN, 1,
        [each["kind"] for each in told_of] == ["provision"], tuple(ground.torn()),
    )  # fmt: skip


WAITS: dict[str, Callable[[Ground], Row]] = {
    "4": one_restart,
    "6": unreachable,
    "10": deployment_active,
    "10-app": app_busy,
    "10-environment": environment_busy,
    "10-for-good": busy_for_good,
    "11": odd_looks,
    "11-polls": odd_polls,
    "12": never_ends,
    "12-patch": patch_never_ends,
    "18": cancelled,
    "18-held": cancelled_while_held,
    "18-verb": cancelled_by_the_next,
    "18-window": window_closed,
    "18-network": network_lost,
}
