"""Older log lines: the query, its answer as captured, and the seam between an archive and the streams."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.decisions.archive import line_of, older
from sidecar.decisions.excerpt import Line
from sidecar.gateway.log_archive import Archived, Asked, query_of, rows_of
from sidecar.localcloud.resources.log_query import QueryRefused, answered
from sidecar.words.errors import CloudError
from tests.support.evidence import evidence

NOON = 1795867200.0
NOW = NOON + 1000
ASKED = Asked("console", "my-app", NOON, "", 10)


def line(at: float, text: str, replica: str = "r1") -> Line:
    return Line("console", "app--1", replica, at, text)


def row(at: str, text: str, **more: Any) -> dict[str, Any]:
    return {"TimeGenerated": at, "ContainerAppName_s": "my-app", "Log_s": text, **more}


def asked(query: str, *rows: dict[str, Any]) -> list[list[Any]]:
    return [list(each) for each in answered(query, lambda _: rows).rows]


def test_the_query_is_bounded_ordered_and_of_one_app() -> None:
    query = query_of(ASKED)
    assert query.startswith("ContainerAppConsoleLogs_CL | where TimeGenerated >= datetime(2026-11-28T12:00:00.000Z) | ")
    assert "where ContainerAppName_s == 'my-app'" in query
    assert "order by TimeGenerated desc, Written desc | take 10 | project" in query
    assert query_of(Asked("system", "a", NOON, "", 10)).startswith("ContainerAppSystemLogs_CL | ")


@pytest.mark.parametrize(
    "name", ["it's", "a\\", "a' | where true or '", "a\n| take 1", "x' or ContainerAppName_s == 'other", "a\t\r'"]
)
def test_a_name_stays_one_literal_whatever_it_holds(name: str) -> None:
    """Read by the local cloud's own reader of the language: the row of that name is found, and no other."""
    rows = [
        row("2026-11-28T12:00:01Z", "mine", ContainerGroupName_s=name),
        row("2026-11-28T12:00:02Z", "another's", ContainerGroupName_s="r2"),
        {**row("2026-11-28T12:00:03Z", "another app's"), "ContainerAppName_s": "other"},
    ]
    found = asked(query_of(Asked("console", "my-app", NOON, name, 10)), *rows)
    assert [each[-1] for each in found] == ["mine"]


def test_the_newest_lines_are_taken_and_a_column_that_is_not_there_is_empty() -> None:
    rows = [row(f"2026-11-28T12:00:0{number}Z", f"{number}") for number in range(5)]
    found = asked(query_of(Asked("console", "my-app", NOON, "", 2)), *rows)
    assert found == [
        ["2026-11-28T12:00:04Z", None, "", "", "", "4"],
        ["2026-11-28T12:00:03Z", None, "", "", "", "3"],
    ]


@pytest.mark.parametrize(
    "query",
    [
        "T | summarize count()",
        "T | where Log_s contains 'x'",
        "T | where Log_s == 'a' or Log_s == 'b'",
        "T | where TimeGenerated >= datetime(noon)",
        "T | project Log_s | union U",
        "T | where Log_s == 'not closed",
        "",
    ],
)
def test_the_local_cloud_guesses_nothing_of_the_language(query: str) -> None:
    with pytest.raises(QueryRefused):
        asked(query, row("2026-11-28T12:00:00Z", "a"))


def test_a_table_or_a_column_without_a_line_is_not_resolved() -> None:
    for query, rows in (("T | take 1", []), ("T | where Reason_s == 'x'", [row("2026-11-28T12:00:00Z", "a")])):
        with pytest.raises(QueryRefused) as refused:
            asked(query, *rows)
        assert refused.value.code == "SEM0100"


def test_rows_as_captured_become_lines() -> None:
    """The rows of a failed start, as Log Analytics gave them: several have one time, seconds after their own."""
    captured = evidence("revision-provisioning-failure/08-kql-event-correlation.json")
    columns = [{"name": each} for each in ("TimeGenerated", "Written", "Revision", "Replica", "Reason", "Log_s")]
    rows = [
        [each["TimeGenerated"], None, each["RevisionName_s"], "", each["Reason_s"], each["Log_s"]] for each in captured
    ]
    found = rows_of({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]})
    assert len(found) == len(captured)
    first = line_of("system", found[0])
    assert first.text.startswith("ContainerTerminated: Container 'app' was terminated with exit code ''")
    assert first.time == "2026-06-20T14:22:52.453Z"


def test_an_answer_in_part_is_no_answer() -> None:
    part: dict[str, Any] = {"tables": [], "error": {"code": "PartialError", "message": "too much", "details": []}}
    with pytest.raises(CloudError, match="only in part: too much"):
        rows_of(part)


def test_what_the_stream_holds_is_not_shown_twice_nor_is_anything_lost() -> None:
    """The archive dates lines when it collected them: the last before the stream's first come after it by their times."""
    streamed = [line(NOON + second, f"said {second}") for second in range(100, 400)]
    archived = [line(NOON + second + 3, f"said {second}") for second in range(350)]
    found = older(archived, streamed, NOW)
    assert [each.text for each in found.lines] == [f"said {second}" for second in range(100)]
    assert all(each.at <= NOON + 100 for each in found.lines), "none is sorted behind the stream's first"
    assert found.whole


def test_times_of_their_own_need_no_texts() -> None:
    streamed = [line(NOON + second, "tick") for second in range(10, 20)]
    archived = [line(NOON + second, "tick") for second in range(15)]
    assert [each.at for each in older(archived, streamed, NOW).lines] == [NOON + second for second in range(10)]


def test_a_replica_that_has_gone_has_all_of_its_lines_from_the_archive() -> None:
    archived = [line(NOON, "of the old", "r0"), line(NOON + 50, "of the new", "r1")]
    found = older(archived, [line(NOON + 49, "of the new", "r1")], NOW)
    assert ([each.text for each in found.lines], found.whole) == (["of the old"], True)
    assert not older(archived, [], NOON + 60).whole, "the last of it may still be on their way"


def test_an_archive_that_does_not_reach_to_the_stream_yet_is_known() -> None:
    found = older([line(NOON, "old")], [line(NOON + 500, "new")], NOW)
    assert ([each.text for each in found.lines], found.whole) == (["old"], False)


def test_events_have_one_stream_for_all_replicas() -> None:
    def event(at: float, text: str, replica: str) -> Line:
        return line_of("system", Archived(at, "app--1", replica, "Reason", text))

    archived = [event(NOON, "a", "r0"), event(NOON + 5, "b", "r1"), event(NOON + 5, "b", "r0")]
    found = older(archived, [event(NOON + 4, "b", "r0")], NOW)
    assert [(each.text, each.replica) for each in found.lines] == [("Reason: a", "r0"), ("Reason: b", "r1")]
