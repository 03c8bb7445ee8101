"""What a state folder's settings.json may say: regions, profiles, quotas, limits of time, further tenants and people."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


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
    """Seconds. Azure's own values, but where a shorter one keeps a developer from waiting for nothing."""

    poll: int = 1
    """Retry-After of a running operation; 0 leaves the pace to the client."""
    environment: float = 0
    """How long creating an environment takes; minutes in Azure."""
    app: float = 0
    """How long a change of a container app takes before its revision is made."""
    backoff: float = 1
    """First wait before a crashed container starts again (10 in Azure); doubles up to `backoff_limit`."""
    backoff_limit: float = 60
    activation_deadline: float = 600
    ingress_idle: float = 240
    cold_start: float = 240
    """How long a request to an app with no replica is held."""
    tick: float = 0.2
    """How often an app's replicas are looked at."""


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
        }
    )
    gpu_locations: tuple[str, ...] = ("westus3", "swedencentral", "australiaeast", "westeurope", "eastus")
    """Regions that offer the GPU profiles."""
    profiles: dict[str, Profile] = Field(
        default={
            "Consumption": Profile(category="Consumption", applicability="Serverless", cores=4, memory=8),
            "Consumption-GPU-NC8as-T4": Profile(
                category="Consumption-GPU",
                applicability="Serverless",
                cores=8,
                memory=56,
                gpus=1,
                usage="SubscriptionConsumptionNCT4Gpus",
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
    """GPUs by usages row (SubscriptionConsumptionNCT4Gpus, …), or by `<region>/<row>`; -1 leaves the row out."""
    default_gpu_quota: int = 2
    environments_quota: int = 15
    preregistered: tuple[str, ...] = ("Microsoft.Resources", "Microsoft.Storage", "Microsoft.Authorization")
    """Providers that a subscription has registered from its start."""
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
