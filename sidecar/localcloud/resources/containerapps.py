"""Microsoft.App/containerApps: PUT, PATCH, secrets, start and stop; a changed template makes a revision."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.subscriptions import normal_location
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, as_list, as_object, member, objects
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources.containerapps_check import check_app, chosen_profile
from sidecar.localcloud.resources.containerapps_rules import (
    check_app_name,
    checked_configuration,
    checked_template,
    repeats_a_variable,
    require_secret_values,
    secret_values,
)
from sidecar.localcloud.resources.resource_type import (
    Answer,
    ArmRequest,
    Change,
    Finish,
    ResourceType,
    tracked_body,
)
from sidecar.localcloud.resources.revisions import create_revision, free_port, revisions_of
from sidecar.localcloud.runtime.configuration import Configuration, app_of, template_of
from sidecar.localcloud.runtime.images import refusal
from sidecar.localcloud.runtime.scaling import traffic_problem

TYPE = "Microsoft.App/containerApps"
Step = Literal["new-revision", "same-revision"]


def _put(cloud: LocalCloud, request: ArmRequest) -> Change:
    check_app_name(request.id.name)
    old = cloud.store.get(request.id.text)
    _refuse_while_busy(old)
    given = member(request.body, "properties")
    # A PUT states everything: values that a GET does not show are not kept, as a PATCH keeps them.
    require_secret_values(member(given, "configuration"))
    return _write(cloud, request, old, given)


def _patch(cloud: LocalCloud, app: Resource, request: ArmRequest) -> Change:
    _refuse_while_busy(app)
    stated: Json = {name: app.properties[name] for name in _STATED if app.properties.get(name) is not None}
    return _write(cloud, request, app, merge_patch(stated, member(request.body, "properties")))


_STATED = ("managedEnvironmentId", "environmentId", "workloadProfileName", "configuration", "template")


def merge_patch(target: Any, patch: Any) -> Any:
    """JSON merge patch: objects are merged, null removes, everything else (lists too) is replaced."""
    changes = as_object(patch)
    if changes is None:
        return patch
    merged = {**(as_object(target) or {})}
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _write(cloud: LocalCloud, request: ArmRequest, old: Resource | None, given: Json) -> Change:
    environment = _environment(cloud, given, old)
    profile_name, room = chosen_profile(cloud.settings.profiles, dict(environment.body), given)
    configuration: Json = member(given, "configuration")
    template: Json = member(given, "template")
    asked = checked_configuration(configuration)
    values = secret_values(configuration, (member(old.private, "secrets")) if old else {})
    suffix = checked_template(request.id.name, template, list(values), room).suffix
    ingress = asked.ingress
    made = revisions_of(cloud, old) if old else []
    names = [revision.name for revision in made]
    if ingress and (problem := traffic_problem(ingress.traffic, names)):
        raise invalid(problem, "ContainerAppInvalidTraffic", "configuration.ingress.traffic")
    # Against the newest revision's, not the app's: a write that failed left its template there and made no revision.
    changed = not made or _meant(template) != _meant(made[-1].properties["template"])
    changed = changed and not repeats_a_variable(template)
    if changed and suffix and f"{request.id.name}--{suffix}" in names:
        raise invalid(f"The revision suffix '{suffix}' is already in use.", "ContainerAppRevisionSuffixInUse")
    private: Json = {
        **(old.private if old else {}),
        "secrets": values,
        "port": (old.private.get("port") if old else None) or free_port(cloud),
        "accepted": bool(old and old.private.get("accepted")),
    }
    private["labelPorts"] = _label_ports(cloud, ingress.labels if ingress else (), member(private, "labelPorts"))
    properties: Json = {
        "provisioningState": "InProgress",
        "runningStatus": old.properties.get("runningStatus", "Running") if old else "Running",
        "managedEnvironmentId": environment.id,
        "environmentId": environment.id,
        "workloadProfileName": profile_name,
        "outboundIpAddresses": ["127.0.0.1"],
        "latestRevisionName": (old.properties.get("latestRevisionName") or "") if old else "",
        "customDomainVerificationId": environment.properties["customDomainConfiguration"]["customDomainVerificationId"],
        "configuration": _shown_configuration(cloud, configuration, asked, private),
        "template": _shown_template(template),
        "eventStreamEndpoint": f"{cloud.endpoints.data}{request.id.scope}/containerApps/{request.id.name}/eventstream",
        "delegatedIdentities": [],
        "patchingMode": "Automatic",
    }
    body = tracked_body(request, old, properties, utc_now(), {"identity": _identity(cloud, request, old)})
    location = normal_location(cloud, body.get("location") or environment.body["location"])
    body["location"] = cloud.settings.locations.get(location, location)
    resource = cloud.store.put(Resource(body["id"], TYPE, body, private))
    step = "new-revision" if changed else "same-revision"
    return Change(resource, old is None, lambda: _finish(cloud, resource.id, step))


async def _finish(cloud: LocalCloud, app_id: str, step: Step) -> None:
    """The rest of a PUT: the images asked for, the revision, where the template changed, and the app at work. Only what is looked
    at here fails a write; what becomes of the containers does not."""
    times = cloud.settings.times
    await cloud.pass_time(times.platform(times.write))
    app = cloud.store.get(app_id)
    if app is None:
        return
    problem = _refused_image(cloud, app) if step == "new-revision" else None
    if problem:
        cloud.store.put(app.with_properties(provisioningState="Failed"))
        cloud.runtime.app(app_id).wake()
        raise problem
    app = cloud.store.put(replace(app, private={**app.private, "accepted": True}))
    if step == "new-revision":
        name = create_revision(cloud, app)
        app = (cloud.store.get(app_id) or app).with_properties(latestRevisionName=name)
    cloud.store.put(app.with_properties(provisioningState="Succeeded"))
    cloud.runtime.app(app_id).wake()


def _refused_image(cloud: LocalCloud, app: Resource) -> ArmError | None:
    credentials = app_of(app).credentials
    wrong = [
        f"Field 'template.containers.{entry.name}.image' is invalid with details: 'Invalid value: \"{entry.image}\": "
        f"{refused.text}';.."
        for entry in template_of(app.properties["template"]).containers
        if (refused := refusal(cloud.settings, entry.image, credentials))
    ]
    if not wrong:
        return None
    return ArmError(
        400,
        "ContainerAppOperationError",
        f"Failed to provision revision for container app '{app.name}'. Error details: The following field(s) are either "
        f"invalid or missing. {' '.join(wrong)}",
    )


def _resume(cloud: LocalCloud, app: Resource) -> Finish | None:
    """After a restart of the cloud: the app runs again, and a PUT that was cut off is finished."""
    cloud.runtime.app(app.id)
    if app.properties["provisioningState"] in ("Succeeded", "Failed"):
        return None
    newest = revisions_of(cloud, app)[-1:]
    same = bool(newest) and _meant(newest[0].properties["template"]) == _meant(app.properties["template"])
    same = same or repeats_a_variable(app.properties["template"])
    return lambda: _finish(cloud, app.id, "same-revision" if same else "new-revision")


def _refuse_while_busy(old: Resource | None) -> None:
    if old and old.properties["provisioningState"] not in ("Succeeded", "Failed", "Canceled"):
        raise ArmError(
            409,
            "ContainerAppOperationInProgress",
            f"Cannot modify a container app '{old.name}' because there is another operation in progress. Details: Please try "
            "again after the current operation completes.",
        )


def _environment(cloud: LocalCloud, given: Json, old: Resource | None) -> Resource:
    stated = given.get("managedEnvironmentId") or given.get("environmentId")
    if not stated:
        raise invalid("The container app must have a managedEnvironmentId.", "ContainerAppManagedEnvironmentIdRequired")
    found = cloud.store.get(str(stated))
    if found is None or found.type != "Microsoft.App/managedEnvironments":
        raise invalid(
            f"The environment '{stated}' was not found.", "ManagedEnvironmentNotFound", "managedEnvironmentId"
        )
    if old and str(old.properties["managedEnvironmentId"]).lower() != found.key:
        raise invalid("The environment of a container app cannot be changed.", "ContainerAppEnvironmentCannotBeChanged")
    if found.properties["provisioningState"] not in ("Succeeded", "InfrastructureSetupInProgress"):
        raise invalid(
            f"Environment '{found.name}' is not ready: its state is '{found.properties['provisioningState']}'.",
            "ManagedEnvironmentNotReadyForAppCreation",
        )
    return found


def _identity(cloud: LocalCloud, request: ArmRequest, old: Resource | None) -> Json:
    """The app's identity, with the ids of the user-assigned ones."""
    stated: Json = request.body.get("identity") or (old.body.get("identity") if old else None) or {"type": "None"}
    assigned: Json = member(stated, "userAssignedIdentities")
    if not assigned:
        return stated
    found = {each: cloud.store.get(each) for each in assigned}
    shown = {
        each: {name: identity.properties.get(name) for name in ("principalId", "clientId")} if identity else {}
        for each, identity in found.items()
    }
    return {**stated, "userAssignedIdentities": shown}


