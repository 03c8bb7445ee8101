"""Who listens to an app's logs, and what its server is told to say: for the tests of logs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import httpx

from sidecar.core.journal import Event, Journal
from sidecar.decisions.excerpt import Line
from sidecar.words.errors import SlipwayError
from sidecar.workflows.logs import Wanted, logs
from tests.faults.situations.stage import Stage


@dataclass
class Heard:
    """What one look at the logs, or one that is followed, brought."""

    stage: Stage
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    problems: list[SlipwayError] = field(default_factory=list)

    def read(self, wanted: Wanted) -> list[Line]:
        def listen(event: Event) -> None:
            self.notes.append(str(event.text))

        journal = Journal(None, "", listen, self.stop)
        workspace, session = self.stage.project.workspace, self.stage.project.session
        logs(workspace, session, wanted, journal=journal, stop=self.stop, take=self.lines.append)
        return self.lines

    def follow(self, wanted: Wanted) -> threading.Thread:
        def run() -> None:
            try:
                self.read(wanted)
            except SlipwayError as error:
                self.problems.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def texts(self, beginning: str) -> list[str]:
        return [each.text for each in self.lines if each.text.startswith(beginning)]

    def end(self, thread: threading.Thread) -> None:
        self.stop.set()
        thread.join(timeout=120)
        assert not thread.is_alive()
        assert self.problems == []


def say(stage: Stage, text: str) -> None:
    httpx.post(f"{stage.url}/say", content=text, timeout=120, trust_env=False)


def awake(stage: Stage) -> bool:
    """Asks it something, so that it does not fall asleep: a replica that has gone takes its log with it."""
    httpx.get(f"{stage.url}/version", timeout=120, trust_env=False)
    return True


def end_container(stage: Stage) -> None:
    try:
        httpx.post(f"{stage.url}/end", timeout=60, trust_env=False)
    except httpx.HTTPError:
        return  # the server went with the request


def archived(stage: Stage, wanted: Wanted) -> Heard:
    heard = Heard(stage)
    heard.read(wanted)
    return heard
