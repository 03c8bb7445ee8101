"""The tables of what becomes of a request's parts: each breach of what they hold is seen."""

from dataclasses import replace

from tests.support.fates import Row, breaches, names_of_tests, routes, row_of, rows, with_kept

ROUTE = Row("app", 1, "GET Microsoft.App/things", "route", "", "", "Things_Get")
PART = Row("app", 2, "Things_*", "query", "$filter", "honoured", "test_things_are_filtered")
KNOWN = {"test_things_are_filtered"}
HAVE = {ROUTE.what: "app"}


def test_the_tables_hold_what_the_code_has():
    assert breaches(rows(), routes(), names_of_tests()) == []


def test_a_new_route_without_a_row_is_seen():
    assert breaches([ROUTE, PART], HAVE, KNOWN) == []
    (said,) = breaches([ROUTE, PART], {**HAVE, "PUT Microsoft.App/things": "app"}, KNOWN)
    assert said == "the route PUT Microsoft.App/things has no row in sidecar/localcloud/fates/app.md"


def test_a_row_of_a_route_that_is_gone_is_seen():
    (said,) = breaches([ROUTE, PART], {}, KNOWN)
    assert "names a route that is not there: GET Microsoft.App/things" in said


def test_what_a_row_must_say():
    for wrong, words in (
        (replace(PART, why="test_that_was_renamed"), "names a test that is not there"),
        (replace(PART, why="it works"), "names neither a test nor"),
        (replace(PART, fate="refused", why="it is not here"), "names no status and code"),
        (replace(PART, fate="inert", why=""), "says no reason"),
        (replace(PART, fate="perhaps"), "has no place or fate of ours"),
    ):
        (said,) = breaches([ROUTE, wrong], HAVE, KNOWN)
        assert words in said


def test_the_first_row_that_is_about_something_tells_its_fate():
    table = [replace(PART, name="a[].*", fate="kept"), replace(PART, name="*", fate="ignored"), PART]
    found = [row_of(table, "app", "Things_List", "query", name) for name in ("a[].b", "a.b", "$filter")]
    assert [row.fate if row else None for row in found] == ["kept", "ignored", "ignored"]
    assert row_of(table, "app", "Others_List", "query", "a") is None
    assert row_of(table, "files", "Things_List", "query", "a") is None


def test_what_is_kept_or_ignored_is_listed():
    text = with_kept("before<!-- kept and ignored: made by npm run fix -->stale<!-- end of kept and ignored -->after")
    assert text.startswith("before<!--")
    assert text.endswith("-->after")
    assert "stale" not in text
    assert "- app, ContainerApp properties.configuration.dapr.*: kept, no Dapr" in text
