"""What ARM says that a deployment would change, asked without changing anything."""

from __future__ import annotations

from typing import Any, cast

from sidecar.gateway.place import GroupPlace
from sidecar.gateway.resources import deployments_client
from sidecar.gateway.translation import innermost_of, translated
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

SECONDS = 120
FIRST_LOOK = 0.3
"""Seconds to the first look, where the answer names no Retry-After."""


def what_if(
    place: GroupPlace, name: str, template: dict[str, object], parameters: dict[str, dict[str, object]]
) -> list[dict[str, Any]]:
    """ARM's own list of changes, as it gives it: what decides what of it is meant, is elsewhere."""
    doing = Text("Asking what the deployment would change")
    body: Any = {"properties": {"mode": "Incremental", "template": template, "parameters": parameters}}
    with translated(doing), deployments_client(place.session, place.subscription_id) as client:
        found = place.session.answer_of(
            doing,
            lambda: client.deployments.begin_what_if(place.group, name, body, polling_interval=FIRST_LOOK),
            SECONDS,
        )
        said = cast("dict[str, Any]", found.as_dict())
    if said.get("error"):
        code, message = innermost_of(said["error"])
        raise CloudError(Text("{doing}: {message}", doing=doing, message=message), code=code or "WhatIfFailed")
    inside = cast("dict[str, Any]", said.get("properties") or said)  # the SDK flattens it, or does not
    return cast("list[dict[str, Any]]", inside.get("changes") or [])
