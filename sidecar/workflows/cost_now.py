"""Reads what an app costs now: its profile and the price list, each no more often than it changes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.decisions.cost_now import NO_GPU, cost_now
from sidecar.decisions.prices import Price, is_dedicated
from sidecar.decisions.profiles import kind_of
from sidecar.decisions.signs import has_place
from sidecar.gateway import apps
from sidecar.gateway.place import AppPlace
from sidecar.gateway.revisions import Replica
from sidecar.words.errors import CloudError
from sidecar.words.text import Text
from sidecar.workflows.spending import hour_of

KEPT_SECONDS = 3600.0
"""A look at the view reads neither profile nor price list again within this time. What was not readable is read again at once."""


@dataclass(frozen=True)
class _Hour:
    """`price` None: no GPU. `nodes`: that a dedicated profile keeps."""

    price: Price | None
    nodes: int | None
    until: float


_KEPT: dict[str, _Hour] = {}
"""Of this process, by app and by all that its price hangs on."""


def cost_of(place: AppPlace, app: apps.App, running: Sequence[Replica]) -> tuple[Text, ...]:
    """Nothing is sent to the endpoint. What can't be read is told as unknown; where prices are made up, that comes first."""
    note = place.around.session.profile.prices_note
    return (*(() if note is None else (note,)), _told(place, app, running))


def _told(place: AppPlace, app: apps.App, running: Sequence[Replica]) -> Text:
    key = json.dumps(
        [place.around.session.profile.arm, app.environment_id, app.profile, app.location, app.template], default=str
    )
    hour = _KEPT.get(key)
    if hour is None or hour.until < time.monotonic():
        try:
            hour = _read(place, app)
        except CloudError as error:
            return Text("unknown: {source}", source=error.message)
        if hour.price is None or hour.price.awake is not None:
            _KEPT[key] = hour
    if hour.price is None:
        return NO_GPU
    began = [each.created for each in running if has_place(each)]
    return cost_now(hour.price, began, time.time(), nodes=hour.nodes)


def _read(place: AppPlace, app: apps.App) -> _Hour:
    until = time.monotonic() + KEPT_SECONDS
    price = hour_of(place, app)
    if price is None:
        return _Hour(None, None, until)
    environment = apps.environment(place.around, app.environment)
    kind = None if environment is None else kind_of(environment, app.profile)
    if environment is None or kind is None or not is_dedicated(kind):
        return _Hour(price, None, until)
    profiles = [each for each in environment.profiles if each.get("name") == app.profile]
    least = next((each.get("minimumCount") for each in profiles), 0)
    return _Hour(price, least if isinstance(least, int) else 0, until)
