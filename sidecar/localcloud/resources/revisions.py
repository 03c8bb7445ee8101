"""Microsoft.App/containerApps/revisions and their replicas: made by an app's template, shown as they run."""

import secrets
from typing import Literal

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.resource_id import ResourceId
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources.resource_type import Answer, ArmRequest, ResourceType
from sidecar.localcloud.runtime.containers import Container
from sidecar.localcloud.runtime.replicas import Replica

TYPE = "Microsoft.App/containerApps/revisions"
REPLICAS = "Microsoft.App/containerApps/revisions/replicas"


def create_revision(cloud: LocalCloud, app: Resource) -> str:
    """A revision for the app's template as it stands; its name."""
    template: Json = app.properties["template"]
    suffix = template.get("revisionSuffix") or _suffix()
    name = f"{app.name}--{suffix}"
    now = utc_now()
    ingress: Json = member(app.properties["configuration"], "ingress")
    properties: Json = {
        "createdTime": now,
        "lastActiveTime": now,
        "fqdn": ingress.get("fqdn"),
        "template": {**template, "revisionSuffix": suffix},
        "active": True,
        "provisioningError": None,
        "provisioningState": "Provisioning",
    }
    revision_id = f"{app.id}/revisions/{name}"
    body: Json = {"id": revision_id, "name": name, "type": TYPE, "properties": properties}
    cloud.store.put(Resource(revision_id, TYPE, body))
    runtime = cloud.runtime.app(app.id)
    runtime.report("RevisionCreation", f"Creating new revision '{name}'", name)
    _drop_old_revisions(cloud, app)
    return name


def revisions_of(cloud: LocalCloud, app: Resource) -> list[Resource]:
    """Oldest first."""
    found = cloud.store.under(app.id, TYPE)
    return sorted(found, key=lambda revision: revision.properties["createdTime"])


def _drop_old_revisions(cloud: LocalCloud, app: Resource) -> None:
    kept = app.properties["configuration"].get("maxInactiveRevisions") or 100
    inactive = [revision for revision in revisions_of(cloud, app) if not revision.properties["active"]]
    for revision in inactive[: max(0, len(inactive) - kept)]:
        cloud.store.delete(revision.id)


def _suffix() -> str:
    first = secrets.choice("abcdefghijklmnopqrstuvwxyz")
    return first + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(6))


def _show(cloud: LocalCloud, revision: Resource) -> Json:
    app_id = revision.id.split("/revisions/")[0]
    app = cloud.store.get(app_id)
    runtime = cloud.runtime.app(app_id)
    replicas = runtime.replicas.get(revision.name, [])
    active = bool(revision.properties["active"])
    stopped = bool(app and app.private.get("stopped"))
    weight = runtime.routes().get(revision.name, 0)
    state = _running_state(revision, replicas, "running" if active and not stopped else "stopped")
    changed: Json = {
        "active": active,
        "replicas": len(replicas),
        "trafficWeight": weight,
        "healthState": _health(revision, replicas, state),
        "runningState": state,
    }
    return dict(revision.with_properties(**changed).body)


def _running_state(revision: Resource, replicas: list[Replica], switch: Literal["running", "stopped"]) -> str:
    if switch == "stopped":
        return "Stopped"
    if not replicas:
        return "ScaledToZero" if revision.properties["provisioningState"] != "Provisioning" else "Activating"
    if any(replica.ready for replica in replicas):
        return "Running" if all(replica.ready for replica in replicas) else "Processing"
    if revision.properties["provisioningState"] == "Failed":
        return "Failed"
    if any(container.restarts for replica in replicas for container in replica.containers):
        return "Degraded"
    return "Activating"


def _health(revision: Resource, replicas: list[Replica], state: str) -> str:
    if state in ("Failed", "Degraded"):
        return "Unhealthy"
    if any(replica.ready for replica in replicas):
        return "Healthy"
    return (
        "Healthy" if state == "ScaledToZero" and revision.properties["provisioningState"] == "Provisioned" else "None"
    )


def _restart(cloud: LocalCloud, revision: Resource, _request: ArmRequest) -> Answer:
    if not revision.properties["active"]:
        raise invalid(f"Cannot restart revision '{revision.name}' because it is not active.", "RevisionNotActive")
    cloud.runtime.app(revision.id.split("/revisions/")[0]).restart(revision.name)
    # The real az parses the answer as JSON; the SDK reads nothing.
    return {}


def _activate(cloud: LocalCloud, revision: Resource, _request: ArmRequest) -> Answer:
    cloud.store.put(revision.with_properties(active=True, lastActiveTime=utc_now(), provisioningState="Provisioning"))
    cloud.runtime.app(revision.id.split("/revisions/")[0]).begin(revision.name)
    return {}


def _deactivate(cloud: LocalCloud, revision: Resource, _request: ArmRequest) -> Answer:
    runtime = cloud.runtime.app(revision.id.split("/revisions/")[0])
    cloud.store.put(revision.with_properties(active=False))
    runtime.wake()
    return {}


def _replicas(cloud: LocalCloud, revision_id: str) -> list[Resource]:
    app_id, _, revision = revision_id.partition("/revisions/")
    found = cloud.store.get(revision_id)
    app = cloud.store.get(app_id)
    if found is None or app is None:
        raise ArmError(404, "RevisionNotFound", f"Revision '{revision}' was not found.")
    group = cloud.runtime.app(app_id).replicas.get(found.name, [])
    return [_shown_replica(cloud, app, found, replica) for replica in group]


def _find_replica(cloud: LocalCloud, resource_id: ResourceId) -> Resource | None:
    parent = resource_id.parent
    if parent is None or cloud.store.get(parent.text) is None:
        return None
    return next((each for each in _replicas(cloud, parent.text) if each.name == resource_id.name), None)


def _shown_replica(cloud: LocalCloud, app: Resource, revision: Resource, replica: Replica) -> Resource:
    running = {container.spec.name: container for container in replica.containers}
    scope = app.id.split("/providers/")[0]
    base = f"{cloud.endpoints.data}{scope}/containerApps/{app.name}/revisions/{revision.name}/replicas/{replica.name}"
    template = replica.spec.template
    properties: Json = {
        "createdTime": replica.created,
        "runningState": replica.running_state,
        "runningStateDetails": replica.details or None,
        "containers": [
            _shown_container(base, entry.name, running.get(entry.name), replica) for entry in template.containers
        ],
        "initContainers": [
            _shown_container(base, entry.name, running.get(entry.name), replica) for entry in template.init_containers
        ],
    }
    body: Json = {"id": f"{revision.id}/replicas/{replica.name}", "name": replica.name, "type": REPLICAS}
    return Resource(body["id"], REPLICAS, {**body, "properties": properties})


def _shown_container(base: str, name: str, container: Container | None, replica: Replica) -> Json:
    shown: Json = {
        "name": name,
        "containerId": f"localcloud://{replica.name}/{name}",
        "ready": bool(container and container.ready),
        "started": bool(container and container.started),
        "restartCount": container.restarts if container else 0,
        "runningState": container.state if container else "Waiting",
        "runningStateDetails": (container.details if container else replica.details or replica.phase) or None,
        "logStreamEndpoint": f"{base}/containers/{name}/logstream",
        "execEndpoint": "",
    }
    return shown


TYPES = (
    ResourceType(
        TYPE,
        put=None,
        show=_show,
        actions={"restart": _restart, "activate": _activate, "deactivate": _deactivate},
    ),
    ResourceType(REPLICAS, put=None, find=_find_replica, listed=_replicas),
)
