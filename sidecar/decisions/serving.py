"""Decisions about an app that is there: whose it is, which revision serves, which addresses are its own and get its key."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from sidecar.gateway.apps import App, Mount
from sidecar.gateway.revisions import Revision
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """Where an app is asked, with its key, and what the workspace's file says beside that.

    `elsewhere` is the address that the file names when it is not where this app's traffic goes: the key is not sent there, for
    whoever may change a file in a repository must not be able to collect the keys of those who open it. `another_revision`:
    it is the app's own all the same."""

    url: str
    elsewhere: str | None = None
    another_revision: bool = False


def is_ours(app: App) -> bool:
    """Whether the app starts releases; one made by hand reads a plain tree and has no health routes."""
    return "SLIPWAY_RELEASE" in app.env and "SLIPWAY_APP" in app.env


def script_of(app: App) -> str:
    """The commands of our start."""
    return app.args[-1] if app.args else ""


def serving_revision(app: App, revisions: list[Revision]) -> Revision:
    """The revision that answers now: of those that may get traffic the newest that works, else the newest.

    Weight, provisioning state and the app's own words on what is ready say what is meant, not what works."""
    eligible = _eligible(app, revisions)
    return next((each for each in eligible if each.healthy), eligible[0])


def revision_to_deploy(app: App, revisions: list[Revision]) -> Revision:
    """The revision that a release is started on: the one that is meant to get the traffic. In Single mode a newest revision
    that has failed gets none, and the one before goes on serving: then it is that one."""
    eligible = _eligible(app, revisions)
    meant = eligible[0]
    if app.mode == "Single" and (meant.health == "Unhealthy" or meant.state in ("Failed", "Degraded")):
        return serving_revision(app, revisions)
    return meant


def revision_to_activate(app: App, revisions: list[Revision]) -> Revision | None:
    """An app without any active revision was stopped, or a Deploy was killed between ending the old replica and starting the
    new one: the newest revision is to run again."""
    if not revisions or any(each.active for each in revisions):
        return None
    return next((each for each in revisions if each.name == app.latest_revision), max(revisions, key=_age))


def _eligible(app: App, revisions: list[Revision]) -> list[Revision]:
    """Active revisions that traffic may go to, the one that is meant first: by weight where the app names revisions (mode
    Multiple), else by age."""
    active = sorted((each for each in revisions if each.active), key=_age, reverse=True)
    weights = {name: weight for name, weight in app.traffic if weight > 0}
    if app.mode != "Single" and weights and None not in weights:
        named = [each for each in active if each.name in weights]
        active = sorted(named, key=lambda each: weights[each.name], reverse=True)
    elif (latest := next((each for each in active if each.name == app.latest_revision), None)) is not None:
        active = [latest, *(each for each in active if each is not latest)]
    if not active:
        raise EndpointError(
            Text("The container app {name} has no active revision that gets traffic.", name=app.name),
            Text(
                "Activate the revision that its traffic names, or send the traffic to one that is active, in the portal."
            ),
            code="NoActiveRevision",
        )
    return active


def _age(revision: Revision) -> tuple[str, str]:
    return revision.created, revision.name


def plain_tree_mount(app: App) -> Mount | None:
    """The mount that the commands change into; None for an app whose commands run from a release.

    Our own start does the same (`cd /mount`), and an app that was made by hand knows nothing else."""
    script = " ".join((*app.command, *app.args)) if not is_ours(app) else " ".join(app.args)
    entered = [each for each in app.mounts if each.path and f"cd {each.path}" in script]
    if entered:
        return entered[0]
    if is_ours(app):
        return None
    return app.mounts[0] if app.mounts else Mount("", "")


def release_mount(app: App) -> Mount | None:
    """The mount that our start reads releases from."""
    path = app.env.get("SLIPWAY_MOUNT", "")
    return next((each for each in app.mounts if each.path == path), None)


def address_of(endpoint: str, scheme: str, app: App, revisions: list[Revision], serving: str) -> Address:
    """`endpoint` as the workspace's file names it: a bare host, a host with a port, or a URL. `scheme`: the cloud's. `serving`:
    the revision that gets the traffic.

    What gets the key is put together from the app's own host, never taken from the file: two readings of one strange
    address can't differ. Raises EndpointError for an app without ingress: nobody but a stranger could be asked then."""
    if not app.fqdn:
        raise EndpointError(
            Text("The container app {name} has no ingress: nothing can be asked of it.", name=app.name),
            Text("Give it an external ingress in the portal, then try again."),
            code="NoIngress",
        )
    named = endpoint.strip().rstrip("/")
    whole = named if "://" in named else f"{scheme}://{named}"
    host, own = _plain_host(whole, scheme), f"{scheme}://{app.fqdn.lower()}"
    if host is None:
        return Address(own, whole)
    if host in {_bare(each) for each in (app.fqdn, *app.custom_domains)}:
        return Address(f"{scheme}://{host}")
    behind = _revision_hosts(app, revisions)
    if host not in behind:
        return Address(own, whole)
    return Address(f"{scheme}://{host}") if behind[host] == serving else Address(own, whole, another_revision=True)


def elsewhere_note(address: Address, app: App, answered: int | None, *, asked: bool) -> Text | None:
    """What a person is told when the file names another host than the one that is asked; None when it doesn't. `answered`: the
    HTTP status, where it was `asked` without the key and something answered."""
    if address.elsewhere is None:
        return None
    facts = {"file": "infra/inference.config.json", "named": address.elsewhere, "name": app.name, "own": address.url}
    if address.another_revision:
        return Text(
            "{file} names {named}, the address of another revision of {name} than the one that gets the traffic: "
            "{own} is asked in its place.",
            **facts,
        )
    if not asked:
        return Text(
            "{file} names {named}, which is no address of the container app {name} ({own}). "
            "The API key is not sent there.",
            **facts,
        )
    if answered is None:
        return Text(
            "{file} names {named}, which is no address of the container app {name} ({own}). "
            "It was asked without the API key; nothing answered.",
            **facts,
        )
    return Text(
        "{file} names {named}, which is no address of the container app {name} ({own}). "
        "It was asked without the API key; it answered {status}.",
        status=answered,
        **facts,
    )


def _revision_hosts(app: App, revisions: list[Revision]) -> dict[str, str | None]:
    """Every host of one revision alone, by its own name and by its labels', and which revision that is."""
    first, _, rest = (app.fqdn or "").lower().partition(".")
    labelled = {
        f"{first}---{label.lower()}.{rest}": revision or app.latest_revision
        for label, revision in app.labels
        if first == app.name.lower()
    }
    return {**labelled, **{_bare(each.fqdn): each.name for each in revisions if each.fqdn}}


def _bare(host: str) -> str:
    return host.lower().rstrip(".")


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
