"""Which cloud answers: its profile, the credential, the SDK clients' common settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

from sidecar.core.platforms import Platform, platform_of
from sidecar.core.state_folder import state_folder
from sidecar.gateway.credentials import Renewable, TokenSource, azure_credential, local_credential
from sidecar.gateway.local import LocalCloud, hindrance, known_local_cloud, local_cloud, refuse_where_it_can_not_run
from sidecar.gateway.local_image import prepare_image
from sidecar.gateway.package_index import PackageIndex
from sidecar.gateway.patience import Followed, Patience, again_while_busy, await_operation
from sidecar.gateway.translation import busy_for, busy_or_lost, is_away, is_broken
from sidecar.gateway.transport import Connections, authentication, retry_policy, transport
from sidecar.gateway.trust import trust_this_machine
from sidecar.words.names import AzureCloud, CloudName
from sidecar.words.text import Text

POLL_SECONDS = 2
"""Between two looks at a long-running operation, where the answer names no Retry-After."""

LOG_HOSTS = (".azurecontainerapps.dev", ".azurecontainerapps.io", ".azurecontainerapps.us", ".azurecontainerapps.cn")
LOOPBACK = ("127.0.0.1", "::1", "localhost")

T = TypeVar("T")


@dataclass(frozen=True)
class CloudProfile:
    """Where a cloud's parts are. `arm`: base URL; `scheme`: how its container apps are reached; `logs`: base URL of queries to
    Log Analytics, which have an audience of their own; `log_hosts`: which hosts of log streams may have a token, whole or, with
    a dot before them, their ends."""

    name: CloudName
    arm: str
    scope: str
    authority: str
    scheme: Literal["http", "https"]
    portal: str | None
    logs: str
    logs_scope: str
    log_hosts: tuple[str, ...] = LOG_HOSTS
    prices: str | None = None
    """The Retail Prices API, which needs no sign-in; None: the cloud has none."""
    prices_note: Text | None = None
    """What is to be said beside every price of it."""
    platform: Platform | None = None
    """What every image is run on; None: as the image says itself."""

    vaults: bool = True
    """Whether a deployment's parameters may be secrets of a key vault."""

    def trusts_logs_of(self, url: str) -> bool:
        """Whether a log's address, which ARM named, may have the token."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme != "https" or "@" in parts.netloc:
            return False
        return any(host.endswith(each) if each.startswith(".") else host == each for each in self.log_hosts)


AZURE_PROFILES: dict[AzureCloud, CloudProfile] = {
    "azure": CloudProfile(
        "azure",
        "https://management.azure.com",
        "https://management.azure.com/.default",
        "https://login.microsoftonline.com",
        "https",
        "https://portal.azure.com",
        "https://api.loganalytics.azure.com",
        "https://api.loganalytics.azure.com/.default",
        prices="https://prices.azure.com/api/retail/prices",
    ),
    "azureChina": CloudProfile(
        "azureChina",
        "https://management.chinacloudapi.cn",
        "https://management.chinacloudapi.cn/.default",
        "https://login.chinacloudapi.cn",
        "https",
        "https://portal.azure.cn",
        "https://api.loganalytics.azure.cn",
        "https://api.loganalytics.azure.cn/.default",
    ),
    "azureUSGovernment": CloudProfile(
        "azureUSGovernment",
        "https://management.usgovcloudapi.net",
        "https://management.usgovcloudapi.net/.default",
        "https://login.microsoftonline.us",
        "https",
        "https://portal.azure.us",
        "https://api.loganalytics.us",
        "https://api.loganalytics.us/.default",
    ),
}


@dataclass(frozen=True)
class Settings:
    """What the doors pass in: read from the environment once, at the start.

    `tokens` None means: a terminal, where the Azure CLI's or the environment's login is used."""

    local_state: Path
    state: Path
    environ: Mapping[str, str]
    tokens: TokenSource | None = None
    say: Callable[[Text], None] = field(default=lambda _: None)
    tenant: str | None = None
    """The tenant that a person named; None: each subscription's own."""

    @property
    def wait_scale(self) -> float:
        """Multiplies the limits of waits, as SLIPWAY_WAIT_SCALE says: tests have no hour."""
        return float(self.environ.get("SLIPWAY_WAIT_SCALE") or 1)


