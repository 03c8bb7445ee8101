"""Microsoft.App/containerApps/revisions and their replicas: made by an app's template, shown as they run."""

import secrets
from collections.abc import Sequence
from dataclasses import replace

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core import ports
from sidecar.localcloud.core.clock import revision_now
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.resource_id import ResourceId
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources.resource_type import Answer, ArmRequest, ResourceType
from sidecar.localcloud.runtime.app_runtime import AppRuntime
from sidecar.localcloud.runtime.containers import Container
from sidecar.localcloud.runtime.logs import Event
from sidecar.localcloud.runtime.replicas import Replica

TYPE = "Microsoft.App/containerApps/revisions"
REPLICAS = "Microsoft.App/containerApps/revisions/replicas"
SHOWN_TYPE = "Microsoft.App/containerapps/revisions"
"""How Azure spells it, a small letter in the middle."""
_KEPT_INACTIVE = 100


def create_revision(cloud: LocalCloud, app: Resource) -> str:
    """A revision for the app's template as it stands; its name."""
    template: Json = app.properties["template"]
    before = revisions_of(cloud, app)
    suffix = template.get("revisionSuffix") or _next_suffix(app, before)
    name = f"{app.name}--{suffix}"
    runtime = cloud.runtime.app(app.id)
    port = free_port(cloud) if app.properties["configuration"].get("ingress") else None
    properties: Json = {
        "createdTime": revision_now(),
        "fqdn": f"{cloud.runtime.around.ingress_host}:{port}" if port else None,
        "template": {**template, "revisionSuffix": template.get("revisionSuffix") or None},
        "active": True,
    }
    revision_id = f"{app.id}/revisions/{name}"
    body: Json = {"id": revision_id, "name": name, "type": SHOWN_TYPE, "properties": properties}
    private: Json = {"number": 1 + max((each.private["number"] for each in before), default=-1), "port": port}
    cloud.store.put(Resource(revision_id, TYPE, body, private))
    runtime.begin(name)
    _report_creation(runtime, app.name, name, [each.name for each in before])
    _drop_old_revisions(cloud, before)
    return name


def _report_creation(runtime: AppRuntime, app: str, name: str, before: Sequence[str]) -> None:
    """What the platform says within two seconds of the write, before the first pull, whatever becomes of the containers. The
    revision that a creation names as its own is the one before."""
    watch = f"KEDA is starting a watch for revision '{name}' to monitor scale operations for this revision"
    rolled = (
        f"Rolling Transition: Successfully completed rolling over existing to latest revision for containerApp: {app}"
    )
    serving = before[-1] if before else name
    for event in (
        Event("RevisionCreation", f"Creating a new revision: {name}", serving if before else ""),
        Event("KEDAScalersStarted", "Scaler external-push is built", name, source="KEDA"),
        Event("KEDAScalersStarted", watch, name, source="KEDA"),
        Event("RevisionReady", f"Successfully provisioned revision '{name}'", name),
        Event("RevisionUpdate", f"Setting traffic weight of '100%' for revision '{serving}'"),
        Event("RevisionDeactivating", f"Deactivating old revisions for ContainerApp '{app}'"),
        Event("RevisionUpdate", f"Revision '{name}' updated. No new revision was provisioned.", name),
        Event("ContainerAppReady", f"Successfully updated containerApp: {app}"),
        Event("RollingRevisionCompleted", rolled),
    ):
        runtime.report(event)


def revisions_of(cloud: LocalCloud, app: Resource) -> list[Resource]:
    """Oldest first."""
    return cloud.runtime.app(app.id).revisions()


def _drop_old_revisions(cloud: LocalCloud, before: Sequence[Resource]) -> None:
    # maxInactiveRevisions is a wish: ten inactive ones were seen to stay under a limit of two.
    inactive = [revision for revision in before if not revision.properties["active"]]
    for revision in inactive[: max(0, len(inactive) - _KEPT_INACTIVE)]:
        cloud.store.delete(revision.id)


