"""`npm start` in a terminal: what Ctrl-C ends, what is said, and what is left when the prompt is back: nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from sidecar.localcloud.core.settings import read_settings

from .conftest import ROOT, Home, alive, until
from .dialogue import Dialogue

NPM = shutil.which("npm") or ""


def npm_start(folder: Path, *more: str) -> Dialogue:
    return Dialogue([NPM, "start", "--", "--folder", str(folder), *more], ROOT, os.environ)


def family(person: Dialogue) -> list[psutil.Process]:
    """npm, the shell that it starts, and all below: what would still write under the prompt."""
    npm = psutil.Process(person.process.pid)
    return [npm, *npm.children(recursive=True)]


def command_line(process: psutil.Process) -> str:
    """Empty for one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


def test_ctrl_c_ends_everything_before_the_prompt_is_back(tmp_path: Path) -> None:
    with npm_start(tmp_path) as person:
        person.expect("Press Ctrl-C to stop everything.", 600)
        processes = [*family(person), *Home(tmp_path).replica_processes(), Home(tmp_path).cloud()]
        assert len(processes) >= 5, processes
        assert read_settings(Home(tmp_path).settings.local_state / "settings.json").times.scale == 0.1
        person.press_ctrl_c()
        person.expect("Stopping the local cloud; requests under way may finish", 120)
        assert person.ended(240) in (0, -signal.SIGINT)  # npm's own shell may die of the press, when all else has ended
        assert not any(alive(each) for each in processes)
    assert person.shown.rstrip().endswith("Everything has ended.")
    assert "Traceback" not in person.shown


@pytest.mark.parametrize("line", ["2  AI Toolkit", "3  AI Toolkit"])
def test_ctrl_c_in_the_middle_cancels_and_says_so(tmp_path: Path, line: str) -> None:
    with npm_start(tmp_path) as person:
        person.expect(line, 600)
        processes = [*family(person), Home(tmp_path).cloud()]
        person.press_ctrl_c()
        assert person.ended(240) in (130, -signal.SIGINT)
        assert not any(alive(each) for each in processes)
    assert "Cancelled. Everything has ended." in person.shown
    assert "Traceback" not in person.shown
    assert Home(tmp_path).replica_processes() == []


def test_a_press_in_the_set_up_ends_that_and_is_no_failure(tmp_path: Path) -> None:
    """In a clone of its own, whose set-up has everything before it: no .venv, pip, the environment, the sample."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True, timeout=240)
    with Dialogue([NPM, "start"], clone, os.environ) as person:
        person.expect("Setting up Python", 240)
        until(lambda: any("pip" in command_line(each) for each in family(person)), 240, "pip to run")
        processes = family(person)
        person.press_ctrl_c()
        assert person.ended(240) in (130, -signal.SIGINT)
        assert not any(alive(each) for each in processes)
    assert person.shown.rstrip().endswith("Cancelled. Everything has ended.")
    assert "✗" not in person.shown


def test_closing_the_terminal_ends_everything_too(tmp_path: Path) -> None:
    with npm_start(tmp_path) as person:
        person.expect("Press Ctrl-C to stop everything.", 600)
        processes = [*family(person), *Home(tmp_path).replica_processes(), Home(tmp_path).cloud()]
        started = {each.pid: command_line(each)[-160:] for each in processes}
        person.close_terminal()
        _, left = psutil.wait_procs(processes, timeout=240)
        still = [f"{each.pid} ({each.status()}): {started[each.pid]}" for each in left if alive(each)]
        assert not still, "\n".join([*still, "", person.shown, "", *Home(tmp_path).last_of_logs()])