def _meant(template: Json) -> Json:
    """A template without what was only filled in: two that mean the same are equal."""
    return _without_empty({**_shown_template(template)})


def _without_empty(value: Any) -> Any:
    if (entries := as_object(value)) is not None:
        return {name: _without_empty(item) for name, item in entries.items() if item not in (None, "", [], {})}
    if (items := as_list(value)) is not None:
        return [_without_empty(item) for item in items]
    return value


def _disk(resources: Json) -> str:
    """By the cores, as documented; what a GPU profile has reads empty."""
    cores = float(resources.get("cpu", 0.5))
    if cores > 4:
        return ""
    return next(size for limit, size in ((0.25, "1Gi"), (0.5, "2Gi"), (1, "4Gi"), (4, "8Gi")) if cores <= limit)


def _shown_template(template: Json) -> Json:
    """The template as an answer has it: every key that was given, also those that only Azure knows, and what is filled in."""
    scale: Json = member(template, "scale")
    containers = [
        {
            **container,
            "resources": {
                "cpu": member(container, "resources").get("cpu", 0.5),
                "memory": member(container, "resources").get("memory", "1Gi"),
                **({"gpu": container["resources"]["gpu"]} if member(container, "resources").get("gpu") else {}),
                "ephemeralStorage": _disk(member(container, "resources")),
            },
            "imageType": "ContainerImage",
        }
        for container in objects(template, "containers")
    ]
    return {
        "revisionSuffix": template.get("revisionSuffix") or "",
        "terminationGracePeriodSeconds": template.get("terminationGracePeriodSeconds"),
        "containers": containers,
        "initContainers": template.get("initContainers"),
        "scale": {
            "minReplicas": scale.get("minReplicas") or 0,
            "maxReplicas": scale.get("maxReplicas") or 10,
            "cooldownPeriod": 300 if scale.get("cooldownPeriod") is None else scale["cooldownPeriod"],
            "pollingInterval": 30 if scale.get("pollingInterval") is None else scale["pollingInterval"],
            "rules": scale.get("rules"),
        },
        "volumes": template.get("volumes"),
        "serviceBinds": template.get("serviceBinds"),
    }


