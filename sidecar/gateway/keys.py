"""An app's key and the one before it: secrets of the app, changed in one write, every other secret kept as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sidecar.gateway.apps import WRITE_SECONDS, Login, app_state, client_of, writable
from sidecar.gateway.place import AppPlace
from sidecar.gateway.translation import translated
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text


def write_secrets(
    place: AppPlace,
    values: Mapping[str, str],
    template: dict[str, Any] | None = None,
    login: Login | None = None,
) -> None:
    """By PATCH, which replaces the list as a whole: so every other secret is stated again. A changed secret reaches a replica
    with its next start only. `template`: changed in the same write, which makes a revision. `login`: for a registry, in place of
    the one that the app has for that."""
    doing = Text("Changing the secrets of {name}", name=place.name)
    with translated(doing), client_of(place) as client:
        found = client.container_apps.get(place.group, place.name)
        configuration = None if found.properties is None else found.properties.configuration
        known = client.container_apps.list_secrets(place.group, place.name).value or []
        shown = [] if configuration is None else [each.as_dict() for each in configuration.secrets or []]
        stated = stated_again(shown, {str(each.name): str(each.value or "") for each in known}, values)
        properties: dict[str, Any] = {"configuration": {"secrets": stated}}
        if template is not None:
            properties["template"] = writable(template)
        body: dict[str, Any] = {"location": found.location, "properties": properties}
        if login is not None:
            held = [] if configuration is None else [each.as_dict() for each in configuration.registries or []]
            properties["configuration"]["registries"] = logins_with(held, login)
            identity = None if found.identity is None else found.identity.as_dict()
            body |= {"identity": wider} if (wider := identity_with(identity, login.identity)) else {}
        place.around.session.completed(
            doing,
            lambda: client.container_apps.begin_update(place.group, place.name, body),
            WRITE_SECONDS,
            lambda: app_state(client, place),
        )


def stated_again(
    shown: list[dict[str, Any]], known: Mapping[str, str], values: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The whole list: what a key vault holds stays a reference, what the app holds keeps its value. Pure."""
    kept: list[dict[str, Any]] = []
    for each in shown:
        name = str(each.get("name"))
        if name in values:
            if each.get("keyVaultUrl"):
                raise WorkspaceError(
                    Text("The secret {name} is in a key vault: Slipway does not change it there.", name=name),
                    Text("Change it in the key vault, then restart the app with a deploy."),
                    code="KeyInVault",
                )
            continue
        kept.append(each if each.get("keyVaultUrl") else {"name": name, "value": known.get(name, "")})
    return [*kept, *({"name": name, "value": value} for name, value in values.items())]


def logins_with(held: list[dict[str, Any]], login: Login) -> list[dict[str, Any]]:
    """The whole list, which a PATCH replaces. Pure."""
    kept = [
        {name: value for name, value in each.items() if value}
        for each in held
        if str(each.get("server")).lower() != login.server.lower()
    ]
    if login.identity:
        return [*kept, {"server": login.server, "identity": login.identity}]
    return [*kept, {"server": login.server, "username": login.user, "passwordSecretRef": login.secret}]


def identity_with(held: dict[str, Any] | None, needed: str) -> dict[str, Any] | None:
    """The app's identities with one more; None where it has that, or none is needed. Pure."""
    kind = str((held or {}).get("type") or "None")
    assigned = cast("dict[str, Any]", (held or {}).get("userAssignedIdentities") or {})
    has_system = "SystemAssigned" in kind
    if not needed or (needed == "system" and has_system) or needed.lower() in {each.lower() for each in assigned}:
        return None
    if needed == "system":
        return {"type": "SystemAssigned,UserAssigned" if assigned else "SystemAssigned"}
    whole = {each: dict[str, object]() for each in (*assigned, needed)}
    return {"type": "SystemAssigned,UserAssigned" if has_system else "UserAssigned", "userAssignedIdentities": whole}


def with_variable(template: dict[str, Any], name: str, secret: str) -> dict[str, Any]:
    """The app's template with a variable of the first container that comes from a secret; as it was, where it has it. Pure."""
    first, *others = cast("list[dict[str, Any]]", template["containers"])
    env = [each for each in first.get("env") or [] if each.get("name") != name]
    return {**template, "containers": [{**first, "env": [*env, {"name": name, "secretRef": secret}]}, *others]}