@dataclass(frozen=True)
class Session:
    """One cloud, signed in. `verify`: a CA file, or True for this machine's own store."""

    profile: CloudProfile
    credential: Renewable
    verify: str | bool
    local: LocalCloud | None = None
    patience: Patience = field(default_factory=Patience)
    home: str | None = None
    """The tenant of the subscription that it was opened for, where that is known already."""
    shares: Path | None = None
    """The folder in which this machine remembers what it has read of shares; None: it does not."""
    index: PackageIndex | None = None
    """Where packages come from; None: they can't be had here."""
    connections: Connections = field(default_factory=Connections, compare=False)

    def platform_of(self, image: str) -> Platform | None:
        """What is known of the Python that an image runs on; None for nothing."""
        return self.profile.platform or platform_of(image)

    @property
    def poll_seconds(self) -> float:
        """Between two looks at what takes minutes in Azure and seconds here."""
        return 1.0 if self.local is not None else 4.0

    @property
    def has_one_tenant(self) -> bool:
        """The local cloud's own principal is in one; a person may be a guest in many."""
        return self.local is not None

    @property
    def names_who_asks(self) -> bool:
        """Whether its tokens name a person: the local cloud has one principal for everybody."""
        return self.local is None

    @property
    def through_proxies(self) -> bool:
        """How requests leave this machine: to the local cloud past every proxy, else as the environment says."""
        return self.local is None

    def arm_options(self) -> dict[str, Any]:
        """Keyword arguments for every ARM client."""
        return {
            "base_url": self.profile.arm,
            "credential_scopes": [self.profile.scope],
            "authentication_policy": authentication(self.credential, self.profile.scope),
            "transport": transport(self.patience, self.connections, verify=self.verify, **self.transport_options()),
            "polling_interval": POLL_SECONDS,
            "retry_policy": retry_policy(self.patience),
            "logging_enable": False,
        }

    def transport_options(self) -> dict[str, Any]:
        """The same for the SDK's transport."""
        return {} if self.through_proxies else {"use_env_settings": False}

    def once_free(self, doing: Text, call: Callable[[], T], *, repeatable: bool = False) -> T:
        """Calls what changes something; where another change is under way, again when that one has ended. `repeatable`: asked
        twice it is as if asked once, so an answer that was lost on the way is asked for again."""
        return again_while_busy(self.patience, doing, call, busy_or_lost if repeatable else busy_for)

    def completed(
        self, doing: Text, begin: Callable[[], Any], seconds: float, state: Callable[[], str] | None = None
    ) -> Any:
        """The result of a long-running operation, begun once nothing else is under way. Those that are here can be asked for
        twice, so one whose answer was lost is. `state`: the word of what it changes, for where the operation can't be followed:
        then there is no result."""

        def whole() -> Any:
            return await_operation(self.patience, Followed(doing, begin(), seconds, state, is_away, is_broken))

        return self.once_free(doing, whole, repeatable=True)

    def answer_of(self, doing: Text, begin: Callable[[], Any], seconds: float) -> Any:
        """What a question brings that takes Azure a while, and changes nothing: only its own operation tells."""

        def whole() -> Any:
            poller = begin()
            await_operation(self.patience, Followed(doing, poller, seconds, lambda: "", is_away, lambda _: False))
            return poller.result()

        return self.once_free(doing, whole, repeatable=True)

    def url(self, endpoint: str) -> str:
        """The endpoint as a URL; a bare host name gets the cloud's scheme."""
        bare = endpoint.strip().rstrip("/")
        return bare if "://" in bare else f"{self.profile.scheme}://{bare}"


