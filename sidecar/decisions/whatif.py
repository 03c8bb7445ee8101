"""What ARM says that a deployment would change, without what it cries wolf about. Pure.

ARM's what-if compares a template with what the provider reads back, and calls many a default "deleted". Each entry of NOISE is
one such kind, with its reason and where it was seen; everything else stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast


@dataclass(frozen=True)
class Delta:
    """One property that changes. `kind`: Create, Delete, Modify, NoEffect. `path`: with positions in arrays, as in
    `properties.template.containers[0].image`."""

    path: str
    kind: str
    before: object = None
    after: object = None


@dataclass(frozen=True)
class ResourceChange:
    """`kind`: Create, Modify, Delete, Deploy, NoChange, Ignore, Unsupported. `type`: in lower case."""

    id: str
    type: str
    kind: str
    deltas: tuple[Delta, ...] = ()

    @property
    def name(self) -> str:
        return self.id.rpartition("/")[2]


ANY: tuple[object, ...] | None = None
"""As the values of noise: whichever is there."""

PLATFORMS_OWN = frozenset({"customDomainVerificationId"})
"""Members that the platform writes into what is empty otherwise."""


def empty(value: object) -> bool:
    if isinstance(value, dict):
        return all(empty(each) or name in PLATFORMS_OWN for name, each in cast("dict[str, object]", value).items())
    return value in (None, "", [])


@dataclass(frozen=True)
class Noise:
    """Changes that mean nothing: of these types, at these paths, of these kinds, where what is there now is empty or one of
    these values."""

    name: str
    types: str
    path: str
    values: tuple[object, ...] | None
    reason: str
    source: str
    kinds: tuple[str, ...] = ("Delete",)

    def covers(self, type_name: str, delta: Delta) -> bool:
        return (
            delta.kind in self.kinds
            and (self.values is None or empty(delta.before) or delta.before in self.values)
            and re.fullmatch(self.types, type_name) is not None
            and re.fullmatch(self.path, delta.path) is not None
        )


_APP = r"microsoft\.app/containerapps"
_ENVIRONMENT = r"microsoft\.app/managedenvironments(/storages)?"
_CONTAINER = r"properties\.template\.(?:initContainers|containers)\[\d+\]"
_DEFAULT = "The template leaves it to its default, and the default is what is there."
_READ = "Azure/arm-template-whatif#331; defaults as they were read back from real apps"


def _default(types: str, path: str, *values: object) -> Noise:
    return Noise(f"default of {path}", types, path, values, _DEFAULT, _READ)


NOISE: tuple[Noise, ...] = (
    Noise(
        "what the platform alone writes",
        r"microsoft\.(app|storage|operationalinsights)/.*",
        r"properties\.(runningStatus|outboundIpAddresses|provisioningState|deploymentErrors|latest\w*|eventStreamEndpoint|"
        r"customDomainVerificationId|staticIp|defaultDomain|(keda|dapr)Configuration|primaryEndpoints|statusOf\w+|configuration\.ingress\.fqdn)"
        r"([.\[].*)?",
        ANY,
        "Read-only: no template can state it, and no deployment removes it.",
        "Azure/arm-template-whatif#286 (outboundIpAddresses), #331 (runningStatus)",
    ),
    Noise(
        "values of secrets",
        r"microsoft\.app/(containerapps|managedenvironments(/storages)?)",
        r"properties\.(configuration\.secrets\[\d+\]\.value|azureFile\.accountKey|"
        r"appLogsConfiguration\.logAnalyticsConfiguration\.sharedKey)",
        ANY,
        "No read gives the value, so it always reads as new.",
        "container apps read back without secret values (microsoft/azure-container-apps#654)",
        ("Modify", "Create", "Delete"),
    ),
    Noise(
        "the disk of a container",
        _APP,
        _CONTAINER + r"\.resources\.(ephemeralStorage|gpu)",
        ANY,
        "It follows from cores and profile; a template can't state it.",
        _READ,
    ),
    _default(_APP, r"properties\.configuration\.maxInactiveRevisions", 100),
    _default(
        _APP,
        r"properties\.(delegatedIdentities|configuration\.(targetLabel|revisionTransitionThreshold|dapr|runtime|service|"
        r"identitySettings|registries|secrets))",
    ),
    _default(_APP, r"properties\.configuration\.ingress\.transport", "Auto", "auto"),
    _default(_APP, r"properties\.configuration\.ingress\.exposedPort", 0),
    _default(_APP, r"properties\.configuration\.ingress\.clientCertificateMode", "Ignore", "ignore"),
    _default(_APP, r"properties\.configuration\.ingress\.(allowInsecure|external)", False),
    _default(
        _APP,
        r"properties\.configuration\.ingress\.(customDomains|additionalPortMappings|corsPolicy|ipSecurityRestrictions|"
        r"stickySessions|targetPortHttpScheme)",
    ),
    _default(_APP, r"properties\.(patchingConfiguration\.)?patchingMode", "Automatic"),
    _default(_APP, r"properties\.patchingConfiguration", {"patchingMode": "Automatic"}),
    _default(
        _APP,
        r"properties\.template\.(revisionSuffix|serviceBinds|initContainers|volumes|terminationGracePeriodSeconds|"
        r"customizedKeys|scale\.rules|volumes\[\d+\]\.(mountOptions|secrets))",
    ),
    _default(_APP, r"properties\.template\.scale\.pollingInterval", 30),
    _default(_APP, r"properties\.template\.scale\.cooldownPeriod", 300),
    _default(_APP, r"properties\.template\.scale\.minReplicas", 0),
    _default(_APP, r"properties\.template\.scale\.maxReplicas", 10),
    _default(_APP, _CONTAINER + r"\.imageType", "ContainerImage"),
    _default(_APP, _CONTAINER + r"\.(probes|env|args|command|volumeMounts|volumeMounts\[\d+\]\.subPath)"),
    _default(
        _ENVIRONMENT,
        r"properties\.(customDomainConfiguration|vnetConfiguration|openTelemetryConfiguration|appInsightsConfiguration|"
        r"infrastructureResourceGroup|daprAI\w+)([.\[].*)?",
    ),
    _default(
        _ENVIRONMENT, r"properties\.(zoneRedundant|peer\w+\..*[eE]nabled|workloadProfiles\[\d+\]\.enableFips)", False
    ),
    _default(_ENVIRONMENT, r"properties\.publicNetworkAccess", "Enabled"),
    _default(
        _ENVIRONMENT,
        r"properties\.(peerAuthentication|peerTrafficConfiguration)",
        {"mtls": {"enabled": False}},
        {"encryption": {"enabled": False}},
    ),
)
"""A default that is not the default any more is no noise: the deployment would put it back."""


def changes_of(said: Sequence[Mapping[str, Any]]) -> tuple[ResourceChange, ...]:
    """ARM's list, sorted by resource."""
    found = [
        ResourceChange(
            str(each.get("resourceId", "")),
            type_of(str(each.get("resourceId", ""))),
            str(each.get("changeType", "")),
            flattened(each.get("delta") or ()),
        )
        for each in said
    ]
    return tuple(sorted(found, key=lambda each: each.id.lower()))


