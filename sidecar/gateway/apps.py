"""Container Apps: environments and apps; revisions and replicas are in their own module."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from sidecar.gateway.place import AppPlace, GroupPlace
from sidecar.gateway.translation import innermost, not_found, translated, word
from sidecar.words.errors import CloudError, NotFound
from sidecar.words.text import Text

PROJECT_TAG = "slipway-project"
DEFAULT_COOLDOWN = 300
"""Azure's, where the app states none."""

WRITE_SECONDS = 900
"""For a change by PATCH. Azure takes seconds for an app, minutes for an environment."""


@dataclass(frozen=True)
class Environment:
    id: str
    location: str
    state: str
    profiles: tuple[dict[str, Any], ...]
    """Workload profiles as Azure gives them, unknown keys included, so that a PATCH keeps them."""


@dataclass(frozen=True)
class Mounted:
    """Storage account and file share behind an environment's storage; both empty for one that is no Azure Files share."""

    account: str
    share: str


@dataclass(frozen=True)
class Login:
    """What an app shows to a registry: a user with the app's `secret` that holds the password, or an identity."""

    server: str
    user: str
    secret: str
    identity: str


@dataclass(frozen=True)
class App:
    name: str
    fqdn: str | None
    latest_revision: str | None
    mode: str
    traffic: tuple[tuple[str | None, int], ...]
    """Revision name (None: whichever is the latest) and weight in percent."""
    env: dict[str, str]
    """Plain environment variables of the first container; those from secrets have no value here."""
    secret_env: dict[str, str]
    """Environment variables that come from secrets: variable name → secret name."""
    tags: dict[str, str]
    labels: tuple[tuple[str, str | None], ...] = ()
    """Traffic labels, each with an address of its own, and the revision behind it (None: whichever is the latest)."""
    custom_domains: tuple[str, ...] = ()
    """Host names that the app's ingress is bound to."""
    state: str = "Succeeded"
    """What became of the last write of the app; nothing about its revisions."""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    image: str = ""
    mounts: tuple[Mount, ...] = ()
    environment_id: str = ""
    profile: str | None = None
    """The name of the workload profile in the environment."""
    location: str = ""
    event_stream: str | None = None
    """Where the system's events are told; absent for an app whose last update failed."""
    running: str = "Running"
    """Azure's word for whether the app as a whole was started or stopped; nothing about its replicas."""
    cooldown: int = DEFAULT_COOLDOWN
    """Seconds without a request after which the last replica ends."""

    target_port: int | None = None
    """Where the ingress sends requests; None: Azure looks for itself."""
    probe_ports: tuple[int, ...] = ()
    template: dict[str, Any] = field(default_factory=dict[str, Any], compare=False)
    """As Azure gives it."""
    logins: tuple[Login, ...] = ()

    @property
    def stopped(self) -> bool:
        """A stopped app answers 404 and no request wakes it."""
        return self.running == "Stopped"

    @property
    def environment(self) -> str:
        return self.environment_id.rpartition("/")[2]


@dataclass(frozen=True)
class Mount:
    """A share in the first container: where it is mounted, and the environment's storage that names account and share."""

    path: str
    storage: str
    sub_path: str = ""


def environment(place: GroupPlace, name: str) -> Environment | None:
    with translated(Text("Reading the environment {name}", name=name)), group_client(place) as client:
        try:
            found = client.managed_environments.get(place.group, name)
        except not_found():
            return None
    properties = found.properties
    profiles = [] if properties is None else [each.as_dict() for each in properties.workload_profiles or []]
    state = "" if properties is None else word(properties.provisioning_state)
    return Environment(str(found.id), str(found.location), state, tuple(profiles))


def add_profile(place: GroupPlace, name: str, environment: Environment, profile: dict[str, Any]) -> None:
    """Adds a workload profile, every existing one kept as it is."""
    _write_profiles(
        place, name, environment, [*environment.profiles, profile], Text("Adding a GPU profile to {name}", name=name)
    )


def set_profiles(place: GroupPlace, name: str, environment: Environment, profiles: list[dict[str, Any]]) -> None:
    """Every one of them: what is left out goes."""
    _write_profiles(place, name, environment, profiles, Text("Changing the profiles of {name}", name=name))


def _write_profiles(
    place: GroupPlace, name: str, environment: Environment, profiles: list[dict[str, Any]], doing: Text
) -> None:
    with translated(doing), group_client(place) as client:
        body: Any = {"location": environment.location, "properties": {"workloadProfiles": profiles}}
        place.session.completed(
            doing,
            lambda: client.managed_environments.begin_update(place.group, name, body),
            WRITE_SECONDS,
            lambda: state_of(client.managed_environments.get(place.group, name)),
        )


