"""Plan and apply as verbs: one document for people and for programs, a file that is applied as it was read or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Home, Place, delete_apps, new_place


@pytest.fixture
def place(home: Home, tmp_path: Path) -> Iterator[Place]:
    place = new_place(home, tmp_path / "project", "planned")
    yield place
    delete_apps(place)


def test_what_a_plan_says_is_applied_once_and_is_refused_where_it_holds_no_more(place: Place, tmp_path: Path) -> None:
    where = ("--subscription", place.subscription, "--group", place.group)
    file = tmp_path / "plan.json"
    plan = place.home.cli("plan", str(place.workspace), *where, "--output", str(file))
    assert json.loads(file.read_text(encoding="utf-8")) == plan
    assert {each["action"] for each in plan["resources"]} == {"create"}
    assert (plan["nothing"], plan["price"]["asleep"], plan["price"]["currency"]) == (False, 0, "USD")
    assert plan["markdown"].startswith("# Plan for inference\n")
    assert "made up" in plan["price"]["note"]
    assert place.config["ACA_APP_NAME"] is None, "a plan writes nothing"

    done = place.home.cli("apply", str(file), "--yes")
    assert (done["nothing"], bool(done["deployment"])) == (False, True)
    assert place.config["ACA_APP_NAME"]

    refused = place.home.cli("apply", str(file), "--yes", expect=1)["error"]
    assert refused["code"] == "PlanChanged"
    assert "Nothing to do" in refused["detail"], "the new plan is shown"
    again = place.home.cli("plan", str(place.workspace), *where)
    assert again["nothing"]
    assert place.provision()["nothing"]


def test_a_file_without_a_plan_is_named(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    for text in ("not JSON", "[]", '{"digest": "x"}'):
        file.write_text(text, encoding="utf-8")
        error = home.cli("apply", str(file), expect=1)["error"]
        assert error["code"] == "NoPlan"
        assert str(file) in error["message"]
