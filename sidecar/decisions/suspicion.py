"""What may keep a replica from being ready that no event names: no GPU, another port, a probe; and what helps. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.decisions.diagnosis import NO_GPU_SECONDS, Cause, Seen, Working
from sidecar.decisions.signs import waiting_reason
from sidecar.words.names import Remedy
from sidecar.words.text import Text


@dataclass(frozen=True)
class Around:
    """What was read beside the replicas. `scarce`: in the words of the quota, where all of it is in use."""

    gpu: bool = False
    scarce: Text | None = None
    target_port: int | None = None
    probe_ports: tuple[int, ...] = ()


REMEDIES: dict[str, tuple[Remedy, ...]] = {
    "AppMissing": ("provision",),
    "AppStopped": ("start", "deploy"),
    "AppUpdateFailed": ("provision", "systemLogs"),
    "ImageRefused": ("provision",),
    "NoActiveRevision": ("deploy",),
    "WaitingForFirstDeploy": ("deploy",),
    "NoIntactRelease": ("deploy",),
    "NoBaseModel": ("deploy", "logs"),
    "ModelLoadFailed": ("deploy", "rollback", "logs"),
    "ContainerCrashed": ("deploy", "rollback", "logs"),
    "PackagesFailed": ("deploy", "rollback", "logs"),
    "DiskFull": ("deploy", "rollback", "logs"),
    "OutOfMemory": ("rollback", "logs"),
    "GpuOutOfMemory": ("rollback", "logs"),
    "GpuUnusable": ("deploy", "rollback", "logs"),
    "ProbeFailed": ("deploy", "rollback", "logs"),
    "PortMismatch": ("deploy", "rollback", "logs"),
    "PortChanged": ("systemLogs",),
    "ProbeFailsLater": ("logs", "systemLogs"),
    "MountFailed": ("provision", "systemLogs"),
    "StartCommandMissing": ("systemLogs",),
    "ImagePullFailed": ("systemLogs",),
    "NoGpuFree": (),
    "NoGpuNow": ("systemLogs",),
    "AdapterRefused": ("logs",),
    "ServerFailed": ("deploy", "rollback", "logs"),
    "NoAnswer": ("logs", "systemLogs"),
}
"""Commands that may help, the best first; what is to be done beside them stands in the advice."""


def remedies(code: str) -> tuple[Remedy, ...]:
    return REMEDIES.get(code, ("logs",))


def suspected(seen: Seen, found: Working, around: Around) -> Cause | None:
    """Why something that is under way may never come to its end."""
    if (changed := port_changed(around)) is not None:
        return changed
    if around.gpu and not _placed(seen):
        return _no_gpu(seen, around)
    if found.phase == "ready" and found.warning is not None:
        return Cause(
            "ProbeFailsLater",
            found.warning,
            Text("Look at its log for what it lacks; where the app's port was changed, change it back."),
            certain=False,
        )
    return None


def port_changed(around: Around) -> Cause | None:
    """Requests go to another port than the one that the probes of the app's own template ask."""
    if around.target_port is None or not around.probe_ports or around.target_port in around.probe_ports:
        return None
    facts = {"port": around.target_port, "probed": around.probe_ports[0]}
    return Cause(
        "PortChanged",
        Text("The app's ingress sends requests to port {port}, but its server is probed on port {probed}.", **facts),
        Text(
            "Set the target port of its ingress back to {probed}, in the portal or with az containerapp ingress update.",
            **facts,
        ),
    )


def _placed(seen: Seen) -> bool:
    """Whether anything says that the replica has a place to run."""
    names = {replica.name for replica in seen.fresh}
    containers = [each for replica in seen.fresh for each in replica.containers]
    held = any(each.started or each.state == "Running" or waiting_reason(each.details) for each in containers)
    return held or any(event.replica in names and event.reason == "PullingImage" for event in seen.events)


def _no_gpu(seen: Seen, around: Around) -> Cause | None:
    if around.scarce is not None:
        return Cause(
            "NoGpuFree",
            around.scarce,
            Text("Stop what uses them, or ask for a larger quota; the replica starts by itself when one is free."),
        )
    if seen.waited < NO_GPU_SECONDS:
        return None
    return Cause(
        "NoGpuNow",
        Text(
            "No replica has begun to start for {minutes} minutes: Azure says no reason.", minutes=int(seen.waited // 60)
        ),
        Text(
            "Perhaps it has no free GPU of this kind just now. It goes on trying; another region or GPU may have one."
        ),
        certain=False,
    )
