"""Which cloud answers: its profile, the credential, the SDK clients' common settings, and the translation of their errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast
from urllib.parse import quote

from sidecar.gateway.local import LocalCloud, known_local_cloud, local_cloud, prepare_image
from sidecar.words.errors import CloudError, NotAuthorized, NotFound, NotSignedIn, Unreachable
from sidecar.words.names import AzureCloud, CloudName
from sidecar.words.text import Text

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

POLL_SECONDS = 2
"""Between two looks at a long-running operation, where the answer names no Retry-After."""

LONGEST_RETRY_AFTER = 30
"""Seconds. Azure's Retry-After is obeyed up to this; the SDK knows no cap of its own."""


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


class TokenSource(Protocol):
    """Whoever can sign a person in. Returns the token and its expiry in epoch seconds; raises NotSignedIn."""

    def __call__(
        self, cloud: AzureCloud, scopes: list[str], tenant_id: str | None, claims: str | None
    ) -> tuple[str, int]: ...


@dataclass(frozen=True)
class Settings:
    """What the doors pass in: read from the environment once, at the start.

    `tokens` None means: a terminal, where the Azure CLI's or the environment's login is used."""

    local_state: Path
    state: Path
    environ: Mapping[str, str]
    tokens: TokenSource | None = None
    say: Callable[[Text], None] = field(default=lambda _: None)


@dataclass(frozen=True)
class Session:
    """One cloud, signed in. `verify`: a CA file, or True for the system's."""

    profile: CloudProfile
    credential: TokenCredential
    verify: str | bool
    local: LocalCloud | None = None

    def arm_options(self) -> dict[str, Any]:
        """Keyword arguments for every ARM client."""
        return {
            "base_url": self.profile.arm,
            "credential_scopes": [self.profile.scope],
            "connection_verify": self.verify,
            "polling_interval": POLL_SECONDS,
            "retry_policy": _retry_policy(),
            "logging_enable": False,
        }

    def url(self, endpoint: str) -> str:
        """The endpoint as a URL; a bare host name gets the cloud's scheme."""
        bare = endpoint.strip().rstrip("/")
        return bare if "://" in bare else f"{self.profile.scheme}://{bare}"


def settings_from(
    environ: Mapping[str, str], tokens: TokenSource | None = None, say: Callable[[Text], None] = lambda _: None
) -> Settings:
    """State folders: $SLIPWAY_STATE or the XDG data folder; the local cloud's in $SLIPWAY_LOCAL_STATE or below it."""
    data = Path(environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "share")
    state = Path(environ.get("SLIPWAY_STATE") or data / "slipway")
    return Settings(Path(environ.get("SLIPWAY_LOCAL_STATE") or state / "localcloud"), state, environ, tokens, say)


def cloud_of(settings: Settings, cloud: CloudName, subscription_id: str | None) -> CloudName:
    """Which cloud a subscription belongs to: `auto` means the local cloud's when it knows the id, else Azure."""
    if cloud != "auto":
        return cloud
    known = known_local_cloud(settings.local_state)
    if known is not None and subscription_id in {each for each, _ in known.subscriptions}:
        return "local"
    return "azure"


def open_session(settings: Settings, cloud: CloudName, tenant_id: str | None = None) -> Session:
    """Opens a session, for looking and for everything else. The local cloud is started when it does not run."""
    if cloud == "local":
        running = local_cloud(settings.local_state, settings.environ, settings.say)
        return Session(_local_profile(running), _local_credential(running), str(running.ca_file), running)
    if cloud == "auto":
        raise ValueError("resolve `auto` with cloud_of() first")
    profile = AZURE_PROFILES[cloud]
    return Session(profile, _azure_credential(settings, cloud, tenant_id), verify=True)


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
        if isinstance(error.__cause__, NotSignedIn):
            raise error.__cause__ from error
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
        raise Unreachable(
            Text("{doing}: no usable answer ({problem})", doing=doing, problem=error.message or type(error).__name__),
            Text("Check the network, a proxy and the system clock, then run the command again."),
        ) from error


def word(value: object) -> str:
    """A state or kind as the cloud wrote it: the SDK's enums are strings whose str() is the Python name."""
    return str(value.value) if isinstance(value, Enum) else str(value)


