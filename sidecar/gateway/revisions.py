"""Revisions of a container app, their replicas and containers, as Azure tells them: missing fields and unknown words included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from sidecar.gateway.apps import client_of
from sidecar.gateway.patience import Patience
from sidecar.gateway.place import AppPlace
from sidecar.gateway.translation import is_lost, translated
from sidecar.words.text import Text


@dataclass(frozen=True)
class Revision:
    """`state` and `health` are Azure's words, of which it has more than its documents name; `details` is its reason in text.

    `weight` is what the configuration means from the first second, whether anything is ready or not: it tells not who serves."""

    name: str
    active: bool
    replicas: int = 0
    state: str = "Unknown"
    health: str = "None"
    provisioning: str = ""
    provisioning_error: str = ""
    details: str = ""
    weight: int = 0
    fqdn: str | None = None
    created: str = ""

    @property
    def healthy(self) -> bool:
        """Whether it was seen to work: `Provisioned` and the weight say nothing of that. At its maximum it never says Running."""
        return self.health == "Healthy" and self.state in ("Running", "RunningAtMaxScale", "ScaledToZero")


@dataclass(frozen=True)
class Container:
    """`details` holds the reason of a wait; the replica's own are empty."""

    name: str
    ready: bool = False
    started: bool = False
    restarts: int = 0
    state: str = "Unknown"
    details: str = ""
    log_stream: str | None = None


@dataclass(frozen=True)
class Replica:
    name: str
    state: str = "Unknown"
    details: str = ""
    created: str = ""
    containers: tuple[Container, ...] = ()

    @property
    def ready(self) -> bool:
        return bool(self.containers) and all(each.ready for each in self.containers)

    @property
    def restarts(self) -> int:
        return max((each.restarts for each in self.containers), default=0)


def revisions(place: AppPlace) -> list[Revision]:
    with translated(Text("Listing the revisions of {name}", name=place.name)), client_of(place) as client:
        return [
            revision_from(raw(each)) for each in client.container_apps_revisions.list_revisions(place.group, place.name)
        ]


def revision(place: AppPlace, name: str) -> Revision:
    with translated(Text("Reading the revision {name}", name=name)), client_of(place) as client:
        return revision_from(raw(client.container_apps_revisions.get_revision(place.group, place.name, name)))


def template_of(place: AppPlace, revision: str) -> dict[str, Any]:
    """What it was made of: the ground for apps.update_template(), to have it once more."""
    with translated(Text("Reading the revision {name}", name=revision)), client_of(place) as client:
        found = client.container_apps_revisions.get_revision(place.group, place.name, revision)
        template = None if found.properties is None else found.properties.template
        return {} if template is None else cast("dict[str, Any]", template.as_dict())


def replicas(place: AppPlace, revision: str) -> list[Replica]:
    with translated(Text("Listing the replicas of {name}", name=revision)), client_of(place) as client:
        found = raw(client.container_apps_revision_replicas.list_replicas(place.group, place.name, revision))
    return [replica_from(each) for each in cast("list[Mapping[str, Any]]", found.get("value") or [])]


def restart(place: AppPlace, revision: str) -> None:
    """Asks for a restart. Azure answers before anything restarted: see it in replicas() and in the server's /version. So a lost
    answer is no reason to ask twice: every replica would go twice."""
    doing = Text("Restarting {name}", name=revision)
    session = place.around.session
    with translated(doing), client_of(place) as client:
        try:
            session.once_free(
                doing, lambda: client.container_apps_revisions.restart_revision(place.group, place.name, revision)
            )
        except Exception as error:
            if not is_lost(error):
                raise
            session.patience.say(Text("{doing}: the answer was lost; the replicas tell what came of it.", doing=doing))


def activate(place: AppPlace, revision: str) -> None:
    """Hears no cancel: it is what a cancelled run has to leave behind."""
    session = replace(place.around.session, patience=Patience())
    steady = replace(place.around, session=session).app(place.name)
    doing = Text("Activating {name}", name=revision)
    with translated(doing), client_of(steady) as client:
        session.once_free(
            doing,
            lambda: client.container_apps_revisions.activate_revision(place.group, place.name, revision),
            repeatable=True,
        )


def deactivate(place: AppPlace, revision: str) -> None:
    """Its replicas end, after their grace: see it in replicas()."""
    doing = Text("Deactivating {name}", name=revision)
    with translated(doing), client_of(place) as client:
        place.around.session.once_free(
            doing,
            lambda: client.container_apps_revisions.deactivate_revision(place.group, place.name, revision),
            repeatable=True,
        )


def raw(found: Any) -> Mapping[str, Any]:
    """The answer as it came. The SDK's models lack fields that Azure sends (a revision's runningStateDetails)."""
    return cast("Mapping[str, Any]", found.as_dict())


def revision_from(found: Mapping[str, Any]) -> Revision:
    properties = _object(found, "properties")
    return Revision(
        name=_text(found, "name"),
        active=bool(properties.get("active")),
        replicas=int(properties.get("replicas") or 0),
        state=_text(properties, "runningState") or "Unknown",
        health=_text(properties, "healthState") or "None",
        provisioning=_text(properties, "provisioningState"),
        provisioning_error=_text(properties, "provisioningError"),
        details=_text(properties, "runningStateDetails"),
        weight=int(properties.get("trafficWeight") or 0),
        fqdn=_text(properties, "fqdn") or None,
        created=_text(properties, "createdTime"),
    )


def replica_from(found: Mapping[str, Any]) -> Replica:
    properties = _object(found, "properties")
    containers = cast("list[Mapping[str, Any]]", properties.get("containers") or [])
    return Replica(
        name=_text(found, "name"),
        state=_text(properties, "runningState") or "Unknown",
        details=_text(properties, "runningStateDetails"),
        created=_text(properties, "createdTime"),
        containers=tuple(_container(each) for each in containers),
    )


def _container(found: Mapping[str, Any]) -> Container:
    return Container(
        name=_text(found, "name"),
        ready=bool(found.get("ready")),
        started=bool(found.get("started")),
        restarts=int(found.get("restartCount") or 0),
        state=_text(found, "runningState") or "Unknown",
        details=_text(found, "runningStateDetails"),
        log_stream=_text(found, "logStreamEndpoint") or None,
    )


def _object(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    return "" if value is None else str(value)
