"""What a state folder's settings.json may say: regions, profiles, quotas, limits of time, further tenants and people."""

import json
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

UnknownTypes = Literal["refused", "stored"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Profile(_Value):
    """A workload profile type as a region offers it."""

    category: str
    applicability: Literal["Generic", "Serverless", "Dedicated"] = "Dedicated"
    cores: int
    memory: int
    """GiB"""
    gpus: int = 0
    usage: str | None = None
    """The name of the usages row that counts it; only GPU profiles have one."""


class Times(_Value):
    """Seconds as Azure was seen to take them. Two scales make them shorter and keep their order: `scale` for the platform's own
    work, `bounds` for what limits the real server's work."""

    scale: float = Field(default=0.1, ge=0)
    """Multiplies what the platform does by itself: writes, scheduling, pulls, back-off, the cooldown, the logs' lag."""
    bounds: float = Field(default=1, gt=0)
    """Multiplies what the server must keep: probes, drain, grace, the ingress's limits, the progress deadline."""
    cooldown_scale: float | None = None
    """For the cooldown alone, where a test is not to fall asleep; None: `scale`."""
    poll: int = 1
    """Retry-After of a running operation; 0 leaves the pace to the client. Not scaled."""
    tick: float = 0.2
    """How often an app's replicas are looked at. Not scaled."""

    # The platform's own work
    environment: float = 0
    """How long creating an environment takes: minutes on Azure, nothing here unless it is asked for."""
    write: float = 15
    """A change of a container app, from the request to the end of its operation."""
    provision: float = 5
    """From a revision's creation until it reads Provisioned, whatever becomes of its containers."""
    schedule: float = 1.5
    """From a replica's assignment to the first pull, where the app has a node already."""
    schedule_cold: float = 14
    """The same for an app that was at zero."""
    pull: float = 3
    """The first pull of an image on a node; later ones are cached."""
    create: float = 10
    """From the pulled image to the started container."""
    backoff: float = 10
    """First wait before a container that ended starts again; doubles up to `backoff_limit`."""
    backoff_limit: float = 300
    reassign: float = 120
    """How often a replica that found no node is said to be assigned once more."""
    log_lag: float = 1
    """How late a line reaches who follows a log."""
    archive_lag: float = 180
    """How late a line is found in Log Analytics: minutes, and nothing says how many."""

    # What bounds the server's work
    drain: float = 30
    """How long replaced replicas of a rollout go on for the requests that they hold, before they are told to end."""
    kill_after: float = 4
    """From the end of the grace to SIGKILL."""
    gpu_grace: float = 60
    """What a replica with a GPU is given at most, whatever grace its template states."""
    activation_deadline: float = 600
    port_mismatch: float = 96
    """After this an app that listens on another port than its target port is told so."""
    stale_target: float = 200
    """After this a revision whose replicas are asked on a port where none of them listens reads Unhealthy."""
    ingress_idle: float = 240
    """A silence longer than this ends a request, held ones included."""
    upstream_idle: float = 3600
    """How long the ingress keeps an unused connection to a replica: Envoy's default, for nobody has seen another."""

    def platform(self, seconds: float) -> float:
        return seconds * self.scale

    def bound(self, seconds: float) -> float:
        return seconds * self.bounds

    def cooldown(self, seconds: float) -> float:
        return seconds * (self.scale if self.cooldown_scale is None else self.cooldown_scale)


class Registry(_Value):
    """A container registry that wants a password; images of registries that are not stated are there for everybody."""

    password: str
    pullers: tuple[str, ...] = ()
    """Identities that have the role AcrPull: resource ids, and `system` for the own one of any app."""
    missing: tuple[str, ...] = ()
    """`repository:tag` that it does not have."""
    other_platform: tuple[str, ...] = ()
    """`repository:tag` that it has for another platform only."""


class StatedPrincipal(_Value):
    """Somebody who shall be able to sign in with a secret: a service principal, as settings.json states it."""

    client_id: str
    client_secret: str
    role: Literal["Owner", "Contributor", "Reader"] = "Reader"
    tenant: int = 0
    """Index into the tenants of the cloud."""


class Settings(_Value):
    tenants: int = Field(default=1, ge=1, le=9)
    """How many tenants there are; all but the first challenge for claims: nobody is signed in there."""
    subscriptions: int = Field(default=1, ge=1, le=9)
    """How many subscriptions each tenant has."""
    subscription_ids: tuple[str, ...] = ()
    """Further subscriptions of the first tenant, with ids of one's own: to replay traffic that names them."""
    locations: dict[str, str] = Field(
        default={
            "westus3": "West US 3",
            "swedencentral": "Sweden Central",
            "australiaeast": "Australia East",
            "eastus": "East US",
            "eastus2": "East US 2",
            "westeurope": "West Europe",
            "northeurope": "North Europe",
            "brazilsouth": "Brazil South",
            "italynorth": "Italy North",
            "westus": "West US",
            "westus2": "West US 2",
            "centralindia": "Central India",
            "francecentral": "France Central",
            "japaneast": "Japan East",
            "northcentralus": "North Central US",
            "southcentralus": "South Central US",
            "southeastasia": "Southeast Asia",
            "southindia": "South India",
            "koreacentral": "Korea Central",
        }
    )
    gpu_locations: tuple[str, ...] = (
        "westus3",
        "swedencentral",
        "australiaeast",
        "eastus",
        "brazilsouth",
        "italynorth",
        "westus",
    )
    """Regions that offer every GPU profile."""
    t4_locations: tuple[str, ...] = (
        "westeurope",
        "westus2",
        "centralindia",
        "francecentral",
        "japaneast",
        "northcentralus",
        "southcentralus",
        "southeastasia",
        "southindia",
    )
    """Regions that offer the T4 alone of the GPUs."""
    profiles: dict[str, Profile] = Field(
        default={
            "Consumption": Profile(category="Consumption", applicability="Serverless", cores=4, memory=8),
            "Consumption-GPU-NC8as-T4": Profile(
                category="Consumption-GPU",
                applicability="Serverless",
                cores=8,
                memory=56,
                gpus=1,
                usage="SubscriptionConsumptionT4Gpus",
            ),
            "Consumption-GPU-NC24-A100": Profile(
                category="Consumption-GPU",
                applicability="Serverless",
                cores=24,
                memory=220,
                gpus=1,
                usage="SubscriptionConsumptionNCA100Gpus",
            ),
            "D4": Profile(category="GeneralPurpose", cores=4, memory=16),
            "D8": Profile(category="GeneralPurpose", cores=8, memory=32),
            "E4": Profile(category="MemoryOptimized", cores=4, memory=32),
            "NC24-A100": Profile(category="GPU-NC-A100", cores=24, memory=220, gpus=1, usage="SubscriptionNCA100Gpus"),
            "NC48-A100": Profile(category="GPU-NC-A100", cores=48, memory=440, gpus=2, usage="SubscriptionNCA100Gpus"),
            "NC96-A100": Profile(category="GPU-NC-A100", cores=96, memory=880, gpus=4, usage="SubscriptionNCA100Gpus"),
        }
    )
    gpu_quota: dict[str, int] = Field(default={})
    """GPUs by usages row (SubscriptionConsumptionT4Gpus, …), or by `<region>/<row>`; -1 leaves the row out."""
    default_gpu_quota: int = 1
    gpu_release: Literal["at-once", "after-drain", "deadline"] = "after-drain"
    """When the GPU of a replica that is told to end is free for another: nobody has seen which of these Azure does."""
    registries: dict[str, Registry] = Field(default={})
    """By server name."""
    bare_image: bool = False
    """Whether the image has PyTorch and pip alone, as the default one on Azure, and not all that our server needs."""
    stuck_keys: tuple[str, ...] = ()
    """Resource groups in which the bug is played that a storage of an environment goes on mounting with its first account key."""
    environments_quota: int = 15
    full_locations: tuple[str, ...] = ()
    """Regions that have no capacity for another environment."""
    preregistered: tuple[str, ...] = ("Microsoft.Resources", "Microsoft.Storage", "Microsoft.Authorization")
    """Providers that a subscription has registered from its start."""
    unknown_types: UnknownTypes = "refused"
    """What becomes of types and namespaces that Azure is not known to have: `stored` takes them without any check, and warns."""
    strict: bool = Field(default_factory=lambda: os.environ.get("SLIPWAY_STRICT") == "1")
    """Whether what is taken and ignored (`fates/*.md`) is refused with 400, to see who lives on it."""
    share_quota_bytes: int | None = None
    """A smaller limit for every share than its quota, to see a full one."""
    principals: tuple[StatedPrincipal, ...] = ()
    clock_skew: float = 0
    """Seconds that the cloud's clock is ahead."""
    times: Times = Times()


class SettingsError(Exception):
    """settings.json is not understood; the message names the field."""


def read_settings(file: Path) -> Settings:
    """The settings in `file`; the defaults where there is none."""
    if not file.exists():
        return Settings()
    try:
        return Settings.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except json.JSONDecodeError as problem:
        raise SettingsError(f"{file}: {problem}") from problem
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{file}: {place}: {first['msg']}") from problem
