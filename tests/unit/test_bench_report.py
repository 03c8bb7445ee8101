"""What a benchmark's last line counts: goals met, missed, not measured for want of a peer, or left out beforehand."""

from __future__ import annotations

import argparse
import importlib
import sys

import pytest

from tests.bench.report import Peers, Report, goal_arguments, report_for

GOALS = ("fast", "faster than az", "faster than vllm")
PEERS: Peers = {"az": ("faster than az",), "vllm": ("faster than vllm",)}


def report(*arguments: str) -> Report:
    parser = argparse.ArgumentParser()
    goal_arguments(parser, PEERS)
    made = report_for(parser.parse_args(arguments), GOALS, PEERS)
    made.goal("fast", True)
    made.ratio("ours / az", [2.0], [1.0], "faster than az", 1.0)
    return made


def test_a_peer_that_is_not_installed_is_a_goal_missed(capsys: pytest.CaptureFixture[str]) -> None:
    made = report("--goals")
    made.goal("faster than vllm", None, "it is not installed")
    with pytest.raises(SystemExit) as ended:
        made.end(strict=True)
    assert ended.value.code == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "goals met: 2 of 3; missing: faster than vllm (not measured: it is not installed)"


def test_a_peer_that_is_left_out_takes_its_goals_with_it_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    made = report("--goals", "--without", "vllm")
    made.goal("faster than vllm", None, "it is not installed")
    made.end(strict=True)
    *_, said, last = capsys.readouterr().out.splitlines()
    assert said == '{"goal": "faster than vllm", "met": "left out", "why": "--without vllm"}'
    assert last == "goals met: 2 of 2; missing: none"


def test_what_is_never_judged_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        report().end(strict=True)
    assert capsys.readouterr().out.splitlines()[-1].endswith("missing: faster than vllm (not attempted)")


@pytest.mark.parametrize("arguments", [("--without", "nobody"), ("--without",)])
def test_only_a_peer_can_be_left_out(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        report(*arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("name", ["sync", "start", "serving", "gpu", "conformance"])
def test_every_peer_of_a_benchmark_stands_by_goals_that_it_has(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])  # some are run as scripts, and put their folder there
    module = importlib.import_module(f"tests.bench.{name}")
    goals = getattr(module, "GOALS", None) or (module.GOAL,)
    assert module.PEERS
    assert {goal for each in module.PEERS.values() for goal in each} <= set(goals)
