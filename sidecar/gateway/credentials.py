"""Who signs in: the local cloud's own principal, VS Code's session, or a terminal's login."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from sidecar.gateway.local import LocalCloud
from sidecar.gateway.trust import way_out
from sidecar.words.errors import CloudError, NotSignedIn, Unreachable
from sidecar.words.names import AzureCloud
from sidecar.words.text import Text

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

_NO_CONNECTION = re.compile(
    r"(Environment|AzureCli)Credential.*(Failed to establish|Unable to connect to proxy|Failed to resolve|NameResolution|"
    r"Connection refused|Max retries exceeded|timed out|certificate.verify.failed)",
    re.IGNORECASE,
)
"""Words of urllib3 and requests, in the lines of sign-ins that a person has set up: managed identity is tried everywhere."""


class TokenSource(Protocol):
    """Whoever can sign a person in; `silent`: without asking. Returns the token and its expiry in epoch seconds; raises
    NotSignedIn."""

    def __call__(
        self, cloud: AzureCloud, scopes: list[str], tenant_id: str | None, claims: str | None, silent: bool
    ) -> tuple[str, int]: ...


class Renewable(Protocol):
    """What signs in for the SDKs, and forgets a token that was refused before its time."""

    def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, **_: Any
    ) -> AccessToken: ...

    def renew(self) -> None:
        """The next token is asked for, not one that is kept."""
        ...


class Remade:
    """A credential of the SDK, which keeps tokens until they expire by this machine's clock: made anew to be renewed."""

    def __init__(self, make: Callable[[], TokenCredential]) -> None:
        self._make = make
        self._made = make()

    def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, **options: Any
    ) -> AccessToken:
        asked = {"claims": claims, "tenant_id": tenant_id}
        return self._made.get_token(*scopes, **{name: each for name, each in asked.items() if each}, **options)

    def renew(self) -> None:
        self._made = self._make()


def local_credential(running: LocalCloud) -> Renewable:
    from azure.identity import ClientSecretCredential  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    return Remade(
        lambda: ClientSecretCredential(
            running.tenant_id,
            running.client_id,
            running.client_secret,
            authority=running.authority,
            disable_instance_discovery=True,
            connection_verify=str(running.ca_file),
            use_env_settings=False,  # a proxy is for what lies beyond this machine
        )
    )


def azure_credential(
    tokens: TokenSource | None, cloud: AzureCloud, authority: str, tenant_id: str | None, *, silent: bool
) -> Renewable:
    """Without `tokens`, a terminal: the Azure CLI's or the environment's login. `tenant_id` None: the person's own."""
    if tokens is not None:
        return _AskingCredential(tokens, cloud, tenant_id, silent)
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    return _TerminalCredential(
        Remade(
            lambda: DefaultAzureCredential(
                authority=authority, exclude_interactive_browser_credential=True, additionally_allowed_tenants=["*"]
            )
        ),
        tenant_id,
    )


class _TerminalCredential:
    """The terminal's sign-in. Where there is none, one line says what to do in place of the SDK's list of nine attempts."""

    def __init__(self, credential: Renewable, tenant_id: str | None) -> None:
        self._credential = credential
        self._tenant: dict[str, Any] = {} if tenant_id is None else {"tenant_id": tenant_id}

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        try:
            return self._credential.get_token(*scopes, **{**self._tenant, **options})
        except ClientAuthenticationError as error:
            raise ClientAuthenticationError(message="not signed in") from signed_out(str(error.message))

    def renew(self) -> None:
        self._credential.renew()


def signed_out(attempts: str) -> CloudError:
    """From the SDK's list of attempts: the sign-in service's own refusal where one attempt got so far (Entra's codes begin
    with AADSTS), that it could not be asked, else that nobody is signed in."""
    refusal = next((line.strip() for line in attempts.splitlines() if "AADSTS" in line), None)
    if refusal is not None:
        return NotSignedIn(
            Text("The sign-in was refused: {reason}", reason=refusal[:400]),
            Text("Run az login, or correct AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."),
        )
    lost = next((line.strip() for line in attempts.splitlines() if _NO_CONNECTION.search(line)), None)
    if lost is not None:
        return Unreachable(Text("The sign-in service can't be reached: {reason}", reason=lost[:400]), way_out(lost))
    return NotSignedIn(
        Text(
            "You are not signed in to Azure: run az login (or, without a person, set AZURE_TENANT_ID, AZURE_CLIENT_ID "
            "and AZURE_CLIENT_SECRET)."
        )
    )


class _AskingCredential:
    """Asks VS Code for a token when one is needed; keeps it in memory until five minutes before it expires."""

    def __init__(self, tokens: TokenSource, cloud: AzureCloud, tenant_id: str | None, silent: bool) -> None:
        self._tokens = tokens
        self._cloud: AzureCloud = cloud
        self._tenant_id = tenant_id
        self._silent = silent
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
            token, expires_on = self._tokens(self._cloud, list(scopes), tenant, claims, self._silent)
        except NotSignedIn as error:
            raise ClientAuthenticationError(message=str(error)) from error
        made = AccessToken(token, expires_on)
        self._kept[key] = made
        return made

    def renew(self) -> None:
        self._kept.clear()
