"""Which cloud answers: its profile, the credential, the SDK clients' common settings, and the translation of their errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from urllib.parse import quote

from sidecar.gateway.credentials import TokenSource, azure_credential, local_credential
from sidecar.gateway.local import LocalCloud, known_local_cloud, local_cloud, prepare_image
from sidecar.gateway.patience import BUSY_CODES, BUSY_STATUSES, Patience, again_while_busy, await_operation
from sidecar.words.errors import CloudError, NotAuthorized, NotFound, NotSignedIn, Unreachable
from sidecar.words.names import AzureCloud, CloudName
from sidecar.words.text import Text

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

POLL_SECONDS = 2
"""Between two looks at a long-running operation, where the answer names no Retry-After."""

LONGEST_RETRY_AFTER = 30
"""Seconds. Azure's Retry-After is obeyed up to this; the SDK knows no cap of its own."""

BORNE_SKEW = 290
"""Seconds. Entra's tokens bear five minutes, a signature of Azure Files fifteen."""

TOLD_PAUSE = 3
"""Seconds. A longer pause between two tries is told."""

T = TypeVar("T")


@dataclass(frozen=True)
class CloudProfile:
    """Where a cloud's parts are. `arm`: base URL; `scheme`: how its container apps are reached."""

    name: CloudName
    arm: str
    scope: str
    authority: str
    scheme: Literal["http", "https"]
    portal: str | None


