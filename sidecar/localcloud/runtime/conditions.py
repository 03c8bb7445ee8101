"""What a revision reads as: its states, health and details, from what its replicas do. Pure; Azure's own words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sidecar.localcloud.core.settings import Times
from sidecar.localcloud.runtime.containers import Trouble

Running = Literal[
    "Activating",
    "Running",
    "RunningAtMaxScale",
    "ScaledToZero",
    "Degraded",
    "Failed",
    "Deprovisioning",
    "Stopped",
]
Health = Literal["Healthy", "Unhealthy", "None"]
Provisioning = Literal["Provisioning", "Provisioned", "Failed"]
Switch = Literal["active", "leaving", "inactive", "stopped"]
"""`leaving`: another revision took over, and its replicas still hold requests; `stopped`: the app is."""


@dataclass(frozen=True)
class ReplicaView:
    ready: bool
    alive: bool
    """Started, whatever its readiness."""
    trouble: tuple[Trouble, str] | None
    """And the name of the container that has it."""
    listening: int | None = None
    """The port that it listens on where that is not the target port."""
    stale: float | None = None
    """For how many seconds it has been asked on a port on which it does not listen."""


@dataclass(frozen=True)
class RevisionView:
    switch: Switch
    age: float
    """Seconds since it was created or activated."""
    unready: float
    """Seconds that it has had replicas and never one that was ready."""
    maximum: int
    target_port: int | None
    replicas: Sequence[ReplicaView]


@dataclass(frozen=True)
class Condition:
    provisioning: Provisioning
    running: Running
    health: Health
    error: str | None = None
    details: str | None = None


def condition_of(view: RevisionView, times: Times) -> Condition:
    if view.switch in ("inactive", "stopped"):
        # An inactive revision reads well, also one that never started: its state says nothing on whether it ever worked.
        return Condition("Provisioned", "Stopped", "Healthy")
    provisioning: Provisioning = "Provisioning" if view.age < times.platform(times.provision) else "Provisioned"
    if view.switch == "leaving":
        return Condition(provisioning, "Deprovisioning", "Healthy")
    if not view.replicas:
        fresh = provisioning == "Provisioning"
        return (
            Condition(provisioning, "Activating", "None")
            if fresh
            else Condition(provisioning, "ScaledToZero", "Healthy")
        )
    if any(replica.ready and _is_asked_right(replica, times) and not replica.trouble for replica in view.replicas):
        at_most = len(view.replicas) >= view.maximum
        return Condition(provisioning, "RunningAtMaxScale" if at_most else "Running", "Healthy")
    return _troubled(view) or _unready(view, provisioning, times)


def _is_asked_right(replica: ReplicaView, times: Times) -> bool:
    return replica.stale is None or replica.stale < times.bound(times.stale_target)


def _troubled(view: RevisionView) -> Condition | None:
    """Containers that end, can't be started or pulled."""
    found = [replica.trouble for replica in view.replicas if replica.trouble]
    if not found:
        return None
    trouble, container = found[0]
    cause = f"Container crashing: {container}" if trouble == "crashing" else "Pending:ImagePullBackOff on legion"
    return Condition("Failed", "Failed", "Unhealthy", cause, f"{len(found)}/{len(view.replicas)} {cause}")


def _unready(view: RevisionView, provisioning: Provisioning, times: Times) -> Condition:
    """Nothing dies, and nothing becomes ready. The deadline ends nothing: what is ready later reads well again."""
    port = _port_sentence(view)
    if any(replica.stale is not None for replica in view.replicas):
        return Condition("Failed", "Failed", "Unhealthy", details=port)
    if view.unready > times.bound(times.activation_deadline):
        text = f"Deployment Progress Deadline Exceeded. 0/{len(view.replicas)} replicas ready."
        return Condition(provisioning, "Degraded", "Unhealthy", details=f"{text} {port}" if port else text)
    if port and view.unready > times.bound(times.port_mismatch):
        return Condition(provisioning, "Activating", "None", details=port)
    alive = any(replica.alive for replica in view.replicas)
    return Condition(provisioning, "Activating", "Healthy" if alive else "None")


def _port_sentence(view: RevisionView) -> str | None:
    listening = next((replica.listening for replica in view.replicas if replica.listening), None)
    if listening is None or view.target_port is None:
        return None
    return port_mismatch(view.target_port, listening)


def port_mismatch(target: int, listening: int) -> str:
    return f"The TargetPort {target} does not match the listening port {listening}."
