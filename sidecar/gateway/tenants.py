"""Tenants: which one a subscription belongs to, and the subscriptions of all that a person is in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import httpx

from sidecar.gateway.patience import Patience
from sidecar.gateway.resources import Subscription, subscriptions
from sidecar.gateway.session import AZURE_PROFILES, Session, Settings, open_session
from sidecar.gateway.translation import translated
from sidecar.words.errors import NotSignedIn, SlipwayError, Unreachable
from sidecar.words.names import CloudName
from sidecar.words.text import Text

SECONDS = 20
_TENANT = re.compile(r'authorization_uri="https?://[^"]*/([0-9a-fA-F-]{36})"')


_FOUND: dict[tuple[str, str], str] = {}


def tenant_of(arm: str, subscription_id: str) -> str | None:
    """The tenant of a subscription, as ARM names it in refusing a request without a token; None where it names none.

    A token of another tenant is refused by everything in the subscription, and a project's files know only the subscription."""
    if known := _FOUND.get((arm, subscription_id)):
        return known
    url = f"{arm}/subscriptions/{quote(subscription_id, safe='')}"
    try:
        answer = httpx.get(url, params={"api-version": "2022-12-01"}, timeout=SECONDS)
    except httpx.HTTPError as error:
        raise Unreachable(
            Text("Looking for the subscription's tenant: no usable answer ({problem})", problem=error),
            Text("Check the network, a proxy and the system clock, then run the command again."),
        ) from error
    found = _TENANT.search(answer.headers.get("WWW-Authenticate", ""))
    if found is None:
        return None  # not kept: the next command may get a better answer
    return _FOUND.setdefault((arm, subscription_id), found[1])


def session_in(settings: Settings, cloud: CloudName, subscription_id: str | None, patience: Patience) -> Session:
    """A session in a subscription's own tenant, which may be one where the person is a guest, or in the one that was named."""
    if cloud not in AZURE_PROFILES or settings.tenant is not None or not subscription_id:
        return open_session(settings, cloud, settings.tenant, patience)
    tenant = tenant_of(AZURE_PROFILES[cloud].arm, subscription_id)
    return replace(open_session(settings, cloud, tenant, patience), home=tenant)


def tenants(session: Session) -> list[tuple[str, str]]:
    """Id and name of each tenant that the person is in, guests' included."""
    from azure.mgmt.resource.subscriptions import SubscriptionClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    with (
        translated(Text("Listing tenants")),
        SubscriptionClient(session.credential, **session.arm_options()) as client,
    ):
        return [(str(each.tenant_id), str(each.display_name or each.tenant_id)) for each in client.tenants.list()]


@dataclass(frozen=True)
class Listed:
    """`signed_out`: id and name of each tenant where the person would have to sign in first."""

    subscriptions: list[Subscription]
    problems: list[SlipwayError] = field(default_factory=list[SlipwayError])
    signed_out: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def subscriptions_of_all(home: Session, elsewhere: Callable[[str], Session]) -> Listed:
    """The subscriptions that a person can use, and what could not be listed. ARM lists those of the token's tenant only, so
    each further tenant is asked with a token of its own: `elsewhere` opens a session there that asks nobody to sign in."""
    found = {each.id: each for each in subscriptions(home)}
    problems: list[SlipwayError] = []
    signed_out: list[tuple[str, str]] = []
    seen = {each.tenant_id for each in found.values()}
    try:
        others = tenants(home)
    except SlipwayError as error:
        return Listed(list(found.values()), [error])
    for tenant, name in others:
        if tenant in seen:
            continue
        try:
            found |= {each.id: each for each in subscriptions(elsewhere(tenant)) if each.id not in found}
        except NotSignedIn:
            signed_out.append((tenant, name))
        except SlipwayError as error:
            message = Text("The tenant {name}: {problem}", name=name, problem=error.message)
            problems.append(type(error)(message, error.suggestion, code=error.code))
    return Listed(list(found.values()), problems, signed_out)