AZURE_PROFILES: dict[AzureCloud, CloudProfile] = {
    "azure": CloudProfile(
        "azure",
        "https://management.azure.com",
        "https://management.azure.com/.default",
        "https://login.microsoftonline.com",
        "https",
        "https://portal.azure.com",
    ),
    "azureChina": CloudProfile(
        "azureChina",
        "https://management.chinacloudapi.cn",
        "https://management.chinacloudapi.cn/.default",
        "https://login.chinacloudapi.cn",
        "https",
        "https://portal.azure.cn",
    ),
    "azureUSGovernment": CloudProfile(
        "azureUSGovernment",
        "https://management.usgovcloudapi.net",
        "https://management.usgovcloudapi.net/.default",
        "https://login.microsoftonline.us",
        "https",
        "https://portal.azure.us",
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


@dataclass(frozen=True)
class Session:
    """One cloud, signed in. `verify`: a CA file, or True for the system's."""

    profile: CloudProfile
    credential: TokenCredential
    verify: str | bool
    local: LocalCloud | None = None
    patience: Patience = field(default_factory=Patience)

    @property
    def poll_seconds(self) -> float:
        """Between two looks at what takes minutes in Azure and seconds here."""
        return 1.0 if self.local is not None else 4.0

    def arm_options(self) -> dict[str, Any]:
        """Keyword arguments for every ARM client."""
        return {
            "base_url": self.profile.arm,
            "credential_scopes": [self.profile.scope],
            "connection_verify": self.verify,
            "polling_interval": POLL_SECONDS,
            "retry_policy": _retry_policy(self.patience),
            "logging_enable": False,
            **self.transport_options(),
        }

    def transport_options(self) -> dict[str, Any]:
        """How requests leave this machine: to the local cloud past every proxy, else as the environment says."""
        return {} if self.local is None else {"use_env_settings": False}

    def once_free(self, doing: Text, call: Callable[[], T]) -> T:
        """Calls what changes something; where another change is under way, again when that one has ended."""
        return again_while_busy(self.patience, doing, call, _busy_for)

    def completed(self, doing: Text, begin: Callable[[], Any], seconds: float) -> Any:
        """The result of a long-running operation, begun once nothing else is under way."""
        return self.once_free(doing, lambda: await_operation(self.patience, doing, begin(), seconds))

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
    data = Path(environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "share")
    state = Path(environ.get("SLIPWAY_STATE") or data / "slipway")
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
    patience = patience or Patience()
    if cloud == "local":
        running = local_cloud(settings.local_state, settings.environ, settings.say)
        return Session(_local_profile(running), local_credential(running), str(running.ca_file), running, patience)
    if cloud == "auto":
        raise ValueError("resolve `auto` with cloud_of() first")
    profile = AZURE_PROFILES[cloud]
    authority = settings.environ.get("AZURE_AUTHORITY_HOST", profile.authority)
    credential = azure_credential(settings.tokens, cloud, authority, tenant_id or settings.tenant, silent=silent)
    return Session(profile, credential, verify=True, patience=patience)


def prepare(settings: Settings, cloud: CloudName, consents: tuple[str, ...]) -> None:
    """What a cloud needs before models can run in it: ConsentNeeded before a large download to this machine."""
    if cloud == "local":
        prepare_image(settings.environ, consents, settings.say)


@contextmanager
def translated(doing: Text) -> Generator[None]:
    """Turns the SDK's exceptions into ours: the innermost code and message, and what to do next."""
    from azure.core.exceptions import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
        ClientAuthenticationError,
        DecodeError,
        HttpResponseError,
        ResourceNotFoundError,
        ServiceRequestError,
        ServiceResponseError,
    )

    try:
        yield
    except ClientAuthenticationError as error:
        if isinstance(error.__cause__, CloudError):
            raise error.__cause__ from error
        if isinstance(error.__cause__, (ServiceRequestError, ServiceResponseError)):
            raise unreachable(doing, error.__cause__) from error
        skew = clock_skew(error)
        if skew is not None:
            raise CloudError(
                Text(
                    "{doing}: the clock of this machine is {minutes} minutes off.",
                    doing=doing,
                    minutes=round(skew / 60),
                ),
                Text("Set the clock (or let the system set it), then run the command again."),
                code="ClockSkew",
            ) from error
        code, message = innermost(error)
        raise NotSignedIn(
            Text("{doing}: the sign-in was not accepted ({message})", doing=doing, message=message),
            Text("Sign in again, with an account of the subscription's tenant."),
            code=code or "NotSignedIn",
        ) from error
    except ResourceNotFoundError as error:
        code, message = innermost(error)
        raise NotFound(
            Text("{doing}: {message}", doing=doing, message=message), code=code or "ResourceNotFound"
        ) from error
    except HttpResponseError as error:
        code, message = innermost(error)
        if error.status_code == 403:
            raise NotAuthorized(
                Text("{doing}: {message}", doing=doing, message=message),
                Text("Ask for a role that holds this permission at this scope, then sign in anew."),
                code=code or "AuthorizationFailed",
            ) from error
        raise CloudError(
            Text("{doing}: {message}", doing=doing, message=message), code=code or f"Http{error.status_code}"
        ) from error
    except (ServiceRequestError, ServiceResponseError, DecodeError) as error:
        raise unreachable(doing, error) from error


def clock_skew(error: Any) -> float | None:
    """Seconds between this machine's clock and the one that answered, where tokens and signatures do not bear them."""
    response = getattr(error, "response", None)
    stated = None if response is None else response.headers.get("Date")
    if stated is None:
        return None
    try:
        away = abs(time.time() - parsedate_to_datetime(stated).timestamp())
    except ValueError:
        return None  # no date as HTTP writes it: nothing can be said
    return away if away > BORNE_SKEW else None


def unreachable(doing: Text, error: Any) -> Unreachable:
    return Unreachable(
        Text("{doing}: no usable answer ({problem})", doing=doing, problem=error.message or type(error).__name__),
        Text("Check the network, a proxy and the system clock, then run the command again."),
    )


def word(value: object) -> str:
    """A state or kind as the cloud wrote it: the SDK's enums are strings whose str() is the Python name."""
    return str(value.value) if isinstance(value, Enum) else str(value)


def innermost(error: Any) -> tuple[str | None, str]:
    """Code and message of the most nested cause: ARM wraps them, at times as JSON inside a string."""
    return innermost_of(_body_of(error), str(getattr(error, "message", error)).strip())


def innermost_of(body: Any, message: str = "") -> tuple[str | None, str]:
    """The same for an error as it is read: an object, the SDK's model of one, or either's JSON as text."""
    code: str | None = None
    body = _parsed(body) if isinstance(body, str) else body
    while body is not None:
        body = _model_body(body) if hasattr(body, "code") and not isinstance(body, dict) else body
        if not isinstance(body, dict):
            break
        known = cast("dict[str, Any]", body)
        node = cast("dict[str, Any]", known["error"] if isinstance(known.get("error"), dict) else known)
        code = cast("str | None", node.get("code")) or code
        said = node.get("message")
        if isinstance(said, str) and said:
            message = said
        details = node.get("details")
        if isinstance(details, list) and details:
            body = cast("list[Any]", details)[0]
        elif isinstance(said, str) and "{" in said:
            body = _embedded(said)
        else:
            break
    return code, message


def _embedded(said: str) -> Any:
    """An error as JSON inside a sentence, from its first brace on; None where that is no error."""
    found = _parsed(said[said.index("{") :])
    if not isinstance(found, dict):
        return None
    node = cast("dict[str, Any]", found)
    node = cast("dict[str, Any]", node["error"] if isinstance(node.get("error"), dict) else node)
    return node if node.get("message") or node.get("code") else None


def _busy_for(error: Exception) -> str | None:
    """Why a refusal means "later": another change is under way, or the service asks for patience."""
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    if not isinstance(error, HttpResponseError):
        return None
    code, _ = innermost(error)
    if code in BUSY_CODES:
        return code
    return f"HTTP {error.status_code}" if error.status_code in BUSY_STATUSES else None


def _body_of(error: Any) -> Any:
    """The error body: the SDK's model where it has one (long-running operations keep it there), else the response's text."""
    model = getattr(error, "error", None)
    if model is not None and getattr(model, "code", None):
        return _model_body(model)
    response = getattr(error, "response", None)
    if response is None:
        return None
    try:
        return _parsed(response.text())
    except (AttributeError, TypeError, ValueError):
        return None  # a stream that was never read has no text: the exception's own message is used


def _model_body(model: Any) -> dict[str, Any]:
    details = [_model_body(each) for each in cast("list[Any]", getattr(model, "details", None) or [])]
    return {"code": model.code, "message": getattr(model, "message", None), "details": details}


def _parsed(text: str) -> Any:
    try:
        return json.JSONDecoder().raw_decode(text.lstrip())[0]
    except json.JSONDecodeError:
        return None


def _retry_policy(patience: Patience) -> Any:
    from azure.core.pipeline.policies import RetryPolicy  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    class CappedRetry(RetryPolicy):
        """The SDK's retries, with a cap on what a server may ask to wait."""

        def get_retry_after(self, response: Any) -> Any:
            asked = super().get_retry_after(response)
            return min(asked, LONGEST_RETRY_AFTER) if asked else asked

        def sleep(self, settings: Any, transport: Any, response: Any = None) -> None:
            """Between two tries: told, and ended by a cancel."""
            pausing: Any = _Pause(patience)
            super().sleep(settings, pausing, response)

    return CappedRetry(retry_total=4, retry_backoff_factor=0.4, timeout=180)


class _Pause:
    """What the SDK takes for its transport when it sleeps."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def sleep(self, seconds: float) -> None:
        if seconds >= TOLD_PAUSE:
            self._patience.say(Text("The cloud asks for patience: again in {seconds} s…", seconds=round(seconds)))
        self._patience.wait(seconds)


def _local_profile(running: LocalCloud) -> CloudProfile:
    return CloudProfile("local", running.arm, f"{running.arm}/.default", running.authority, "http", None)


def portal_link(session: Session, group_id: str, deployment: str) -> str | None:
    """Where the deployment is shown in the cloud's portal; the local cloud has none."""
    if session.profile.portal is None:
        return None
    resource = quote(f"{group_id}/providers/Microsoft.Resources/deployments/{deployment}", safe="")
    return f"{session.profile.portal}/#view/HubsExtension/DeploymentDetailsBlade/~/overview/id/{resource}"
