"""Where the local cloud can't run (Windows, Intel Macs) the terminal and VS Code still work against Azure, and do not offer it.

A Python without what Windows lacks stands in for one there: modules that can't be imported, names that are not in os and signal.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sidecar.core.bicep_places import bicep_cli
from sidecar.gateway.local import hindrance

ROOT = Path(__file__).resolve().parents[3]
WITHOUT = """
import os, signal, sys
import psutil, asyncio  # these have a part of their own for each system; Linux' may use what is Linux'
class Absent:
    names = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "uvloop"}
    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in Absent.names:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for module, names in {
    os: ("getuid", "geteuid", "getgid", "killpg", "getpgid", "getpgrp", "setsid", "fork", "sched_getaffinity"),
    signal: ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1"),
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
import runpy
"""


def without(program: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "SLIPWAY_STATE": str(tmp_path / "state"), "PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + program],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )


def slipway(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = (
        f"sys.argv = {['slipway', *arguments]!r}; runpy.run_module('sidecar', run_name='__main__', alter_sys=True)"
    )
    return without(program, tmp_path)


def test_the_terminal_door_starts_without_what_windows_lacks(tmp_path: Path):
    done = slipway(tmp_path, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    done = without("import sidecar.doors.cli, sidecar.doors.server, sidecar.doors.demo; print('imported')", tmp_path)
    assert (done.stdout, done.stderr) == ("imported\n", "")


def test_subscriptions_offer_no_local_cloud_where_it_can_not_run(tmp_path: Path):
    done = slipway(tmp_path, "subscriptions", "--json")
    assert "local cloud" not in done.stdout + done.stderr
    assert [each for each in json.loads(done.stdout)["subscriptions"] if each["cloud"] == "local"] == []
    assert not (tmp_path / "state").exists() or not list((tmp_path / "state").rglob("cloud.json"))


def test_who_names_the_local_cloud_there_is_told_where_it_runs(tmp_path: Path):
    done = slipway(tmp_path, "subscriptions", "--cloud", "local")
    assert done.returncode == 1
    assert "it needs Linux, or macOS on Apple silicon" in done.stderr
    done = slipway(tmp_path, "demo", "--once", "--folder", str(tmp_path / "demo"))
    assert done.returncode == 1
    assert "it needs Linux, or macOS on Apple silicon" in done.stderr


@pytest.mark.parametrize(
    ("system", "machine", "runs"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", True),
        ("darwin", "arm64", True),
        ("darwin", "x86_64", False),
        ("win32", "AMD64", False),
    ],
)
def test_it_runs_on_linux_and_apple_silicon(system: str, machine: str, runs: bool):
    assert (hindrance(system, machine) is None) is runs


def test_the_bicep_cli_that_az_installed_is_found_on_windows_too(tmp_path: Path):
    found = tmp_path / ".azure" / "bin" / "bicep.exe"
    found.parent.mkdir(parents=True)
    found.touch()
    assert bicep_cli({"USERPROFILE": str(tmp_path), "PATH": ""}, "win32") == found


def test_the_model_server_asks_for_no_uvloop_where_there_is_none(tmp_path: Path):
    lines = (ROOT / "inference" / "requirements.txt").read_text().splitlines()
    [line] = [each.partition("#")[0] for each in lines if each.startswith("uvloop")]
    marker = Requirement(line).marker
    assert marker is not None
    assert [marker.evaluate({"sys_platform": system}) for system in ("linux", "darwin", "win32")] == [True, True, False]
    assert without("from inference.__main__ import event_loop; print(event_loop())", tmp_path).stdout == "None\n"
