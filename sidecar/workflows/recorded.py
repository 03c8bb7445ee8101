"""Which release an app without a replica would start: read from the share's record, so that nothing is woken."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.workspace import Target
from sidecar.decisions.serving import is_ours
from sidecar.gateway import apps
from sidecar.gateway.files import open_share
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.publish import destination, home_of
from sidecar.workflows.records import current_on, has_served
from sidecar.workflows.restart import answered

SECONDS = 5
"""A look is short: a share that can't be reached is tried for longer by the SDK, and told."""


@dataclass(frozen=True)
class Recorded:
    """Empty and None where none is known. `unseen`: nobody has seen it answer. `problem`: why it could not be read."""

    release: str | None = None
    generation: int | None = None
    unseen: bool = False
    problem: Text | None = None

    @property
    def doubt(self) -> Text | None:
        """What a person should know of a release that sleeps: how it starts, nobody has seen."""
        if not self.unseen or self.release is None:
            return None
        return Text(
            "Nobody has seen release {digest} (generation {number}) answer yet: the first request starts it. Its log tells how "
            "the last start went.",
            digest=self.release[:12],
            number=self.generation,
        )


def recorded(place: AppPlace, app: apps.App, target: Target) -> Recorded:
    pinned = app.env.get("SLIPWAY_RELEASE", "current")
    if not is_ours(app):
        return Recorded()
    if pinned != "current":
        return Recorded(pinned)
    silent = Journal(None, "", lambda _: None, threading.Event())

    def read() -> Recorded:
        where = destination(place, app, target, silent)
        if where.plain:
            return Recorded()
        with open_share(place.around, where.share.account, where.share.share) as share:
            home = home_of(app, where)
            found = current_on(share, home)
            if found is None:
                return Recorded()
            return Recorded(found.release, found.number, unseen=not has_served(share, home, found.number))

    try:
        found = answered(silent, read, SECONDS)
    except SlipwayError as error:
        return Recorded(problem=Text("Which release is current can't be read: {problem}", problem=error.message))
    late = Text("Which release is current could not be read within {seconds} s.", seconds=SECONDS)
    return Recorded(problem=late) if found is None else found