def _shown_configuration(cloud: LocalCloud, given: Json, asked: Configuration, private: Json) -> Json:
    """The configuration as an answer has it: what was given, what is filled in, and no secret's value."""
    shown_ingress: Json | None = None
    if asked.ingress is not None:
        ingress = member(given, "ingress")
        traffic: list[Json] = ingress.get("traffic") or [{"weight": 100, "latestRevision": True}]
        shown_ingress = {
            "external": bool(ingress.get("external")),
            "targetPort": asked.ingress.target_port or 80,
            "targetPortHttpScheme": ingress.get("targetPortHttpScheme"),
            "exposedPort": ingress.get("exposedPort") or 0,
            "transport": str(ingress.get("transport") or "Auto").capitalize(),
            "traffic": traffic,
            "customDomains": ingress.get("customDomains"),
            "allowInsecure": bool(ingress.get("allowInsecure")),
            "ipSecurityRestrictions": ingress.get("ipSecurityRestrictions"),
            "corsPolicy": ingress.get("corsPolicy"),
            "clientCertificateMode": ingress.get("clientCertificateMode"),
            "stickySessions": ingress.get("stickySessions"),
            "additionalPortMappings": ingress.get("additionalPortMappings"),
            "fqdn": f"{cloud.runtime.around.ingress_host}:{private['port']}",
        }
    kept: list[Json] = objects(given, "secrets")
    return {
        "secrets": [{n: v for n, v in secret.items() if n != "value"} for secret in kept]
        if private["secrets"]
        else None,
        "activeRevisionsMode": asked.mode.capitalize(),
        "ingress": shown_ingress,
        "registries": [
            {"username": "", "passwordSecretRef": "", "identity": "", **registry}
            for registry in objects(given, "registries")
        ]
        or None,
        "dapr": given.get("dapr"),
        "runtime": given.get("runtime"),
        "maxInactiveRevisions": given.get("maxInactiveRevisions") or 100,
        "service": given.get("service"),
        "identitySettings": objects(given, "identitySettings"),
        "revisionTransitionThreshold": given.get("revisionTransitionThreshold"),
        "targetLabel": given.get("targetLabel") or "",
    }


