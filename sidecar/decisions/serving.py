"""Decisions about an app that is there: whose it is, which revision serves, which addresses are its own and get its key."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from sidecar.gateway.apps import App, Replica, Revision
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text

TOLERATED_RESTARTS = 3
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """Where an app is asked, and what the workspace's file says beside that.

    `url` is the app's own address and gets the key, where there is one (`own`). `elsewhere` is the address that the file
    names when that is not the app's: it is asked without the key, for whoever may change a file in a repository must not be
    able to collect the keys of those who open it."""

    url: str
    own: bool
    elsewhere: str | None


def is_ours(app: App) -> bool:
    """Whether the app starts releases; one made by hand reads a plain tree and has no health routes."""
    return "SLIPWAY_RELEASE" in app.env and "SLIPWAY_APP" in app.env


def serving_revision(app: App, revisions: list[Revision]) -> str:
    """The revision that gets the traffic: by weight, or the latest where the app says so."""
    if app.mode == "Single" or any(name is None and weight > 0 for name, weight in app.traffic) or not app.traffic:
        chosen = app.latest_revision
    else:
        chosen = max(app.traffic, key=lambda each: each[1])[0]
    active = {each.name: each for each in revisions if each.active}
    if chosen is None or chosen not in active:
        raise EndpointError(
            Text("The container app {name} has no active revision that gets traffic.", name=app.name),
            Text("Run Provision again, or activate a revision in the portal."),
            code="NoActiveRevision",
        )
    return chosen


def own_hosts(app: App, revisions: list[Revision]) -> frozenset[str]:
    """Every `host` or `host:port` at which the app itself answers: its name, its revisions' and labels', its domains."""
    fqdn = (app.fqdn or "").lower()
    first, _, rest = fqdn.partition(".")
    labelled = [f"{first}---{label.lower()}.{rest}" for label in app.labels if first == app.name.lower()]
    named = [fqdn, *(each.fqdn or "" for each in revisions), *labelled, *app.custom_domains]
    return frozenset(each.lower().rstrip(".") for each in named if each)


def address_of(endpoint: str, scheme: str, app: App, revisions: list[Revision]) -> Address:
    """`endpoint` as the workspace's file names it: a bare host, a host with a port, or a URL. `scheme`: the cloud's.

    What gets the key is put together from the app's own host, never taken from the file: two readings of one strange
    address can't differ."""
    named = endpoint.strip().rstrip("/")
    whole = named if "://" in named else f"{scheme}://{named}"
    host = _plain_host(whole, scheme)
    if host is not None and host in own_hosts(app, revisions):
        return Address(f"{scheme}://{host}", own=True, elsewhere=None)
    if app.fqdn:
        return Address(f"{scheme}://{app.fqdn.lower()}", own=True, elsewhere=whole)
    return Address(whole, own=False, elsewhere=whole)


def elsewhere_note(elsewhere: str, app: App, answers: bool | None) -> Text:
    """What a person is told when the file names another host than the app's. `answers` None: it was not asked."""
    facts = {"file": "infra/inference.config.json", "named": elsewhere, "name": app.name, "own": app.fqdn or "–"}
    if answers is None:
        return Text(
            "{file} names {named}, which is no address of the container app {name} ({own}). "
            "The API key is not sent there.",
            **facts,
        )
    if answers:
        return Text(
            "{file} names {named}, which is no address of the container app {name} ({own}). "
            "It was asked without the API key; something answers there.",
            **facts,
        )
    return Text(
        "{file} names {named}, which is no address of the container app {name} ({own}). "
        "It was asked without the API key; nothing useful answers there.",
        **facts,
    )


def crashed(replicas: list[Replica]) -> Replica | None:
    """A replica whose container ended so often that waiting for it is no use."""
    return next((each for each in replicas if each.restarts >= TOLERATED_RESTARTS), None)


def crash_text(replica: Replica) -> Text:
    return Text(
        "The container of {name} ended {count} times ({detail}).",
        name=replica.name,
        count=replica.restarts,
        detail=replica.details or replica.state,
    )


def _plain_host(url: str, scheme: str) -> str | None:
    """`host`, or `host:port` where the port is not the scheme's; None for anything that is not simply an address."""
    parts = _split(url)
    if parts is None or parts.scheme.lower() != scheme or "@" in parts.netloc or "\\" in url:
        return None
    try:
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").rstrip(".")
    return host if port in (None, DEFAULT_PORTS[scheme]) else f"{host}:{port}"


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