def _next_suffix(app: Resource, before: Sequence[Resource]) -> str:
    """Letters for the first revision, a number of seven digits for each later one."""
    if not before:
        first = secrets.choice("abcdefghijklmnopqrstuvwxyz")
        return first + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(6))
    counted = [int(suffix) for each in before if (suffix := each.name.rpartition("--")[2]).isdigit()]
    return f"{max(counted, default=0) + 1:07}"


def free_port(cloud: LocalCloud) -> int:
    """A port for an ingress: free now, and promised to no other app, label or revision of this cloud."""
    taken = {
        port
        for each in cloud.store
        for port in (each.private.get("port"), *member(each.private, "labelPorts").values())
        if port
    }
    return ports.free_port(cloud.runtime.around.ingress_host, taken)


def _show(cloud: LocalCloud, revision: Resource) -> Json:
    runtime = cloud.runtime.app(_app_id(revision))
    condition = runtime.condition(revision)
    active = bool(revision.properties["active"])
    changed: Json = {
        "active": active,
        "replicas": len(runtime.replicas.get(revision.name, [])),
        "trafficWeight": runtime.intended().get(revision.name, 0),
        "healthState": condition.health,
        "provisioningState": condition.provisioning,
        "runningState": condition.running,
        "runningStateDetails": condition.details,
    }
    if condition.error:
        changed["provisioningError"] = condition.error
    return dict(revision.with_properties(**changed).body)


def _app_id(revision: Resource) -> str:
    return revision.id.split("/revisions/")[0]


def _restart(cloud: LocalCloud, revision: Resource, _request: ArmRequest) -> Answer:
    if not revision.properties["active"]:
        raise invalid(f"Cannot restart revision '{revision.name}' because it is not active.", "RevisionNotActive")
    cloud.runtime.app(_app_id(revision)).restart(revision.name)
    # The real az parses the answer as JSON; the SDK reads nothing.
    return {}


def _activate(cloud: LocalCloud, revision: Resource, _request: ArmRequest) -> Answer:
    if not revision.properties["active"]:
        shown = {name: value for name, value in revision.properties.items() if name != "lastActiveTime"}
        cloud.store.put(replace(revision, body={**revision.body, "properties": {**shown, "active": True}}))
        cloud.runtime.app(_app_id(revision)).begin(revision.name)
    return {}


def _deactivate(cloud: LocalCloud, revision: Resource, _request: ArmRequest) -> Answer:
    cloud.runtime.app(_app_id(revision)).deactivate(revision)
    return {}


def _replicas(cloud: LocalCloud, revision_id: str) -> list[Resource]:
    app_id, _, revision = revision_id.partition("/revisions/")
    found = cloud.store.get(revision_id)
    app = cloud.store.get(app_id)
    if found is None or app is None:
        raise ArmError(404, "RevisionNotFound", f"Revision '{revision}' was not found.")
    group = cloud.runtime.app(app_id).all_replicas(found.name)
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
        "runningStateDetails": "",
        "containers": [_shown_container(base, entry.name, running.get(entry.name)) for entry in template.containers],
        "initContainers": [
            _shown_container(base, entry.name, running.get(entry.name)) for entry in template.init_containers
        ],
    }
    body: Json = {
        "id": f"{revision.id}/replicas/{replica.name}",
        "name": replica.name,
        "type": f"{SHOWN_TYPE}/replicas",
    }
    return Resource(body["id"], REPLICAS, {**body, "properties": properties})


def _shown_container(base: str, name: str, container: Container | None) -> Json:
    sockets = base.replace("https:", "wss:").replace("http:", "ws:")
    shown: Json = {
        "name": name,
        "ready": bool(container and container.ready),
        "started": bool(container and container.started),
        "restartCount": container.restarts if container else 0,
        "runningState": container.state if container else "Waiting",
        "runningStateDetails": container.details if container else "",
        "logStreamEndpoint": f"{base}/containers/{name}/logstream",
        "execEndpoint": f"{sockets}/containers/{name}/exec",
        "debugEndpoint": f"{sockets}/debug?targetContainer={name}",
    }
    if container and container.pid and container.id:
        shown["containerId"] = f"containerd://{container.id}"
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
