"""The base that the container fetches from a hub: what an app that exists has of what the parameters state. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.words.text import Text

TOKEN, TOKEN_SECRET = "SLIPWAY_HUB_TOKEN", "slipway-hub-token"
"""The server's variable, and the app's secret that it comes from, as the template calls it."""


def token_change(stated: str, env: Mapping[str, str], secrets: Mapping[str, str]) -> Text | None:
    """What of an app is to be changed; None where it has the token. `env`: its variables that come from secrets, each with the
    secret's name. `secrets`: its own."""
    if not stated or (env.get(TOKEN) == TOKEN_SECRET and secrets.get(TOKEN_SECRET) == stated):
        return None
    return Text("The app gets a token for the hub, as a secret.")
