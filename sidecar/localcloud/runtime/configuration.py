"""A container app's configuration and template as frozen values, read from the JSON that the rules have let through."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sidecar.localcloud.core.fields import Json, member, objects, strings
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.runtime.images import Credential
from sidecar.localcloud.runtime.probes import Probe, declared_probes
from sidecar.localcloud.runtime.scaling import Mode, Scale, Traffic, scale_of, traffic_of


@dataclass(frozen=True)
class IngressConfiguration:
    target_port: int | None
    traffic: tuple[Traffic, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(entry.label for entry in self.traffic if entry.label)


@dataclass(frozen=True)
class RegistryLogin:
    server: str
    secret: str
    """Name of the app's secret that holds the password."""
    identity: str = ""


@dataclass(frozen=True)
class Configuration:
    mode: Mode
    ingress: IngressConfiguration | None
    """None: nobody reaches the app."""
    registries: tuple[RegistryLogin, ...] = ()

    @property
    def traffic(self) -> tuple[Traffic, ...]:
        return self.ingress.traffic if self.ingress else ()


@dataclass(frozen=True)
class AppRecord:
    """A container app as the store holds it, what only the cloud may read included."""

    id: str
    name: str
    environment: str
    """Id of the environment that it runs in."""
    configuration: Configuration
    secrets: Mapping[str, str]
    port: int | None
    """Of its ingress on this machine."""
    label_ports: Mapping[str, int]
    stopped: bool
    accepted: bool
    """Whether a write of it was ever carried out."""

    @property
    def target_port(self) -> int | None:
        return self.configuration.ingress.target_port if self.configuration.ingress else None

    @property
    def credentials(self) -> tuple[Credential, ...]:
        """What it presents to registries."""
        logins = self.configuration.registries
        return tuple(Credential(each.server, self.secrets.get(each.secret, ""), each.identity) for each in logins)


def app_of(app: Resource) -> AppRecord:
    return AppRecord(
        id=app.id,
        name=app.name,
        environment=str(app.properties.get("managedEnvironmentId") or ""),
        configuration=configuration_of(app.properties["configuration"]),
        secrets=member(app.private, "secrets"),
        port=app.private.get("port"),
        label_ports=member(app.private, "labelPorts"),
        stopped=bool(app.private.get("stopped")),
        accepted=bool(app.private.get("accepted")),
    )


@dataclass(frozen=True)
class Variable:
    """An environment variable: its value, or the name of the secret that holds it."""

    name: str
    value: str
    secret: str | None


@dataclass(frozen=True)
class Mount:
    volume: str
    path: str
    sub_path: str


@dataclass(frozen=True)
class SecretFile:
    secret: str
    path: str


@dataclass(frozen=True)
class Volume:
    name: str
    kind: str
    """As it is stated; one that is not known is refused when it is mounted."""
    storage: str
    """The environment's storage that a share is mounted by."""
    secrets: tuple[SecretFile, ...]
    """None listed: every secret of the app, in a file of its own name."""
    options: tuple[str, ...] = ()
    """For the mount command."""


@dataclass(frozen=True)
class ContainerTemplate:
    name: str
    image: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    variables: tuple[Variable, ...]
    mounts: tuple[Mount, ...]
    probes: tuple[Probe, ...]
    """Those that it declares."""


@dataclass(frozen=True)
class Template:
    suffix: str
    """Of the revision's name; empty where the platform chooses one."""
    grace: float
    containers: tuple[ContainerTemplate, ...]
    init_containers: tuple[ContainerTemplate, ...]
    volumes: tuple[Volume, ...]
    scale: Scale


def configuration_of(configuration: Json) -> Configuration:
    mode = cast("Mode", str(configuration.get("activeRevisionsMode") or "single").lower())
    ingress = None if configuration.get("ingress") is None else _ingress(member(configuration, "ingress"))
    logins = tuple(
        RegistryLogin(
            str(entry.get("server") or "").lower(),
            str(entry.get("passwordSecretRef") or ""),
            str(entry.get("identity") or ""),
        )
        for entry in objects(configuration, "registries")
    )
    return Configuration(mode, ingress, logins)


def template_of(template: Json) -> Template:
    grace = template.get("terminationGracePeriodSeconds")
    return Template(
        suffix=str(template.get("revisionSuffix") or ""),
        grace=30 if grace is None else float(grace),
        containers=tuple(_container(entry) for entry in objects(template, "containers")),
        init_containers=tuple(_container(entry) for entry in objects(template, "initContainers")),
        volumes=tuple(_volume(entry) for entry in objects(template, "volumes")),
        scale=scale_of(template),
    )


def _ingress(ingress: Json) -> IngressConfiguration:
    traffic = tuple(traffic_of(entry) for entry in objects(ingress, "traffic"))
    return IngressConfiguration(ingress.get("targetPort"), traffic)


def _container(entry: Json) -> ContainerTemplate:
    return ContainerTemplate(
        name=str(entry.get("name")),
        image=str(entry.get("image") or ""),
        command=tuple(strings(entry, "command")),
        arguments=tuple(strings(entry, "args")),
        variables=tuple(_variable(each) for each in objects(entry, "env")),
        mounts=tuple(_mount(each) for each in objects(entry, "volumeMounts")),
        probes=declared_probes(entry),
    )


def _variable(entry: Json) -> Variable:
    return Variable(str(entry.get("name")), str(entry.get("value") or ""), _text(entry.get("secretRef")))


def _mount(entry: Json) -> Mount:
    relative = str(entry.get("subPath") or "").strip("/")
    return Mount(str(entry.get("volumeName")), str(entry.get("mountPath")), relative)


def _volume(entry: Json) -> Volume:
    return Volume(
        name=str(entry.get("name")),
        kind=str(entry.get("storageType") or "EmptyDir"),
        storage=str(entry.get("storageName") or ""),
        secrets=tuple(_secret_file(each) for each in objects(entry, "secrets")),
        options=tuple(each for each in re.split(r"[,\s]+", str(entry.get("mountOptions") or "")) if each),
    )


def _secret_file(entry: Json) -> SecretFile:
    secret = str(entry.get("secretRef"))
    return SecretFile(secret, str(entry.get("path") or secret))


def _text(value: Any) -> str | None:
    return str(value) if value else None
