"""An app's lines that no log stream holds any more: from Log Analytics where its environment has a workspace, else said so."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from sidecar.core.journal import Journal
from sidecar.decisions.archive import line_of, older
from sidecar.decisions.excerpt import Line
from sidecar.gateway import apps
from sidecar.gateway.log_archive import Archived, Asked, NothingYet, archived, destination_of, query_of
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import CloudError
from sidecar.words.names import LogSource
from sidecar.words.text import Text

MOST = 5000
"""Lines of one reading: the newest."""

TAIL = 300
"""Of an app without any replica, where no time is asked for: as many as a stream would hold."""

A_DAY = 86400.0
"""How far back is looked where no time is asked for."""


def older_lines(place: AppPlace, app: apps.App, asked: Asked, streamed: Sequence[Line], journal: Journal) -> list[Line]:
    """Those before what the streams hold, and all of replicas that have none. Why there are none, or may be more, is told."""
    now = time.time()
    since = asked.begin
    asked = replace(asked, begin=since or now - A_DAY, most=(MOST if since else TAIL) + 1)
    workspace = _workspace(place, app, journal)
    if workspace is None:
        return []
    found = _read(place, workspace, asked, now, journal)
    if found is None:
        return []
    cut = len(found) == asked.most
    told = older([line_of(asked.source, each) for each in found[1 if cut else 0 :]], streamed, now)
    if cut and since:
        most = Text("Only the newest {count} lines of Log Analytics are shown: ask for a later time.", count=MOST)
        journal.log(most, "warning")
    journal.log(_lateness(told.lines, whole=told.whole))
    return told.lines


def _lateness(lines: Sequence[Line], *, whole: bool) -> Text:
    if not lines:
        return Text(
            "Log Analytics holds no older line of it; what was written in the last minutes may not be there yet."
        )
    if whole:
        return Text("The lines that no stream holds are from Log Analytics.")
    return Text(
        "Lines until {time} are from Log Analytics, which has them some minutes late: between those and the next, or at the "
        "end, some of the last minutes may be missing.",
        time=lines[-1].time,
    )


def _workspace(place: AppPlace, app: apps.App, journal: Journal) -> str | None:
    try:
        destination, workspace = destination_of(place, app.environment_id)
    except CloudError as error:
        _unknown(journal, error)
        return None
    if workspace is not None:
        return workspace
    if destination in ("", "none"):
        text = Text("Older lines are kept nowhere: the app's environment has no Log Analytics workspace.")
    else:
        text = Text(
            "Older lines are not in a workspace that the app's environment names: it sends them to {destination}, and where that "
            "keeps them is its diagnostic settings' business.",
            destination=destination,
        )
    journal.log(text, "warning")
    return None


def _read(place: AppPlace, workspace: str, asked: Asked, now: float, journal: Journal) -> list[Archived] | None:
    try:
        return archived(place, workspace, asked, now)
    except NothingYet:
        text = Text(
            "Nothing of any app has come to the Log Analytics workspace {workspace} yet: the first lines take some minutes.",
            workspace=workspace,
        )
        journal.log(text, "warning")
    except CloudError as error:
        _unknown(journal, error)
    return None


def _unknown(journal: Journal, error: CloudError) -> None:
    told = Text("Older lines can't be read: {problem}", problem=error.message)
    journal.log(told, "warning")
    if error.suggestion is not None:
        journal.log(error.suggestion, "warning")


def tell_where_they_are(place: AppPlace, app: apps.App, source: LogSource, since: float, journal: Journal) -> None:
    """For what is not read here: which lines are another instance's, a query does not tell."""
    workspace = _workspace(place, app, journal)
    if workspace is None:
        return
    query = query_of(Asked(source, app.name, since or time.time() - A_DAY, "", MOST))
    journal.log(
        Text(
            "Older lines are in Log Analytics, some minutes after they were written: az monitor log-analytics query "
            '--workspace {workspace} --analytics-query "{query}"',
            workspace=workspace,
            query=query,
        )
    )