def environment_storage(place: GroupPlace, environment: str, name: str) -> Mounted | None:
    """Which share an environment's storage stands for; None where there is no storage of that name."""
    doing = Text("Reading the storage {name} of {environment}", name=name, environment=environment)
    with translated(doing), group_client(place) as client:
        try:
            found = client.managed_environments_storages.get(place.group, environment, name)
        except not_found():
            return None
    azure = None if found.properties is None else found.properties.azure_file
    return Mounted(*(("", "") if azure is None else (str(azure.account_name), str(azure.share_name))))


def renew_storage_key(place: GroupPlace, environment: str, name: str, key: str) -> None:
    """Gives a storage another account key; everything else of it is put as it was read."""
    doing = Text("Renewing the key of the storage {name} of {environment}", name=name, environment=environment)
    with translated(doing), group_client(place) as client:
        found = client.managed_environments_storages.get(place.group, environment, name)
        azure = (
            {}
            if found.properties is None
            else cast("dict[str, Any]", found.properties.as_dict().get("azureFile") or {})
        )
        body: Any = {"properties": {"azureFile": {**azure, "accountKey": key}}}
        place.session.once_free(
            doing,
            lambda: client.managed_environments_storages.create_or_update(place.group, environment, name, body),
            repeatable=True,
        )


def residents(place: GroupPlace, environment_id: str) -> list[str]:
    """Names of the apps and jobs that live in an environment, those of other resource groups too."""
    with translated(Text("Listing what runs in the environment")), group_client(place) as client:
        listed = (*client.container_apps.list_by_subscription(), *jobs_of(client))
    return [
        str(each.name)
        for each in listed
        if each.properties is not None and environment_of(each.properties).lower() == environment_id.lower()
    ]


def jobs_of(client: Any) -> list[Any]:
    try:
        return list(client.jobs.list_by_subscription())
    except not_found() as error:
        if innermost(error)[0] != "InvalidResourceType":
            raise
        return []  # a cloud that knows no jobs, as the local one, holds none


def environment_of(properties: Any) -> str:
    named = getattr(properties, "environment_id", None) or getattr(properties, "managed_environment_id", None)
    return str(named or "")


def find_app(place: AppPlace) -> App | None:
    try:
        return app(place)
    except NotFound:
        return None


def app(place: AppPlace) -> App:
    with translated(Text("Reading the container app {name}", name=place.name)), client_of(place) as client:
        found = client.container_apps.get(place.group, place.name)
    properties = found.properties
    if properties is None or properties.template is None or not properties.template.containers:
        raise CloudError(Text("The container app {name} has no container.", name=place.name), code="AppUnreadable")
    template, configuration = properties.template, properties.configuration
    first = template.containers[0]
    ingress = None if configuration is None else configuration.ingress
    env = cast("Any", first.env or [])
    return App(
        name=str(found.name),
        fqdn=None if ingress is None else ingress.fqdn,
        latest_revision=properties.latest_revision_name,
        mode=word(configuration.active_revisions_mode if configuration is not None else "Single"),
        traffic=tuple(
            (None if each.latest_revision else each.revision_name, int(each.weight or 0))
            for each in cast("Any", (ingress.traffic if ingress is not None else None) or [])
        ),
        env={str(each.name): str(each.value or "") for each in env if not each.secret_ref},
        secret_env={str(each.name): str(each.secret_ref) for each in env if each.secret_ref},
        tags={str(key): str(value) for key, value in (found.tags or {}).items()},
        labels=tuple(
            (str(each.label), None if each.latest_revision else each.revision_name)
            for each in cast("Any", (ingress.traffic if ingress else None) or [])
            if each.label
        ),
        custom_domains=tuple(
            str(each.name) for each in cast("Any", (ingress.custom_domains if ingress else None) or [])
        ),
        state=word(properties.provisioning_state or "Succeeded"),
        command=tuple(str(each) for each in cast("Any", first.command or [])),
        args=tuple(str(each) for each in cast("Any", first.args or [])),
        image=str(first.image or ""),
        mounts=_mounts(first, template),
        environment_id=str(properties.environment_id or properties.managed_environment_id or ""),
        profile=properties.workload_profile_name or None,
        location=str(found.location or ""),
        event_stream=properties.event_stream_endpoint or None,
        target_port=None if ingress is None or not ingress.target_port else int(ingress.target_port),
        probe_ports=probe_ports_of(first),
        running=word(properties.running_status or "Running"),
        cooldown=_cooldown(template),
        template=cast("dict[str, Any]", template.as_dict()),
        logins=tuple(
            Login(str(each.server), each.username or "", each.password_secret_ref or "", each.identity or "")
            for each in cast("Any", (configuration.registries if configuration else None) or [])
        ),
    )


