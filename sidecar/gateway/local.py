"""The local cloud as a process: found by its state folder, started when it does not run, never imported."""

from __future__ import annotations

import json
import os
import platform
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil

from sidecar.core.platforms import Platform
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

START_SECONDS = 60
PACKAGES = Path(__file__).resolve().parents[2]
"""Where `python -m` finds this package, and not a module of the folder that a person happens to work in."""


@dataclass(frozen=True)
class LocalCloud:
    """What the running local cloud says about itself (its `cloud.json`, readable by this user only)."""

    pid: int
    arm: str
    authority: str
    ca_file: Path
    tenant_id: str
    client_id: str
    client_secret: str
    subscriptions: tuple[tuple[str, str], ...]
    data: str
    """Where its log streams and the queries to its workspaces are."""
    image: Platform | None = None
    """What stands in for every image; None where a cloud of before says nothing of it."""


def hindrance(system: str = sys.platform, machine: str | None = None) -> Text | None:
    """Why the local cloud can't run on this machine; None where it can. Replicas are process groups, and run PyTorch."""
    if system == "darwin" and (machine or platform.machine()) == "x86_64":
        return Text("The local cloud can't run on a Mac with an Intel processor: PyTorch is not published for it.")
    if system != "win32" and hasattr(os, "killpg") and hasattr(signal, "SIGKILL"):
        return None
    return Text("The local cloud can't run on this system: it needs Linux, or macOS on Apple silicon.")


def known_local_cloud(state: Path) -> LocalCloud | None:
    """The local cloud of this state folder, running or not; None when there has never been one."""
    file = state / "cloud.json"
    if not file.exists():
        return None
    said = cast("dict[str, object]", json.loads(file.read_text(encoding="utf-8")))
    subscriptions = cast("list[dict[str, str]]", said["subscriptions"])
    return LocalCloud(
        pid=int(cast("int", said["pid"])),
        arm=str(said["arm"]),
        authority=str(said["authority"]),
        ca_file=Path(str(said["caFile"])),
        tenant_id=str(said["tenantId"]),
        client_id=str(said["clientId"]),
        client_secret=str(said["clientSecret"]),
        subscriptions=tuple((each["id"], each["name"]) for each in subscriptions),
        data=f"{str(said['arm']).rpartition(':')[0]}:{cast('dict[str, int]', said['ports'])['data']}",
        image=_image(said.get("image")),
    )


def _image(said: object) -> Platform | None:
    if not isinstance(said, dict):
        return None
    told = cast("dict[str, object]", said)
    major, minor = str(told["python"]).split(".")
    glibc, torch = int(str(told["glibc"])), str(told["torch"])
    return Platform((int(major), int(minor)), str(told["machine"]), glibc, torch, holds_all=told["holdsAll"] is True)


def refuse_where_it_can_not_run() -> None:
    reason = hindrance()
    if reason is not None:
        raise CloudError(reason, Text("Choose an Azure subscription."), code="LocalCloudUnavailable")


def local_cloud(state: Path, environ: Mapping[str, str], say: Callable[[Text], None]) -> LocalCloud:
    """The running local cloud. Starts it when needed, as a process of its own that outlives this one."""
    refuse_where_it_can_not_run()
    known = known_local_cloud(state)
    if known is not None and _answers(known):
        return known
    say(Text("Starting the local cloud…"))
    return _start(state, environ)


def _start(state: Path, environ: Mapping[str, str]) -> LocalCloud:
    """Starts the process detached: it goes on when this one ends, as Azure would."""
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)
    arguments = ["--state", str(state)]
    bind = environ.get("SLIPWAY_LOCAL_INGRESS_BIND")
    if bind:
        arguments += ["--ingress-bind", bind]
    companion = environ.get("SLIPWAY_LOCAL_WITH")
    if companion:
        arguments += ["--with", companion]
    log = state / "start.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "sidecar.localcloud", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
            cwd=PACKAGES,
            env=dict(environ),
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        known = known_local_cloud(state)
        if known is not None and _answers(known):
            return known
        if process.poll() is not None:
            # another process may have won the race for the state folder: then its cloud answers in a moment
            again = known_local_cloud(state)
            if again is None or not runs(again):
                break
        time.sleep(0.1)
    process.kill()  # else it may come up later, and nobody would know of it
    raise CloudError(
        Text("The local cloud did not start."),
        Text("The detail holds the end of its log; correct that and try again."),
        code="LocalCloudFailed",
        detail=log.read_text(encoding="utf-8", errors="replace")[-4000:],
    )


def _answers(cloud: LocalCloud) -> bool:
    import httpx  # noqa: PLC0415  (it loads slowly; only who asks waits)

    if not runs(cloud) or not cloud.ca_file.exists():
        return False
    try:
        with httpx.Client(verify=_trusting(cloud.ca_file), timeout=5, trust_env=False) as client:
            return (
                client.get(f"{cloud.arm}/metadata/endpoints", params={"api-version": "2022-09-01"}).status_code == 200
            )
    except httpx.HTTPError:
        return False  # a cloud that is starting or dying: the caller starts one or waits on


def _trusting(ca_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file))


def runs(cloud: LocalCloud) -> bool:
    """Whether its process lives: not reaped yet counts as dead, and so does another process under its old number."""
    try:
        process = psutil.Process(cloud.pid)
        return process.status() != psutil.STATUS_ZOMBIE and "sidecar.localcloud" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False  # gone, or somebody else's under the old number: ours may be read
