"""Making the model server's environment: told as it goes, ended whole by a cancel or the end of who asked, real processes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sidecar.gateway.local import LocalCloud, runs
from sidecar.gateway.local_image import CONSENT, prepare_image
from sidecar.gateway.patience import Patience
from sidecar.localcloud.core.ports import Promise
from sidecar.words.errors import Cancelled, CloudError, ConsentNeeded


@pytest.fixture
def stuck() -> Iterator[str]:
    """A package index that takes calls and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


def surroundings(cache: Path, index: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    pip = {
        "PIP_INDEX_URL": index,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
        "PIP_TIMEOUT": "600",
    }
    return {**own, **pip, "NO_PROXY": "127.0.0.1", "SLIPWAY_CACHE": str(cache)}


def makers(cache: Path) -> dict[int, list[str]]:
    """Everything that makes an environment in this cache: the maker, venv, pip; by number, with its command line."""
    found: dict[int, list[str]] = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLIPWAY_CACHE") == str(cache) and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = process.cmdline()
        except psutil.Error:
            continue  # ended while we looked, or not ours
    return found


def eventually_none(cache: Path) -> None:
    deadline = time.monotonic() + 120
    while makers(cache):
        assert time.monotonic() < deadline, makers(cache)
        time.sleep(0.05)  # sleeps: between two looks


def test_nothing_is_downloaded_without_consent(tmp_path: Path):
    with pytest.raises(ConsentNeeded):
        prepare_image(surroundings(tmp_path, "http://127.0.0.1:9"), (), Patience())
    assert not list(tmp_path.rglob("*.part"))


def test_the_steps_are_told_and_a_cancel_ends_the_maker_with_pip(tmp_path: Path, stuck: str):
    """Cancelling the download of the local image did nothing, and nothing of it was shown."""
    stop, told = threading.Event(), list[str]()
    waiting = threading.Thread(target=lambda: until_pip_runs(tmp_path, stop))
    waiting.start()
    with pytest.raises(Cancelled):
        prepare_image(surroundings(tmp_path, stuck), (CONSENT,), Patience(stop, lambda text: told.append(str(text))))
    waiting.join()
    assert any("Making a Python environment in" in each for each in told), told
    eventually_none(tmp_path)


def until_pip_runs(cache: Path, stop: threading.Event) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not any("install" in each for each in makers(cache).values()):
        time.sleep(0.05)  # sleeps: between two looks
    stop.set()


def test_nothing_goes_on_when_the_process_that_asked_is_killed(tmp_path: Path, stuck: str):
    program = (
        "import os; from sidecar.gateway.local_image import *; prepare_image(dict(os.environ), (CONSENT,), Patience())"
    )
    asker = subprocess.Popen([sys.executable, "-c", program], env=surroundings(tmp_path, stuck))
    try:
        until_pip_runs(tmp_path, threading.Event())
        assert len(makers(tmp_path)) >= 3, "the asker, the maker and pip"
    finally:
        asker.send_signal(signal.SIGKILL)
        asker.wait()
    eventually_none(tmp_path)


def test_what_pip_said_at_its_end_is_in_the_detail(tmp_path: Path):
    nobodys = Promise("127.0.0.1")
    with pytest.raises(CloudError) as failed:
        prepare_image(surroundings(tmp_path, f"http://127.0.0.1:{nobodys.port}/simple"), (CONSENT,), Patience())
    nobodys.end()
    assert failed.value.code == "ImageBuildFailed"
    assert "No matching distribution found" in (failed.value.detail or "")


def test_a_process_under_the_old_number_that_may_not_be_read_is_not_the_local_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After a reboot of a Mac somebody else's process may have the number; everything on `auto` ended as a defect of ours."""

    def denied(process: psutil.Process) -> list[str]:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "cmdline", denied)  # patched: on Linux everybody may read a command line
    local = LocalCloud(os.getpid(), "", "", tmp_path, "", "", "", (), "")
    assert not runs(local)
