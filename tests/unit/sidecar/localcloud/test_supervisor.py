"""What a container's end takes with it: its first process is told, and nothing that it began is left."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.localcloud.runtime import supervisor

FILE = str(Path(supervisor.__file__))


@contextmanager
def running(script: str) -> Generator[subprocess.Popen[bytes]]:
    """In the bounds of a container; whatever the test leaves ends with its pipe."""
    command = [sys.executable, "-I", "-S", FILE, "/bin/bash", "-c", script]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(120)


def order(process: subprocess.Popen[bytes], letter: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(letter)
    process.stdin.flush()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "this did not become true in time"
        time.sleep(0.02)  # sleeps: between two looks


def written(file: Path) -> int:
    """The number in a file, once it is whole."""
    until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


def gone(pid: int) -> bool:
    """A process that has ended and is not reaped yet has no command line."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def test_only_the_first_process_is_told_to_end(tmp_path: Path) -> None:
    """As a platform does: what it passes on is its own matter."""
    told, child = tmp_path / "told", tmp_path / "child"
    script = f"""trap 'exit 3' TERM
(trap 'echo 1 > {told}' TERM; echo 1 > {child}; while true; do sleep 0.05; done) &
while true; do wait; done"""
    with running(script) as process:
        written(child)
        order(process, b"T")
        assert process.wait(120) == 3
    assert not told.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process is told which others have come from it")
@pytest.mark.parametrize("end", ["it ends", "it is killed", "the cloud is gone"])
def test_what_has_left_its_group_ends_with_the_container(tmp_path: Path, end: str) -> None:
    """A server in a session of its own would keep its port, and its memory, beside the next container."""
    file = tmp_path / "pid"
    last = "true" if end == "it ends" else "sleep 300"
    with running(
        f"setsid bash -c 'echo $$ > {file}; sleep 300' & until [ -s {file} ]; do sleep 0.02; done; {last}"
    ) as process:
        pid = written(file)
        if end == "it is killed":
            order(process, b"K")
        elif end == "the cloud is gone":
            assert process.stdin is not None
            process.stdin.close()
        process.wait(120)
        assert gone(pid)
