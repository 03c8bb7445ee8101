"""Workflow *Logs*: the lines of an app's containers or of the platform, as they are held, or as they come until it is stopped.

It asks ARM, log streams and Log Analytics only: an app that sleeps goes on sleeping, and its next replica is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.decisions import excerpt
from sidecar.decisions.excerpt import Line
from sidecar.gateway import apps, revisions
from sidecar.gateway.log_archive import Asked
from sidecar.gateway.log_lines import ConsoleLine, SystemEvent, console_line, system_event
from sidecar.gateway.logs import TAIL, LogStreams, last_lines
from sidecar.gateway.place import AppPlace
from sidecar.gateway.revisions import Replica
from sidecar.gateway.session import Session
from sidecar.words.errors import Cancelled, CloudError, NotAuthorized, NotFound, NotSignedIn, WorkspaceError
from sidecar.words.names import LogSource
from sidecar.words.text import Text
from sidecar.workflows.context import place_of
from sidecar.workflows.older_lines import older_lines, tell_where_they_are

LOG_SECONDS = 10.0
"""For the end of one log."""

LOOK_SECONDS = 2.0
"""Between two looks for replicas that have come or gone."""

Take = Callable[[Line], None]
Topic = Literal["arm", "stream", "nothing"]


@dataclass(frozen=True)
class Wanted:
    """`since`: seconds since 1970. `replica`: empty: all. `previous`: of the instance before."""

    source: LogSource
    follow: bool = False
    since: float = 0.0
    replica: str = ""
    previous: bool = False

    def __post_init__(self) -> None:
        if self.previous and (self.follow or self.source == "system"):
            raise WorkspaceError(
                Text("The instance before has ended: it can't be followed, and the system log is not one container's."),
                Text("Ask for it alone, or follow without it."),
                code="LogsUnclear",
            )

    def takes(self, line: Line) -> bool:
        mine = not self.replica or line.replica == self.replica
        return mine and (not line.at or line.at >= self.since)


def logs(
    workspace: Workspace, session: Session, wanted: Wanted, *, journal: Journal, stop: threading.Event, take: Take
) -> int:
    """How many lines were told. Following ends in order once it is stopped."""
    place = place_of(session, target_of(workspace))
    if wanted.follow:
        return _older_than_followed(place, wanted, journal, take) + _Follower(place, wanted, journal, take).until(stop)
    app = apps.app(place)
    found = _held(place, app, wanted, journal)
    journal.check()
    lines = [*_kept(place, app, wanted, found, journal), *found.lines]
    journal.check()
    for line in sorted(lines, key=lambda each: each.at):
        take(line)
    return len(lines)


def _older_than_followed(place: AppPlace, wanted: Wanted, journal: Journal, take: Take) -> int:
    """What no stream holds, told before those are followed: since the time that was asked for; else, while nothing runs, the
    last lines of what did. How many. What can't be read is said: what comes is followed all the same."""
    try:
        if not wanted.since and (wanted.source == "system" or wanted.replica or list(_replicas(place, wanted))):
            return 0
        app = apps.app(place)
        lines = _kept(place, app, wanted, _held(place, app, wanted, journal), journal)
    except Cancelled:
        return 0  # following ends in order, so what goes before it does
    except (NotFound, NotAuthorized, NotSignedIn):
        raise
    except CloudError as error:
        _note(journal, Text("Older lines can't be read: {problem}", problem=error.message))
        return 0
    for line in lines:
        take(line)
    return len(lines)


def _kept(place: AppPlace, app: apps.App, wanted: Wanted, found: _Held, journal: Journal) -> list[Line]:
    """The lines that no stream holds any more, where those are asked for: since a time, or of replicas that have all gone."""
    if not found.older:
        return []
    if wanted.previous:
        tell_where_they_are(place, app, wanted.source, wanted.since, journal)
        return []
    if found.streamed and not wanted.since:
        journal.log(
            Text(
                "A stream holds the last {count} lines; with --since, older ones are read from Log Analytics.",
                count=TAIL,
            )
        )
        return []
    asked = Asked(wanted.source, app.name, wanted.since, wanted.replica, 0)
    return [each for each in older_lines(place, app, asked, found.streamed, journal) if wanted.takes(each)]


