"""The login that an image's registry wants: whether what is stated fits together, and what an app that exists has of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.decisions.checks import Check, failed, passed, warned
from sidecar.gateway.apps import App, Login
from sidecar.words.text import Text

PASSWORD_SECRET = "registry-password"  # noqa: S105  (a name)
"""The app's secret that holds the password, as the template calls it."""

SYSTEM = "system"
HUB = "docker.io"
"""Where an image without a host in its name comes from; it has other names."""

_HUBS = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "")
_IDENTITY = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.managedidentity/userassignedidentities/[^/]+",
    re.IGNORECASE,
)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?")


@dataclass(frozen=True)
class Stated:
    """What the parameters say; each empty where they do not."""

    server: str
    user: str
    password: str
    identity: str

    @property
    def anything(self) -> bool:
        return any((self.server, self.user, self.password, self.identity))

    @property
    def login(self) -> Login:
        return (
            Login(self.server, "", "", self.identity)
            if self.identity
            else Login(self.server, self.user, PASSWORD_SECRET, "")
        )


def stated_login(values: Mapping[str, object]) -> Stated:
    names = ("registryServer", "registryUser", "registryPassword", "registryIdentity")
    server, user, password, identity = (str(values.get(name) or "").strip() for name in names)
    return Stated(server, user, password, identity)


def registry_of(image: str) -> str:
    first, slash, _ = image.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return _plain(first) if named else HUB


def _plain(server: str) -> str:
    return HUB if server.lower() in _HUBS else server.lower()


def registry_check(stated: Stated, image: str, app: App | None) -> list[Check]:
    if not stated.anything:
        return []
    wrong = _wrong(stated, registry_of(image))
    if wrong is not None:
        return [wrong]
    if stated.identity == SYSTEM and app is None:
        return [
            warned(
                "registry",
                Text("The app's own identity is made with the app: it can't have the right to pull the image before."),
                Text("Name a user-assigned identity that has the role AcrPull on {server}.", server=stated.server),
                "registryIdentity",
            )
        ]
    return [passed("registry", Text("The image is pulled from {server} with a login.", server=stated.server))]


def _wrong(stated: Stated, needed: str) -> Check | None:
    if not stated.server:
        sentence = Text("A login is stated, and not for which registry.")
        return failed("registry", "NoRegistryServer", sentence, Text("Name it in registryServer."), "registryServer")
    if _HOST.fullmatch(stated.server.lower()) is None:
        sentence = Text("{server} is no registry: its host alone is needed, as acme.azurecr.io.", server=stated.server)
        return failed("registry", "InvalidRegistryServer", sentence, Text("Correct it."), "registryServer")
    if _plain(stated.server) != needed:
        return failed(
            "registry",
            "OtherRegistry",
            Text("The image comes from {needed}, and the login is for {server}.", needed=needed, server=stated.server),
            Text("Correct image or registryServer."),
            "registryServer",
        )
    if stated.identity:
        if stated.identity == SYSTEM or _IDENTITY.fullmatch(stated.identity):
            return None
        sentence = Text("{identity} is no identity: a resource id is needed, or system.", identity=stated.identity)
        return failed("registry", "InvalidRegistryIdentity", sentence, Text("Correct it."), "registryIdentity")
    if stated.user and stated.password:
        return None
    return failed(
        "registry",
        "NoRegistryLogin",
        Text("The login for {server} is not whole: it needs user and password, or an identity.", server=stated.server),
        Text("State registryUser and registryPassword, or registryIdentity."),
        "registryIdentity" if not stated.user else "registryPassword",
    )


def login_change(app: App, stated: Stated, secrets: Mapping[str, str]) -> Text | None:
    """What of an app that exists is to be changed; None where it has the login that is stated. `secrets`: its own."""
    if not stated.server:
        return None
    wanted = stated.login
    has = next((each for each in app.logins if _plain(each.server) == _plain(stated.server)), None)
    same = has is not None and (has.user, has.identity.lower()) == (wanted.user, wanted.identity.lower())
    if same and has is not None and (wanted.identity or secrets.get(has.secret) == stated.password):
        return None
    if has is None:
        return Text("The app gets a login for the registry {server}.", server=stated.server)
    return Text("The login for the registry {server} changes.", server=stated.server)
