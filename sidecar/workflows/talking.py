"""Talks to the supervisor of the container whose server is exchanged: hears a cancel meanwhile, and drops what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sidecar.core.journal import Journal
from sidecar.gateway.exchange import POLL_SECONDS, Exchange, NotReached, Supervisor
from sidecar.words.errors import EndpointError, SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.restart import answered

T = TypeVar("T")


class Talk:
    def __init__(self, supervisor: Supervisor, journal: Journal, app: str, url: str) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._app = app
        self._url = url

    def asked(self, ask: Callable[[], T], seconds: float = 15) -> T:
        """On a thread of its own, so that a cancel is heard meanwhile."""
        got = answered(self._journal, lambda: (ask(),), seconds)
        if got is None:
            raise NotReached(
                Text("The container at {url} did not answer in time.", url=self._url),
                Text("Look at its status, then try again."),
            )
        return got[0]

    def look(self) -> Exchange:
        """Of a container that has taken this key before."""
        seen = self.asked(self._supervisor.look)
        if seen is None:
            raise EndpointError(
                Text("The container of {app} does not take releases any more.", app=self._app),
                Text("Run Deploy again."),
                code="DeployKeyRefused",
            )
        return seen

    def next(self, seq: int) -> Exchange:
        return self.asked(lambda: self._supervisor.follow(seq), POLL_SECONDS + 5)

    def dropped(self, release: str) -> bool:
        """Drops what is still starting there; whether nothing of it goes on. That it has ended already, or can't be reached,
        changes nothing of why this run ends."""
        try:
            seen = self._supervisor.look()
            if seen is not None and seen.under_way and seen.release == release:
                self._supervisor.discard()
                return True
        except SlipwayError as error:
            self._journal.log(Text("The exchange could not be dropped: {problem}", problem=error.message), "warning")
            return False
        return seen is not None and seen.running != release  # else it has taken over meanwhile