@dataclass(frozen=True)
class _Held:
    """`streamed`: all that the streams hold, `lines`: what of it is meant. `older`: that is not all that was asked for, as far as
    can be told."""

    lines: list[Line]
    streamed: list[Line]
    older: bool


def _held(place: AppPlace, app: apps.App, wanted: Wanted, journal: Journal) -> _Held:
    if wanted.source == "system":
        events = _events(place, app)
        lines = [excerpt.system(each) for each in events]
        return _chosen(lines, wanted, full=len(lines) >= TAIL)
    running = list(_replicas(place, wanted))
    if not running:
        _note(journal, _nothing_runs(wanted))
        return _Held([], [], older=True)
    events = _events(place, app) if wanted.previous else []
    lines: list[Line] = []
    full = False
    failed: list[CloudError] = []
    for revision, replica in running:
        journal.check()
        try:
            said = _console(place, replica)
        except CloudError as error:  # of one of them: what the others say is told all the same
            failed.append(error)
            _note(journal, Text("The log of {name} can't be read: {problem}", name=replica.name, problem=error.message))
            continue
        full = full or len(said) >= TAIL
        if wanted.previous:
            said = list(excerpt.of_previous_instance(said, events, replica))
        if not said:
            _note(journal, _nothing_said(replica, wanted))
        lines += [excerpt.console(line, revision, replica.name) for line in said]
    if len(failed) == len(running):
        raise failed[0]
    return _chosen(lines, wanted, full=full or (wanted.previous and not lines))


def _chosen(lines: list[Line], wanted: Wanted, *, full: bool) -> _Held:
    """The events of an app have one stream. Of containers there may be replicas that have gone since the time that was asked for,
    unless one is asked for by name."""
    begins = min((each.at for each in lines if each.at), default=time.time())
    one_stream = wanted.source == "system" or bool(wanted.replica)
    older = (begins > wanted.since or not one_stream) if wanted.since else full or not lines
    return _Held([each for each in lines if wanted.takes(each)], lines, older=older)


def _replicas(place: AppPlace, wanted: Wanted) -> Iterator[tuple[str, Replica]]:
    """With the names of their revisions. An inactive revision has none."""
    for revision in revisions.revisions(place):
        if not revision.active:
            continue
        try:
            found = revisions.replicas(place, revision.name)
        except NotFound:
            continue  # deactivated meanwhile
        yield from ((revision.name, each) for each in found if wanted.replica in ("", each.name))


def _console(place: AppPlace, replica: Replica) -> list[ConsoleLine]:
    url = _stream_of(replica)
    said = [] if url is None else last_lines(place, url, TAIL, LOG_SECONDS)
    return [line for each in said if (line := console_line(each))]


def _events(place: AppPlace, app: apps.App) -> list[SystemEvent]:
    if app.event_stream is None:
        raise CloudError(
            Text("The app {name} has no system log: its last update failed.", name=app.name),
            Text("Run Provision again: it says what Azure refuses."),
            code="NoSystemLog",
        )
    said = last_lines(place, app.event_stream, TAIL, LOG_SECONDS)
    return [event for each in said if (event := system_event(each))]


def _stream_of(replica: Replica) -> str | None:
    return replica.containers[0].log_stream if replica.containers else None


def _nothing_runs(wanted: Wanted) -> Text:
    if wanted.replica:
        return Text("There is no replica {name} now: its log stream has gone with it.", name=wanted.replica)
    return Text("No replica runs, so no log stream is there. Nothing was sent to the app: one that sleeps still does.")


