"""The lines of the start that whoever waits outside reads: phases with percent, the reason of a failure."""

from typing import Any

from inference.engine.compute.hardware_report import asked, hardware_report
from inference.progress import Progress


def said(steps: Any, at: list[float] | None = None):
    lines, times = [], iter(at or [0.0] * (2 * len(steps) + 1))
    progress = Progress(lines.append, lambda: next(times))
    for phase, share in steps:
        progress.phase(phase, share)
    return lines


def test_each_phase_is_one_line_and_the_percentage_comes_every_five_percent():
    steps = [("checking", None), ("checking", None), *[("loading-base", number / 100) for number in range(101)]]
    lines = said(steps)
    assert lines[0] == "slipway: phase checking"
    assert lines[1:] == [f"slipway: phase loading-base {percent}%" for percent in range(0, 101, 5)]


def test_a_slow_load_is_told_every_two_seconds():
    lines, now = [], [100.0]
    progress = Progress(lines.append, lambda: now[0])
    for percent, at in ((10, 100.0), (11, 101.0), (12, 102.5), (12, 110.0)):
        now[0] = at
        progress.phase("loading-base", percent / 100)
    assert lines == ["slipway: phase loading-base 10%", "slipway: phase loading-base 12%"]


def test_a_failure_is_one_line_whatever_its_reason_holds_and_said_once():
    lines = []
    progress = Progress(lines.append)
    progress.failed("no base model\nunder /mount\r\n" + "x" * 5000)
    progress.failed("again")
    (line,) = lines
    assert line.startswith("slipway: failed: no base model under /mount xxx")
    assert len(line) < 1100


def test_what_driver_and_gpu_there_are_is_told_or_that_there_are_none():
    assert asked("no-such-program-here") == "not there"
    assert [line.partition(" ")[0] for line in hardware_report()] == ["nvidia-smi:", "PyTorch"]
