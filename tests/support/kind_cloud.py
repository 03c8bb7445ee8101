"""The local cloud as kind as it once was, in one respect at a time: it proves that the tests of what Azure does can fail.

`SLIPWAY_KINDNESS=NAME python -m tests.support.kind_cloud …` takes the arguments of `python -m sidecar.localcloud`.
`python -m tests.contract.kindness` runs every one of them and looks which tests turn red.
"""

import asyncio
import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sidecar.localcloud import __main__ as local_cloud
from sidecar.localcloud.core import settings as core_settings
from sidecar.localcloud.core.settings import Times
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources import containerapps, revisions
from sidecar.localcloud.runtime import app_runtime, containers, ingress
from sidecar.localcloud.runtime.conditions import Condition, RevisionView
from sidecar.localcloud.runtime.connections import Refusal, Refused
from sidecar.localcloud.runtime.courses import Course
from sidecar.localcloud.runtime.images import Refusal as ImageRefusal
from sidecar.localcloud.runtime.replicas import Replica


def replaces_at_once() -> None:
    """A restart ends every replica and starts new ones."""

    def restart(self: app_runtime.AppRuntime, revision: str) -> None:
        self._course(revision).renew()
        for replica in self.replicas.pop(revision, []):
            self._retire(replica)
        self.wake()

    _put(app_runtime.AppRuntime, "restart", restart)


def refuses_at_once() -> None:
    """A request to what is not ready gets 503 in a moment."""
    held = ingress.Ingress._ready_replica

    async def ready_replica(self: ingress.Ingress, door: Any, waiting: Any) -> Replica:
        found = self._app.replicas.get(waiting.revision, [])
        if found and not any(replica.ready for replica in found):
            raise Refused(Refusal(503, "no healthy upstream"))
        return await held(self, door, waiting)

    _put(ingress.Ingress, "_ready_replica", ready_replica)


def says_it_on_the_replica() -> None:
    """The reason stands on the replica, not on its container."""
    shown = revisions._shown_replica

    def replica(*given: Any) -> Resource:
        found = shown(*given)
        told = [each["runningStateDetails"] for each in found.properties["containers"]]
        quiet = [{**each, "runningStateDetails": ""} for each in found.properties["containers"]]
        return found.with_properties(runningStateDetails=" ".join(told), containers=quiet)

    _put(revisions, "_shown_replica", replica)


def says_nothing_of_a_revision() -> None:
    _change_conditions(lambda condition, _view: dataclasses.replace(condition, details=None))


def weighs_by_readiness() -> None:
    """A revision that is not ready has no weight."""
    meant = app_runtime.AppRuntime.intended

    def intended(self: app_runtime.AppRuntime) -> Mapping[str, int]:
        ready = [each.name for each in self.active() if self._ready(each.name)]
        return {ready[-1]: 100} if ready else meant(self)

    _put(app_runtime.AppRuntime, "intended", intended)


def provisions_when_ready() -> None:
    def until_ready(condition: Condition, view: RevisionView) -> Condition:
        ready = not view.replicas or any(replica.ready for replica in view.replicas)
        return condition if ready else dataclasses.replace(condition, provisioning="Provisioning")

    _change_conditions(until_ready)


def never_fails() -> None:
    """A crash loop is Degraded for as long as it lasts."""

    def degraded(condition: Condition, _view: RevisionView) -> Condition:
        return Condition("Provisioning", "Degraded", "Unhealthy") if condition.running == "Failed" else condition

    _change_conditions(degraded)


def tries_once() -> None:
    """What can't be pulled or mounted is not tried again."""
    attempt = containers.Container._attempt

    async def once(self: containers.Container) -> Literal["not-pulled", "ended"]:
        outcome = await attempt(self)
        if self.id is None:
            await asyncio.Event().wait()
        return outcome

    _put(containers.Container, "_attempt", once)


def leaves_at_once() -> None:
    """A replaced revision is gone as soon as one replica of the new one is ready."""

    def take_over(self: app_runtime.AppRuntime) -> None:
        found = self.active()
        if len(found) > 1 and self._ready(found[-1].name):
            for revision in found[:-1]:
                self.deactivate(revision)

    _put(app_runtime.AppRuntime, "_take_over", take_over)


def keeps_its_port() -> None:
    """A changed target port rolls nothing; the old replica is reached as before."""
    names = Course.names

    def all_the_same(self: Course, _target: int | None) -> Any:
        return names(self, None)

    def port_for(self: Replica, _target: int | None) -> int:
        return self.port

    _put(Course, "names", all_the_same)
    _put(Replica, "port_for", port_for)


def has_one_address() -> None:
    """A revision's host name is the app's."""
    create = revisions.create_revision

    def created(cloud: Any, app: Resource) -> str:
        name = create(cloud, app)
        made = cloud.store.get(f"{app.id}/revisions/{name}")
        fqdn = (app.properties["configuration"].get("ingress") or {}).get("fqdn")
        cloud.store.put(dataclasses.replace(made.with_properties(fqdn=fqdn), private={**made.private, "port": None}))
        return name

    _put(containerapps, "create_revision", created)


def takes_any_image() -> None:
    def none(_settings: Any, _image: str, _credentials: Sequence[Any]) -> ImageRefusal | None:
        return None

    _put(containerapps, "refusal", none)


def has_two_gpus() -> None:
    core_settings.Settings.model_fields["default_gpu_quota"].default = 2
    core_settings.Settings.model_rebuild(force=True)


KINDNESS: dict[str, Callable[[], None]] = {
    "replaces-at-once": replaces_at_once,
    "refuses-at-once": refuses_at_once,
    "says-it-on-the-replica": says_it_on_the_replica,
    "says-nothing-of-a-revision": says_nothing_of_a_revision,
    "weighs-by-readiness": weighs_by_readiness,
    "provisions-when-ready": provisions_when_ready,
    "never-fails": never_fails,
    "tries-once": tries_once,
    "leaves-at-once": leaves_at_once,
    "keeps-its-port": keeps_its_port,
    "has-one-address": has_one_address,
    "takes-any-image": takes_any_image,
    "has-two-gpus": has_two_gpus,
}


def _change_conditions(change: Callable[[Condition, RevisionView], Condition]) -> None:
    found = app_runtime.condition_of

    def condition_of(view: RevisionView, times: Times) -> Condition:
        return change(found(view, times), view)

    _put(app_runtime, "condition_of", condition_of)


def _put(holder: Any, name: str, value: Any) -> None:
    assert hasattr(holder, name), f"{holder} has no {name} any more"
    setattr(holder, name, value)


if __name__ == "__main__":
    KINDNESS[os.environ["SLIPWAY_KINDNESS"]]()
    sys.exit(local_cloud.main())