def settings_from(
    environ: Mapping[str, str],
    tokens: TokenSource | None = None,
    say: Callable[[Text], None] = lambda _: None,
    tenant: str | None = None,
) -> Settings:
    """State folders: $SLIPWAY_STATE or the XDG data folder; the local cloud's in $SLIPWAY_LOCAL_STATE or below it."""
    state = state_folder(environ)
    return Settings(
        Path(environ.get("SLIPWAY_LOCAL_STATE") or state / "localcloud"), state, environ, tokens, say, tenant
    )


def cloud_of(settings: Settings, cloud: CloudName, subscription_id: str | None) -> CloudName:
    """Which cloud a subscription belongs to: `auto` means the local cloud's when it knows the id, else Azure."""
    if cloud != "auto":
        return cloud
    known = known_local_cloud(settings.local_state)
    if known is not None and subscription_id in {each for each, _ in known.subscriptions}:
        return "local"
    return "azure"


def signs_in_by_itself(cloud: CloudName) -> bool:
    """Where no person signs in, a failed sign-in is a fault and told; in Azure it may only mean that nobody has yet."""
    return cloud == "local"


def clouds_of(cloud: CloudName) -> tuple[CloudName, ...]:
    """Where `auto` looks for subscriptions: on this machine, where the local cloud can run on it, and in Azure."""
    if cloud != "auto":
        return (cloud,)
    return ("azure",) if hindrance() else ("local", "azure")


def open_session(
    settings: Settings,
    cloud: CloudName,
    tenant_id: str | None = None,
    patience: Patience | None = None,
    *,
    silent: bool = False,
) -> Session:
    """Opens a session, for looking and for everything else. The local cloud is started when it does not run.

    `silent`: nobody is asked to sign in for it."""
    patience, shares = patience or Patience(), settings.state / "shares"
    index = PackageIndex(settings.state / "packages", settings.environ)
    if cloud == "local":
        running = local_cloud(settings.local_state, settings.environ, settings.say)
        profile, credential = _local_profile(running), local_credential(running)
        return Session(
            profile,
            credential,
            str(running.ca_file),
            running,
            patience,
            home=running.tenant_id,
            shares=shares,
            index=index,
        )
    if cloud == "auto":
        raise ValueError("resolve `auto` with cloud_of() first")
    trust_this_machine()
    profile = AZURE_PROFILES[cloud]
    authority = settings.environ.get("AZURE_AUTHORITY_HOST", profile.authority)
    credential = azure_credential(settings.tokens, cloud, authority, tenant_id or settings.tenant, silent=silent)
    return Session(profile, credential, verify=True, patience=patience, shares=shares, index=index)


def prepare(settings: Settings, cloud: CloudName, consents: tuple[str, ...], patience: Patience) -> None:
    """What a cloud needs before models can run in it: ConsentNeeded before a large download to this machine, CloudError where
    the local cloud can't run, before anything is made for it."""
    if cloud == "local":
        refuse_where_it_can_not_run()
        prepare_image(settings.environ, consents, patience)


def _local_profile(running: LocalCloud) -> CloudProfile:
    arm, azure = running.arm, AZURE_PROFILES["azure"]
    return CloudProfile(
        "local",
        arm,
        f"{arm}/.default",
        running.authority,
        "http",
        None,
        logs=running.data,
        logs_scope=azure.logs_scope,
        log_hosts=LOOPBACK,
        prices=f"{running.data}/api/retail/prices",
        prices_note=Text("These prices are made up: the local cloud runs on this machine and bills nothing."),
        platform=running.image,
        vaults=False,
    )


def portal_link(session: Session, group_id: str, deployment: str) -> str | None:
    """Where the deployment is shown in the cloud's portal; the local cloud has none."""
    if session.profile.portal is None:
        return None
    resource = quote(f"{group_id}/providers/Microsoft.Resources/deployments/{deployment}", safe="")
    return f"{session.profile.portal}/#view/HubsExtension/DeploymentDetailsBlade/~/overview/id/{resource}"
