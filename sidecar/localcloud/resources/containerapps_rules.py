"""What Azure refuses in a container app before anything runs. Pure: JSON in, frozen values or ArmError out."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, member, objects, strings
from sidecar.localcloud.core.settings import Profile
from sidecar.localcloud.runtime.configuration import Configuration, Template, configuration_of, template_of
from sidecar.localcloud.runtime.probes import probe_problem

_APP_NAME = re.compile(r"^[a-z](?!.*--)[-a-z0-9]{0,30}[a-z0-9]$")
_CONTAINER_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SECRET_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_SUFFIX = re.compile(r"^[a-z0-9](?!.*--)([-a-z0-9]*[a-z0-9])?$")
_MEMORY = re.compile(r"^(\d+(?:\.\d+)?)Gi$")


def check_app_name(name: str) -> None:
    if not _APP_NAME.match(name):
        raise invalid(
            f"Invalid ContainerApp name '{name}'. A name must consist of lower case alphanumeric characters or '-', start with "
            "an alphabetic character, and end with an alphanumeric character and cannot have '--'. The length must not be more "
            "than 32 characters.",
            "ContainerAppInvalidName",
        )


@dataclass(frozen=True)
class Room:
    """What all containers of a replica may take together: a workload profile type."""

    kind: str
    cores: int
    memory: int
    """GiB"""
    stepped: bool
    """Only CPU and memory in the fixed steps of plain Consumption."""


PLAIN = Room("Consumption", 4, 8, stepped=True)


def room_of(kind: str, profile: Profile | None) -> Room:
    """None is the plain Consumption profile, also of an environment that has no profiles."""
    return Room(kind, profile.cores, profile.memory, profile.category == "Consumption") if profile else PLAIN


def repeats_a_variable(template: Json) -> bool:
    """Whether a container states an environment variable twice: Azure takes the write, and makes no revision of it."""
    return any(
        len(names) != len(set(names))
        for container in objects(template, "containers")
        if (names := [str(variable.get("name")) for variable in objects(container, "env")])
    )


def checked_template(app: str, template: Json, secrets: Sequence[str], room: Room) -> Template:
    """Containers, resources, probes, volumes, scale of the app of that name, in the room that its profile gives it."""
    containers = objects(template, "containers")
    if not containers:
        raise invalid(
            "The container app must have at least one container.", "ContainerAppContainerRequired", "containers"
        )
    names = [str(container.get("name")) for container in containers]
    if len(set(names)) != len(names):
        raise invalid("Container names must be unique.", "ContainerAppDuplicateContainerName")
    for container in [*containers, *objects(template, "initContainers")]:
        _check_container(app, container, secrets, template)
    _check_resources(containers, room)
    _check_scale(member(template, "scale"))
    suffix = template.get("revisionSuffix")
    if suffix and not _SUFFIX.match(str(suffix)):
        raise invalid(f"Invalid revision suffix '{suffix}'.", "ContainerAppInvalidRevisionSuffix", "revisionSuffix")
    grace = template.get("terminationGracePeriodSeconds")
    if grace is not None and (type(grace) is not int or grace < 0):
        raise invalid(
            f"terminationGracePeriodSeconds '{grace}' must not be negative.", target="terminationGracePeriodSeconds"
        )
    return template_of(template)


def _check_container(app: str, container: Json, secrets: Sequence[str], template: Json) -> None:
    name = str(container.get("name") or "")
    if not _CONTAINER_NAME.match(name):
        raise invalid(f"Invalid container name '{name}'.", "ContainerAppInvalidContainerName")
    if not container.get("image"):
        raise invalid(
            f"Container with name '{name}' must have an 'Image' property specified.",
            "ContainerAppImageRequired",
            f"template.containers.{name}.image",
        )
    for part in ("command", "args"):
        strings(container, part)
    for variable in objects(container, "env"):
        if not variable.get("name"):
            raise invalid(
                f"Container '{name}' has an environment variable without a name.", "ContainerAppInvalidEnvVarName"
            )
        reference = variable.get("secretRef")
        if reference and reference not in secrets:
            raise invalid(
                f"SecretRef '{reference}' defined for container '{name}' not found.", "ContainerAppSecretRefNotFound"
            )
    kinds = [entry.get("type") for entry in objects(container, "probes")]
    if len(set(kinds)) != len(kinds):
        raise invalid(f"Container '{name}' has two probes of one type.", "ContainerAppProbeInvalid")
    for entry in objects(container, "probes"):
        if problem := probe_problem(entry):
            code, said = problem
            raise invalid(f"Container '{name}' {said}", code)
    volumes = {volume.get("name") for volume in objects(template, "volumes")}
    for mount in objects(container, "volumeMounts"):
        if mount.get("volumeName") not in volumes:
            raise invalid(
                f"Volume '{mount.get('volumeName')}' to mount doesn't defined in the Container App '{app}'.",
                "ContainerAppInvalidVolumeMount",
            )
        if not str(mount.get("mountPath") or "").startswith("/"):
            raise invalid(f"mountPath '{mount.get('mountPath')}' must be absolute.", "ContainerAppInvalidMountPath")
        if str(mount.get("subPath") or "").startswith("/"):
            raise invalid(f"subPath '{mount.get('subPath')}' must be relative.", "ContainerAppInvalidSubPath")


def _check_resources(containers: Sequence[Json], room: Room) -> None:
    cpu = memory = 0.0
    for container in containers:
        resources: Json = member(container, "resources")
        found = _MEMORY.match(str(resources.get("memory", "1Gi")))
        amount = resources.get("cpu", 0.5)
        if not found or isinstance(amount, bool) or not isinstance(amount, int | float) or amount <= 0:
            raise invalid(
                f"Invalid resources of container '{container.get('name')}': cpu '{amount}', memory "
                f"'{resources.get('memory')}'.",
                "ContainerAppInvalidResource",
            )
        cpu, memory = cpu + float(amount), memory + float(found.group(1))
    if not room.stepped and cpu > room.cores:
        raise invalid(
            f"Invalid {cpu} cores for workloadprofile type {room.kind}. Please keep total CPU cores below {room.cores}.",
            "ContainerAppContainersInvalidCpu",
        )
    ratio = not room.stepped or (abs(cpu * 4 - round(cpu * 4)) < 1e-9 and abs(memory - 2 * cpu) < 1e-9)
    if not ratio or cpu > room.cores or memory > room.memory:
        raise invalid(
            f"The total requested CPU and memory resources for this application (CPU: {cpu:g}, memory: {memory:g}) is invalid. "
            + (
                "Total CPU and memory for all containers defined in a Container App must add up to one of the following CPU - "
                "Memory combinations: [cpu: 0.25, memory: 0.5Gi] and its multiples up to [cpu: 4.0, memory: 8.0Gi]."
                if room.stepped
                else f"The workload profile allows at most CPU: {room.cores}, memory: {room.memory}Gi."
            ),
            "ContainerAppInvalidResourceTotal",
        )


def _check_scale(scale: Json) -> None:
    low, high = scale.get("minReplicas"), scale.get("maxReplicas")
    for name, value, least in (("minReplicas", low, 0), ("maxReplicas", high, 1)):
        if value is not None and (type(value) is not int or not least <= value <= 1000):
            raise invalid(
                f"{name} '{value}' must be between {least} and 1000.", "ContainerAppInvalidScaleSettings", name
            )
    if (low or 0) > (high or 10):
        raise invalid(f"minReplicas '{low}' is greater than maxReplicas '{high}'.", "ContainerAppInvalidScaleSettings")
    for name in ("cooldownPeriod", "pollingInterval"):
        value = scale.get(name)
        if value is not None and (type(value) is not int or value < 0):
            raise invalid(f"{name} '{value}' must not be negative.", "ContainerAppInvalidScaleSettings", name)


def checked_configuration(configuration: Json) -> Configuration:
    """Ingress, secrets, revision mode."""
    mode = configuration.get("activeRevisionsMode", "Single")
    if str(mode).lower() not in ("single", "multiple", "labels"):
        raise invalid(f"activeRevisionsMode '{mode}' is not valid.", "ContainerAppInvalidActiveRevisionsMode")
    if configuration.get("ingress") is not None:
        ingress = member(configuration, "ingress")
        port = ingress.get("targetPort")
        if port is not None and (type(port) is not int or not 0 <= port <= 65535):
            raise invalid(f"targetPort '{port}' must be between 1 and 65535.", "ContainerAppInvalidIngressTargetPort")
        transport = str(ingress.get("transport") or "auto").lower()
        if transport not in ("auto", "http", "http2", "tcp"):
            raise invalid(f"transport '{transport}' is not valid.", "ContainerAppInvalidIngressTransport")
        for entry in objects(ingress, "traffic"):
            if entry.get("weight") is not None and type(entry["weight"]) is not int:
                raise invalid(f"The weight '{entry['weight']}' is not a number.", "ContainerAppInvalidTraffic")
    seen: set[str] = set()
    for secret in objects(configuration, "secrets"):
        name = str(secret.get("name") or "")
        if not _SECRET_NAME.match(name) or name in seen:
            raise invalid(f"Invalid or repeated secret name '{name}'.", "ContainerAppSecretInvalidName")
        seen.add(name)
    for registry in objects(configuration, "registries"):
        _check_registry(registry, seen)
    return configuration_of(configuration)


def _check_registry(registry: Json, secrets: Collection[str]) -> None:
    """A login names a secret that is there, or an identity."""
    server, reference = str(registry.get("server") or ""), str(registry.get("passwordSecretRef") or "")
    if not server:
        raise invalid("Registry server is required.", "ContainerAppRegistryServerRequired", "configuration.registries")
    if registry.get("identity"):
        return
    if not registry.get("username") or not reference:
        raise invalid(
            f"Registry '{server}' needs username and passwordSecretRef, or identity.",
            "ContainerAppRegistryCredentialRequired",
            "configuration.registries",
        )
    if reference not in secrets:
        raise invalid(
            f"SecretRef '{reference}' defined for registry server '{server}' not found.",
            "ContainerAppSecretRefNotFound",
        )


def require_secret_values(configuration: Json) -> None:
    """Every secret comes with its value, or with where it is: nothing is kept of before."""
    missing = [
        str(secret.get("name") or "")
        for secret in objects(configuration, "secrets")
        if not secret.get("value") and not secret.get("keyVaultUrl")
    ]
    if missing:
        raise _without_values(missing)


def secret_values(configuration: Json, before: Mapping[str, str]) -> dict[str, str]:
    """The values of the secrets; one that is named without a value keeps what it was."""
    values: dict[str, str] = {}
    for secret in objects(configuration, "secrets"):
        name = str(secret.get("name") or "")
        if isinstance(secret.get("value"), str) and secret["value"]:
            values[name] = secret["value"]
        elif name in before:
            values[name] = before[name]
        elif secret.get("keyVaultUrl"):
            raise invalid(
                f"Unable to get the value of secret '{name}' from the key vault.",
                "ContainerAppSecretKeyVaultUrlInvalid",
            )
        else:
            raise _without_values([name])
    return values


def _without_values(names: Sequence[str]) -> ArmError:
    return ArmError(
        400,
        "ContainerAppSecretInvalid",
        f"Invalid Request: Container app secret(s) with name(s) '{', '.join(names)}' are invalid: value or keyVaultUrl and "
        "identity should be provided.",
    )
