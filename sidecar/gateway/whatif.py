"""What ARM says that a deployment would change, asked without changing anything."""

from __future__ import annotations

import time
from typing import Any, cast

from sidecar.gateway.patience import Patience
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
        poller = place.session.once_free(
            doing,
            lambda: client.deployments.begin_what_if(place.group, name, body, polling_interval=FIRST_LOOK),
            repeatable=True,
        )
        found: Any = _result(place.session.patience, doing, poller)
        said = cast("dict[str, Any]", found.as_dict())
    if said.get("error"):
        code, message = innermost_of(said["error"])
        raise CloudError(Text("{doing}: {message}", doing=doing, message=message), code=code or "WhatIfFailed")
    inside = cast("dict[str, Any]", said.get("properties") or said)  # the SDK flattens it, or does not
    return cast("list[dict[str, Any]]", inside.get("changes") or [])


def _result(patience: Patience, doing: Text, poller: Any) -> Any:
    """Nothing is under way meanwhile: a cancel ends the wait, and there is nothing to tell of."""
    deadline = patience.deadline(SECONDS)
    while not poller.done():
        if time.monotonic() > deadline:
            raise CloudError(
                Text("{doing}: no answer in {seconds} s.", doing=doing, seconds=SECONDS), code="OperationTimeout"
            )
        patience.wait(0.1)
    return poller.result()