def _label_ports(cloud: LocalCloud, labels: Sequence[str], before: Mapping[str, int]) -> dict[str, int]:
    return {label: before.get(label) or free_port(cloud) for label in labels}


def _show(cloud: LocalCloud, app: Resource) -> Json:
    """What the store holds, with what only the running app knows."""
    runtime = cloud.runtime.app(app.id)
    record = app_of(app)
    revisions = revisions_of(cloud, app)
    # "Ready" is whatever was provisioned, and that says nothing of the containers.
    provisioned = [each.name for each in revisions if runtime.condition(each).provisioning == "Provisioned"]
    latest = next((each for each in revisions if each.name == app.properties.get("latestRevisionName")), None)
    shown = app.with_properties(
        latestReadyRevisionName=provisioned[-1] if provisioned else "",
        latestRevisionName=latest.name if latest else "",
        latestRevisionFqdn=(latest.properties["fqdn"] or "") if latest else "",
        runningStatus="Stopped" if record.stopped else "Running",
    )
    refused = app.properties["provisioningState"] == "Failed" and not record.accepted
    return dict(_never_accepted(shown).body if refused else shown.body)


def _never_accepted(app: Resource) -> Resource:
    """An app of which no write was ever carried out has no address and no events."""
    configuration: Json = app.properties["configuration"]
    ingress: Json | None = configuration.get("ingress")
    if ingress is not None:
        ingress = {**ingress, **dict.fromkeys(("fqdn", "traffic", "transport", "exposedPort"))}
    properties = {name: value for name, value in app.properties.items() if name != "eventStreamEndpoint"}
    nothing: Json = dict.fromkeys(("latestRevisionName", "latestReadyRevisionName", "latestRevisionFqdn"))
    shown = {**properties, **nothing, "configuration": {**configuration, "ingress": ingress}}
    return replace(app, body={**app.body, "properties": shown})


def _remove(cloud: LocalCloud, app: Resource) -> Finish | None:
    return lambda: cloud.runtime.remove(app.id)


def _list_secrets(_cloud: LocalCloud, app: Resource, _request: ArmRequest) -> Answer:
    return {"value": [{"name": name, "value": value} for name, value in app_of(app).secrets.items()]}


def _stop(cloud: LocalCloud, app: Resource, _request: ArmRequest) -> Answer:
    return _switched(cloud, app, "stopped")


def _start(cloud: LocalCloud, app: Resource, _request: ArmRequest) -> Answer:
    return _switched(cloud, app, "started")


def _switched(cloud: LocalCloud, app: Resource, to: Literal["started", "stopped"]) -> Change:
    _refuse_while_busy(app)
    stored = cloud.store.put(replace(app, private={**app.private, "stopped": to == "stopped"}))
    runtime = cloud.runtime.app(app.id)
    for revision in revisions_of(cloud, app) if to == "started" else []:
        runtime.begin(revision.name)

    async def finish() -> None:
        runtime.wake()

    return Change(stored, finish=finish)


def _auth_token(cloud: LocalCloud, app: Resource, _request: ArmRequest) -> Answer:
    token, expires = cloud.data_token(app.id)
    kept = {name: value for name, value in app.body.items() if name in ("id", "name", "type", "location")}
    return {**kept, "properties": {"token": token, "expires": expires}}


TYPES = (
    ResourceType(
        TYPE,
        _put,
        check=check_app,
        check_name=check_app_name,
        show=_show,
        patch=_patch,
        remove=_remove,
        resume=_resume,
        actions={
            "listsecrets": _list_secrets,
            "start": _start,
            "stop": _stop,
            "getauthtoken": _auth_token,
        },
        style="azure-async",
    ),
)