def type_of(resource_id: str) -> str:
    """`…/providers/Microsoft.A/b/name/c/name` → `microsoft.a/b/c`."""
    namespace, *rest = resource_id.lower().rpartition("/providers/")[2].split("/")
    return "/".join([namespace, *rest[::2]])


def flattened(deltas: Iterable[Mapping[str, Any]], within: str = "") -> tuple[Delta, ...]:
    """The tree that ARM gives, with every leaf at its whole path. An array's children are named by their positions."""
    found: list[Delta] = []
    for each in deltas:
        at = _at(within, str(each.get("path", "")))
        children = each.get("children")
        if children:
            found += flattened(children, at)
        else:
            found.append(Delta(at, str(each.get("propertyChangeType", "")), each.get("before"), each.get("after")))
    return tuple(found)


def _at(within: str, path: str) -> str:
    if path.isdigit():
        return f"{within}[{path}]"
    return f"{within}.{path}" if within else path


def meant(changes: Sequence[ResourceChange]) -> tuple[ResourceChange, ...]:
    """Without noise. A resource of which nothing is left does not change."""
    return tuple(_without(each) for each in changes)


def _without(change: ResourceChange) -> ResourceChange:
    if change.kind != "Modify":
        return change
    left = tuple(each for each in change.deltas if each.kind != "NoEffect" and noise_of(change.type, each) is None)
    return replace(change, kind="Modify" if left else "NoChange", deltas=left)


def noise_of(type_name: str, delta: Delta) -> Noise | None:
    return next((each for each in NOISE if each.covers(type_name.lower(), delta)), None)


def tells(change: ResourceChange) -> bool:
    """Whether it is more than a resource that comes to be, or stays."""
    return change.kind in ("Modify", "Delete", "Unsupported")


IMMUTABLE = (
    (r"microsoft\.app/containerapps", r"properties\.(managedE|e)nvironmentId"),
    (
        r"microsoft\.app/managedenvironments",
        r"properties\.(vnetConfiguration.*|zoneRedundant|infrastructureResourceGroup)",
    ),
    (
        r"microsoft\.storage/storageaccounts",
        r"(kind|properties\.(isHnsEnabled|isNfsV3Enabled|encryption\.requireInfra\w*))",
    ),
    (r".*", r"(location|name|type)"),
)
"""What can't change in a resource that is there: such a deployment is refused, or the resource made anew."""


def risky(changes: Sequence[ResourceChange]) -> tuple[str, ...]:
    """What wants a consent of its own: resources and members that go, and members that can't change. A sentence's arguments."""
    found: list[str] = []
    for change in changes:
        if change.kind == "Delete":
            found.append(change.id)
        found += [f"{change.id} {each.path}" for each in change.deltas if each.kind == "Delete" or _fixed(change, each)]
    return tuple(found)


def _fixed(change: ResourceChange, delta: Delta) -> bool:
    if delta.kind != "Modify":
        return False
    return any(re.fullmatch(kind, change.type.lower()) and re.fullmatch(path, delta.path) for kind, path in IMMUTABLE)