def innermost(error: Any) -> tuple[str | None, str]:
    """Code and message of the most nested cause: ARM wraps them, at times as JSON inside a string."""
    body = _body_of(error)
    code: str | None = None
    message = str(getattr(error, "message", error)).strip()
    while isinstance(body, dict):
        node = cast("dict[str, Any]", body.get("error") if isinstance(body.get("error"), dict) else body)
        code = cast("str | None", node.get("code")) or code
        said = node.get("message")
        if isinstance(said, str) and said:
            message = said
        details = node.get("details")
        if isinstance(details, list) and details:
            body = cast("list[Any]", details)[0]
        elif isinstance(said, str) and said.lstrip().startswith("{"):
            body = _parsed(said)
        else:
            break
    return code, message


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
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _retry_policy() -> Any:
    from azure.core.pipeline.policies import RetryPolicy  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    class CappedRetry(RetryPolicy):
        """The SDK's retries, with a cap on what a server may ask to wait."""

        def get_retry_after(self, response: Any) -> Any:
            asked = super().get_retry_after(response)
            return min(asked, LONGEST_RETRY_AFTER) if asked else asked

    return CappedRetry(retry_total=4, retry_backoff_factor=0.4, timeout=180)


def _local_profile(running: LocalCloud) -> CloudProfile:
    return CloudProfile("local", running.arm, f"{running.arm}/.default", running.authority, "http", None)


def _local_credential(running: LocalCloud) -> TokenCredential:
    from azure.identity import ClientSecretCredential  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    return ClientSecretCredential(
        running.tenant_id,
        running.client_id,
        running.client_secret,
        authority=running.authority,
        disable_instance_discovery=True,
        connection_verify=str(running.ca_file),
    )


def _azure_credential(settings: Settings, cloud: AzureCloud, tenant_id: str | None) -> TokenCredential:
    if settings.tokens is not None:
        return _AskingCredential(settings.tokens, cloud, tenant_id)
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    authority = settings.environ.get("AZURE_AUTHORITY_HOST", AZURE_PROFILES[cloud].authority)
    return _TerminalCredential(DefaultAzureCredential(authority=authority, exclude_interactive_browser_credential=True))


class _TerminalCredential:
    """The terminal's sign-in. Where there is none, one line says what to do in place of the SDK's list of nine attempts."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        try:
            return self._credential.get_token(*scopes, **options)
        except ClientAuthenticationError as error:
            raise ClientAuthenticationError(message="not signed in") from signed_out(str(error.message))


def signed_out(attempts: str) -> NotSignedIn:
    """From the SDK's list of attempts: the sign-in service's own refusal where one attempt got so far (Entra's codes begin
    with AADSTS), else that nobody is signed in."""
    refusal = next((line.strip() for line in attempts.splitlines() if "AADSTS" in line), None)
    if refusal is not None:
        return NotSignedIn(
            Text("The sign-in was refused: {reason}", reason=refusal[:400]),
            Text("Run az login, or correct AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."),
        )
    return NotSignedIn(
        Text(
            "You are not signed in to Azure: run az login (or, without a person, set AZURE_TENANT_ID, AZURE_CLIENT_ID "
            "and AZURE_CLIENT_SECRET)."
        )
    )


class _AskingCredential:
    """Asks VS Code for a token when one is needed; keeps it in memory until five minutes before it expires."""

    def __init__(self, tokens: TokenSource, cloud: AzureCloud, tenant_id: str | None) -> None:
        self._tokens = tokens
        self._cloud: AzureCloud = cloud
        self._tenant_id = tenant_id
        self._kept: dict[tuple[str, ...], AccessToken] = {}

    def get_token(self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, **_: Any) -> AccessToken:
        from azure.core.credentials import AccessToken  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        tenant = tenant_id or self._tenant_id
        key = (tenant or "", *scopes)
        kept = self._kept.get(key)
        if kept is not None and claims is None and kept.expires_on - time.time() > 300:
            return kept
        try:
            token, expires_on = self._tokens(self._cloud, list(scopes), tenant, claims)
        except NotSignedIn as error:
            raise ClientAuthenticationError(message=str(error)) from error
        made = AccessToken(token, expires_on)
        self._kept[key] = made
        return made


def portal_link(session: Session, group_id: str, deployment: str) -> str | None:
    """Where the deployment is shown in the cloud's portal; the local cloud has none."""
    if session.profile.portal is None:
        return None
    resource = quote(f"{group_id}/providers/Microsoft.Resources/deployments/{deployment}", safe="")
    return f"{session.profile.portal}/#view/HubsExtension/DeploymentDetailsBlade/~/overview/id/{resource}"
