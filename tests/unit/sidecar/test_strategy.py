"""Which way a release comes into service, and what is said of it before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.provision.exchange import NOT_OURS as SUPERVISORS_WORD
from sidecar.decisions.restart import Plan
from sidecar.decisions.strategy import (
    CHANNEL,
    Container,
    Facts,
    in_place,
    obstacle,
    otherwise,
    packages_of,
    refusal,
    torch_of,
)
from sidecar.words.names import Strategy, StrategyWish

ROOT = Path(__file__).resolve().parents[3]
ALL: frozenset[Strategy] = frozenset({"in-place", "revision", "restart"})
OURS = Facts(
    ours=True,
    supervised=True,
    spoken=True,
    pinned=False,
    settled=True,
    running=1,
    ready=1,
    container=Container("a" * 64, beside=True),
    packages="same",
    usual=30.0,
)


def test_code_alone_is_exchanged_in_place_beside_the_server_that_runs() -> None:
    assert obstacle(OURS) is None
    choice = in_place(OURS)
    assert (choice.strategy, choice.form, choice.downtime) == ("in-place", "beside", 0)
    assert "no request waits" in str(choice.sentence)


def test_where_two_do_not_fit_the_old_one_goes_first_and_the_wait_is_said() -> None:
    tight = replace(OURS, container=Container("a" * 64, beside=False, why="weights 12 GB, free 3 GB"))
    choice = in_place(tight)
    assert (choice.form, choice.downtime) == ("in turn", 30.0)
    assert "There is no room for two (weights 12 GB, free 3 GB)." in str(choice.sentence)
    assert "requests wait for about 30 s" in str(choice.sentence)
    unknown = in_place(replace(OURS, container=Container("a" * 64, beside=None), usual=None))
    assert (unknown.form, unknown.downtime) == ("in turn", None)


def test_a_wait_that_the_ingress_does_not_bear_is_said() -> None:
    slow = replace(OURS, container=Container("a" * 64, beside=False), usual=600.0)
    assert "those that wait for more than 240 s fail" in str(in_place(slow).sentence)


def test_changed_packages_are_not_installed_beneath_a_server_that_serves() -> None:
    changed = replace(OURS, packages="changed")
    assert obstacle(changed) is None
    assert in_place(changed).form == "in turn"
    assert in_place(replace(OURS, packages="own")).form == "beside", "the release brings them along"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(OURS, ours=False), "does not start releases"),
        (replace(OURS, settled=False), "has to be started first"),
        (replace(OURS, supervised=False), "without a deploy key"),
        (replace(OURS, pinned=True), "SLIPWAY_RELEASE"),
        (replace(OURS, running=0, ready=0), "No replica is running"),
        (replace(OURS, running=2, ready=2), "2 replicas run"),
        (replace(OURS, ready=0), "not ready"),
        (replace(OURS, container=None), "does not take releases"),
        (
            replace(OURS, container=Container("a" * 64, beside=False, why=SUPERVISORS_WORD)),
            "server that runs can't be exchanged",
        ),
        (replace(OURS, gated=True, container=Container("a" * 64, beside=True, asks=False)), "no way to ask a release"),
        (replace(OURS, spoken=False), "code's server can't be exchanged"),
        (replace(OURS, packages="torch"), "another torch"),
        (replace(OURS, packages="unknown"), "not known which packages"),
    ],
)
def test_what_keeps_a_release_from_being_exchanged_in_place(facts: Facts, said: str) -> None:
    why = obstacle(facts)
    assert why is not None
    assert said in str(why)
    choice = otherwise("auto", facts, Plan("old-first"), why, offered=ALL)
    assert (choice.strategy, choice.why) == ("restart", why)


def test_our_server_has_the_file_by_which_one_is_known_that_can_be_exchanged() -> None:
    assert (ROOT / "inference" / CHANNEL).is_file()


def test_a_revision_is_made_where_both_find_room_and_somebody_is_served() -> None:
    two = replace(OURS, running=2, ready=2)
    choice = otherwise("auto", two, Plan("rolling"), obstacle(two), offered=ALL)
    assert (choice.strategy, choice.downtime) == ("revision", 0)
    assert "both their GPUs are paid for" in str(choice.sentence)
    nobody = replace(two, ready=0)
    assert otherwise("auto", nobody, Plan("rolling"), obstacle(nobody), offered=ALL).strategy == "restart"
    assert otherwise("restart", two, Plan("rolling"), None, offered=ALL).strategy == "restart"
    assert otherwise("revision", two, Plan("old-first"), None, offered=ALL).strategy == "revision"
    built: frozenset[Strategy] = frozenset({"in-place", "restart"})
    assert otherwise("auto", two, Plan("rolling"), None, offered=built).strategy == "restart"


@pytest.mark.parametrize("wish", ["in-place", "revision"])
def test_what_was_asked_for_and_can_not_be_done_is_refused_not_replaced(wish: StrategyWish) -> None:
    foreign = replace(OURS, ours=False)
    why = obstacle(foreign)
    choice = otherwise(wish, foreign, Plan("old-first"), why, offered=ALL)
    assert refusal(wish, foreign, choice) is not None
    assert refusal("auto", foreign, choice) is None


def test_with_nobody_to_serve_every_wish_is_a_start() -> None:
    asleep = replace(OURS, running=0, ready=0)
    choice = otherwise("in-place", asleep, Plan("wake"), obstacle(asleep), offered=ALL)
    assert choice.strategy == "restart"
    assert refusal("in-place", asleep, choice) is None


def test_packages_are_compared_by_the_files_that_name_them() -> None:
    before = {"inference/requirements.txt": "1", "inference/server.py": "2"}
    assert packages_of({**before, "inference/server.py": "3"}, before) == "same"
    assert packages_of({**before, "inference/requirements.txt": "3"}, before) == "changed"
    assert packages_of({**before, "inference/more-requirements.txt": "3"}, before) == "changed"
    assert packages_of(before, None) == "unknown"


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("torch==2.13.0  # tensors", "torch==2.13.0"),
        ("Torch >= 2 ; sys_platform == 'linux'", "torch>=2"),
        ("torch", "torch"),
        ("torchvision==1.0", ""),
        ("# torch==2", ""),
    ],
)
def test_what_a_file_asks_for_of_torch(line: str, asked: str) -> None:
    assert torch_of(f"numpy==2\n{line}\n") == asked
