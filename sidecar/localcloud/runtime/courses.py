"""How far a revision has come since it was made or activated, and what KEDA says of it."""

import time
from collections.abc import Iterator

from sidecar.localcloud.runtime.logs import Event
from sidecar.localcloud.runtime.replicas import ReplicaNames


class Course:
    """Of one revision; all times are time.monotonic()."""

    def __init__(self, revision: str, first: int) -> None:
        self.revision = revision
        self._names: dict[int | None, ReplicaNames] = {}
        self.first = first
        """With how many replicas it starts."""
        self.began = time.monotonic()
        self.last_used = self.began
        self.wanted = 0
        self.has_run = False
        self.unready_since: float | None = None
        self.leaving_since: float | None = None
        self.told_mismatch = 0.0
        self.looked_at = self.began

    def names(self, target_port: int | None) -> ReplicaNames:
        """Of the replicas made for this target port: set back to an earlier one, its replicas are right again."""
        if target_port not in self._names:
            self._names[target_port] = ReplicaNames(self.revision)
        return self._names[target_port]

    def renew(self) -> None:
        """A restart: every replica there is belongs to the past."""
        self._names = {}

    def looks(self, now: float, every: float) -> bool:
        """Whether the load is looked at now; between two looks nothing is added to replicas that run."""
        if now - self.looked_at < every:
            return False
        self.looked_at = now
        return True

    def scaled_to(self, wanted: int) -> Iterator[Event]:
        """Notes how many replicas it is to have; the first ones of a new revision are no event of scaling."""
        name, before, self.wanted = self.revision, self.wanted, wanted
        if before and not wanted:
            text = f"Deactivated apps/v1.Deployment k8se-apps/{name} from {before} to 0"
            yield Event("KEDAScaleTargetDeactivated", text, name, source="KEDA")
        elif wanted and not before and self.has_run:
            text = f"Scaled apps/v1.Deployment k8se-apps/{name} from 0 to {wanted}, triggered by "
            yield Event("KEDAScaleTargetActivated", text, name, source="KEDA")
        self.has_run = self.has_run or bool(wanted)


def unwatched(revision: str) -> tuple[Event, ...]:
    """What is said when a revision is deactivated; the warning means nothing."""
    watch = f"KEDA is stopping the watch for revision '{revision}' to monitor scale operations for this revision"
    removed = "ScaledObject was removed from KEDA watch and would not be auto-scaled."
    return (
        Event("KEDAScalersStopped", watch, revision, source="KEDA"),
        Event("ScaledObjectDeleted", removed, revision, kind="Warning", source="KEDA"),
    )
