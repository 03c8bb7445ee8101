"""Who is signed in, by name: written beside what that person deploys."""

from __future__ import annotations

import base64
import getpass
import json
import platform
from typing import Any, cast

from sidecar.gateway.session import Session

NAMES = ("upn", "preferred_username", "unique_name", "email", "name", "app_displayname", "appid", "oid")
"""Claims of Entra's tokens that name a person, or an application where it is none; the first that is there."""


def signed_in_as(session: Session) -> str:
    """From the token's own claims, which are not checked here: the name says who it was, it opens nothing. On the local cloud,
    which has one principal for everybody, this machine's user."""
    if session.names_who_asks:
        claims = _claims(session.credential.get_token(session.profile.scope).token)
        for each in NAMES:
            if isinstance(claims.get(each), str) and claims[each]:
                return str(claims[each])
    return f"{_user()} on {platform.node() or 'this machine'}"


def token_tenant(session: Session) -> str | None:
    """The tenant that a person's token is for; None where nobody signs in, or it does not say."""
    if not session.names_who_asks:
        return None
    tenant = _claims(session.credential.get_token(session.profile.scope).token).get("tid")
    return tenant if isinstance(tenant, str) else None


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}  # no JWT: nobody is named
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "somebody"