def _nothing_said(replica: Replica, wanted: Wanted) -> Text:
    if wanted.previous:
        return Text("The log stream of {name} holds nothing of an instance before.", name=replica.name)
    return Text(
        "The container of {name} has written nothing yet; the system log says what becomes of it.", name=replica.name
    )


class _Follower:
    """Follows what there is, and what comes: new instances, replicas and revisions, also after the app has slept."""

    def __init__(self, place: AppPlace, wanted: Wanted, journal: Journal, take: Take) -> None:
        self._place = place
        self._wanted = wanted
        self._journal = journal
        self._take = take
        self._lines = 0
        self._said: dict[Topic, str] = {}
        self._urls: set[str] = set()
        self._over = False

    def until(self, stop: threading.Event) -> int:
        with LogStreams(self._place) as streams:
            while not stop.is_set() and not self._over:
                try:
                    self._look(streams)
                except Cancelled:
                    break  # it came while ARM was asked: what is stopped ends as it is meant to
                for problem in streams.problems[:1]:
                    self._say("stream", Text("The log can't be read: {problem}", problem=problem))
                stop.wait(LOOK_SECONDS)
        return self._lines

    def _look(self, streams: LogStreams) -> None:
        """What ARM does not answer now, it may answer at the next look; who may not ask is told at once."""
        try:
            if self._wanted.source == "system":
                self._follow_events(streams)
            else:
                self._follow_consoles(streams)
        except (NotFound, NotAuthorized, NotSignedIn):
            raise
        except CloudError as error:
            self._say("arm", Text("Azure does not answer ({problem}); still trying…", problem=error.code))
        else:
            self._said.pop("arm", None)

    def _follow_events(self, streams: LogStreams) -> None:
        url = apps.app(self._place).event_stream
        if url is None:
            self._say("nothing", Text("The app has no system log: its last update failed. One is waited for."))
        else:
            streams.follow(url, self._take_event, self._lost)

    def _follow_consoles(self, streams: LogStreams) -> None:
        here: set[str] = set()
        for revision, replica in _replicas(self._place, self._wanted):
            url = _stream_of(replica)
            if url is not None:
                here.add(url)
                streams.follow(url, self._taker(revision, replica.name), self._lost)
        streams.leave(self._urls - here)
        self._urls |= here
        if here:
            self._said.pop("nothing", None)
        elif self._wanted.replica:
            self._end_of_one()
        else:
            self._say(
                "nothing",
                Text("No replica runs; the next one is waited for, and nothing is sent to the app meanwhile."),
            )

    def _end_of_one(self) -> None:
        """A replica's name never comes again."""
        if not self._urls:
            raise NotFound(_nothing_runs(self._wanted), code="NoSuchReplica")
        self._over = True
        self._say("nothing", _nothing_runs(self._wanted))

    def _taker(self, revision: str, replica: str) -> Callable[[str], None]:
        def take(line: str) -> None:
            found = console_line(line)
            if found is not None:
                self._pass_on(excerpt.console(found, revision, replica))

        return take

    def _take_event(self, line: str) -> None:
        found = system_event(line)
        if found is not None:
            self._pass_on(excerpt.system(found))

    def _pass_on(self, line: Line) -> None:
        if self._wanted.takes(line):
            self._lines += 1
            self._take(line)

    def _lost(self) -> None:
        lost = Text("The stream had broken off, and holds {count} lines only: some may be missing here.", count=TAIL)
        _note(self._journal, lost)

    def _say(self, topic: Topic, text: Text) -> None:
        """Once, until something else is to be said of it, or it has been well meanwhile."""
        if self._said.get(topic) != str(text):
            self._said[topic] = str(text)
            _note(self._journal, text)


def _note(journal: Journal, text: Text) -> None:
    """Beside the lines, wherever those are shown."""
    journal.progress(text)
    journal.log(text, "warning")