def _cooldown(template: Any) -> int:
    stated = None if template.scale is None else template.scale.cooldown_period
    return DEFAULT_COOLDOWN if stated is None else int(stated)


def probe_ports_of(container: Any) -> tuple[int, ...]:
    """Ports at which requests are expected: those of the startup and readiness probes. Liveness may be asked of another process,
    as in our own template; it counts where nothing else is probed."""
    probes = list(container.probes or [])
    of_requests = [each for each in probes if each.type != "Liveness"]
    asked = [each.http_get or each.tcp_socket for each in of_requests or probes]
    return tuple(dict.fromkeys(int(each.port) for each in asked if each is not None and each.port))


def _mounts(container: Any, template: Any) -> tuple[Mount, ...]:
    named = {str(each.name): str(each.storage_name) for each in template.volumes or [] if each.storage_name}
    return tuple(
        Mount(str(each.mount_path or ""), named[str(each.volume_name)], str(each.sub_path or ""))
        for each in container.volume_mounts or []
        if str(each.volume_name) in named
    )


def auth_token(place: AppPlace) -> str:
    """A token for the app's log streams, good for minutes."""
    with translated(Text("Asking for access to the logs of {name}", name=place.name)), client_of(place) as client:
        found = client.container_apps.get_auth_token(place.group, place.name)
    return str("" if found.properties is None else found.properties.token)


def gpu_usage(place: GroupPlace, location: str) -> dict[str, tuple[int, int]]:
    """GPUs in use and allowed, by the names of the region's rows that count GPUs; a row may be missing."""
    with translated(Text("Reading the usage of {location}", location=location)), group_client(place) as client:
        rows = list(client.usages.list(location.replace(" ", "").lower()))
    return {
        str(row.name.value): (int(row.current_value or 0), int(row.limit or 0))
        for row in rows
        if row.name is not None and "gpu" in str(row.name.value).lower()
    }


def update_template(place: AppPlace, change: dict[str, Any]) -> None:
    """Changes the app's template by PATCH (a new revision) and waits until Azure has taken it."""
    with translated(Text("Updating the container app {name}", name=place.name)), client_of(place) as client:
        body: Any = {"location": _location(client, place), "properties": {"template": writable(change)}}
        place.around.session.completed(
            Text("Updating the container app {name}", name=place.name),
            lambda: client.container_apps.begin_update(place.group, place.name, body),
            WRITE_SECONDS,
            lambda: app_state(client, place),
        )


def writable(template: dict[str, Any]) -> dict[str, Any]:
    """A template as it was read, without what Azure only shows; and without the suffix that its revision was given, for two
    revisions can't have the same."""

    def without(container: dict[str, Any]) -> dict[str, Any]:
        resources = {
            key: value for key, value in (container.get("resources") or {}).items() if key != "ephemeralStorage"
        }
        kept = {key: value for key, value in container.items() if key != "imageType"}
        return {**kept, "resources": resources} if resources else kept

    kinds = [kind for kind in ("containers", "initContainers") if template.get(kind)]
    return {**template, **{kind: [without(each) for each in template[kind]] for kind in kinds}, "revisionSuffix": None}


def template_of(place: AppPlace) -> dict[str, Any]:
    """The app's template as Azure gives it: the ground for update_template()."""
    with translated(Text("Reading the container app {name}", name=place.name)), client_of(place) as client:
        found = client.container_apps.get(place.group, place.name)
        template = None if found.properties is None else found.properties.template
        return {} if template is None else cast("dict[str, Any]", template.as_dict())


def secrets(place: AppPlace) -> dict[str, str]:
    with translated(Text("Reading the secrets of {name}", name=place.name)), client_of(place) as client:
        found = client.container_apps.list_secrets(place.group, place.name)
    return {str(each.name): str(each.value or "") for each in found.value or []}


def state_of(found: Any) -> str:
    """What became of the last write of a resource; empty where it does not say."""
    return "" if found.properties is None else word(found.properties.provisioning_state or "")


def app_state(client: Any, place: AppPlace) -> str:
    return state_of(client.container_apps.get(place.group, place.name))


def _location(client: Any, place: AppPlace) -> str:
    return str(client.container_apps.get(place.group, place.name).location)


def group_client(place: GroupPlace) -> Any:
    from azure.mgmt.appcontainers import ContainerAppsAPIClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    return ContainerAppsAPIClient(place.session.credential, place.subscription_id, **place.session.arm_options())


def client_of(place: AppPlace) -> Any:
    return group_client(place.around)
