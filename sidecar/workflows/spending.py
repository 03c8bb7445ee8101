"""Watches what a start costs that answers nobody: tells it, and stops the app where the person wants that."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from sidecar.core.journal import Journal
from sidecar.decisions.plan_cost import size_of
from sidecar.decisions.price_table import SOURCE, TABLE
from sidecar.decisions.prices import UNKNOWN, Price, is_dedicated, price_of
from sidecar.decisions.profiles import kind_of
from sidecar.decisions.restart import has_gpu
from sidecar.decisions.signs import BEGUN, has_place
from sidecar.decisions.spending import WAY_OUT, Spent, overdue_after, unused
from sidecar.gateway import apps, offers, whole_app
from sidecar.gateway.log_lines import SystemEvent, system_event
from sidecar.gateway.logs import last_lines
from sidecar.gateway.place import AppPlace
from sidecar.gateway.revisions import Replica
from sidecar.words.errors import CloudError, EndpointError
from sidecar.words.text import Text
from sidecar.workflows.prices import meters_for
from sidecar.workflows.restart import Aim, Patience
from sidecar.workflows.watch import running_replicas

ANSWERED_SECONDS = 15.0
"""Until it is looked again, where a replica of the app is ready."""

LAST_EVENTS = 20
LOG_SECONDS = 4.0
"""For the end of the platform's log."""


class Meter:
    """One start. What is told is told again each time the sum has doubled."""

    def __init__(self, aim: Aim, journal: Journal, patience: Patience) -> None:
        self._aim = aim
        self._journal = journal
        self._stops = patience.stops
        self._next = overdue_after(aim.usual, patience.unanswered)
        self._since: float | None = None
        self._joined = True
        """Whether the replica had begun before anybody looked: how long it has taken by then is not known."""

    @property
    def took(self) -> float | None:
        """Seconds since a replica had a place to run; None where nobody saw it get one."""
        return None if self._since is None or self._joined else time.monotonic() - self._since

    def look(self, *, awake: bool) -> None:
        """`awake`: a replica has a place to run. Raises EndpointError once it has stopped the app: never one that answers."""
        if not awake:
            self._joined = False
            return
        self._since = self._since or time.monotonic()
        seconds = time.monotonic() - self._since
        if seconds < self._next:
            return
        if any(each.ready for each in running_replicas(self._aim.place)):
            self._next = seconds + ANSWERED_SECONDS  # what was before serves, or the new one does already
            return
        price = hour_of(self._aim.place, self._aim.app)
        if price is None:
            self._next = math.inf  # no GPU: nothing that is worth a word
            return
        self._next = 2 * seconds
        told = Spent(seconds, price).told
        self._journal.log(told, "warning")
        self._journal.progress(told)
        if self._stops:
            raise self._stopped(told)
        self._journal.log(WAY_OUT)

    def _stopped(self, told: Text) -> EndpointError:
        app = self._aim.app.name
        self._journal.step("stop", Text("Stopping {app}: nothing answers, and its GPU costs…", app=app))
        whole_app.stop(self._aim.place)
        return EndpointError(
            Text("{told} {app} was stopped: no GPU is awake any more, and no request wakes one.", told=told, app=app),
            Text("Correct the cause; AI Toolkit: Deploy for inference starts it again."),
            code="StoppedUnanswered",
        )


def hour_of(place: AppPlace, app: apps.App) -> Price | None:
    """List price of an hour of one replica awake; None where it has no GPU. What can't be read is unknown, with its reason."""
    try:
        environment = apps.environment(place.around, app.environment)
    except CloudError as error:
        return Price(None, None, "", error.message)
    kind = None if environment is None else kind_of(environment, app.profile)
    if kind is None or not has_gpu(kind):
        return None
    try:
        offer = offers.offers(place.around, app.location).get(kind) if is_dedicated(kind) else None
    except CloudError as error:
        return Price(None, None, "", error.message)
    size = size_of(kind, app.template, offer)
    if size is None:
        return Price(None, None, "", Text("The size of {type} can't be told", type=kind))
    meters, source = meters_for(place.around.session, app.location)
    price = price_of(kind, size, app.location, meters, source)
    if price.awake is None:
        quoted = price_of(kind, size, app.location, TABLE, SOURCE)
        return quoted if quoted.awake is not None else price
    return price


def spent_note(place: AppPlace, app: apps.App, running: Sequence[Replica], events: Sequence[SystemEvent]) -> list[Text]:
    """Of replicas none of which is ready: what they have cost since the first of them had a place to run, once that is worth a
    word. Nothing where the log does not tell since when."""
    names = {each.name for each in running if has_place(each)}
    began = min((each.at for each in events if each.replica in names and each.reason in BEGUN), default=0.0)
    seconds = time.time() - began
    if not began or seconds < overdue_after(None):
        return []
    price = hour_of(place, app)
    return [] if price is None else [Spent(seconds, price).told, WAY_OUT]


def unused_note(place: AppPlace, app: apps.App, now: float) -> list[Text]:
    """Of an app without a replica: what its dedicated profile costs all the same. Nothing where it can't be read: it is a word
    beside the state, which is told whole without it."""
    if not app.profile or app.event_stream is None:
        return []
    try:
        environment = apps.environment(place.around, app.environment)
        kind = None if environment is None else kind_of(environment, app.profile)
        if environment is None or kind is None or not is_dedicated(kind) or not has_gpu(kind):
            return []
        least = next((each.get("minimumCount") for each in environment.profiles if each.get("name") == app.profile), 0)
        if not isinstance(least, int) or least < 1:
            return []  # without a replica it has no node
        said = last_lines(place, app.event_stream, LAST_EVENTS, LOG_SECONDS)
        since = max((event.at for each in said if (event := system_event(each))), default=0.0)
        if unused(app.name, app.profile, least, since, now=now, price=UNKNOWN) is None:
            return []
        offer = offers.offers(place.around, app.location).get(kind)
        size = size_of(kind, app.template, offer)
        meters, source = meters_for(place.around.session, app.location)
    except CloudError:
        return []
    price = UNKNOWN if size is None else price_of(kind, size, app.location, meters, source)
    told = unused(app.name, app.profile, least, since, now=now, price=price)
    return [] if told is None else [told]
