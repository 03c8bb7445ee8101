"""The machine's certificates are taken over once, before a process of either door goes anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

COUNTING = """
import runpy, ssl, sys, threading, truststore
inject, plain, made = truststore.inject_into_ssl, ssl.SSLContext, []

class Context(ssl.SSLContext):
    def __new__(cls, *arguments):
        made.append(cls)
        return plain.__new__(cls, *arguments)

def counting():
    print(f"threads: {threading.active_count()}, contexts before: {len(made)}", file=sys.stderr)
    inject()

ssl.SSLContext = Context
truststore.inject_into_ssl = counting
runpy.run_module("sidecar", run_name="__main__", alter_sys=True)
"""
"""Starts the process as usual, and says how it stands when truststore replaces Python's class."""


def started(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", COUNTING, *arguments],
        env={**os.environ, "SLIPWAY_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def frame(message: dict[str, object]) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def test_in_a_terminal_it_is_before_there_is_a_second_thread(tmp_path: Path) -> None:
    _, said = started(tmp_path, "status", "--json").communicate(timeout=800)
    assert [line for line in said.decode().splitlines() if "threads:" in line] == ["threads: 1, contexts before: 0"]


def test_in_vscode_it_is_before_a_request_is_answered_and_before_anybody_goes_anywhere(tmp_path: Path) -> None:
    """A context that another thread is just making when Python's class is replaced would call itself without end: no thread
    makes one before the requests are loaded, and that takes the certificates over first."""
    process = started(tmp_path, "serve")
    assert process.stdin is not None
    assert process.stdout is not None
    hello: dict[str, object] = {"capabilities": {}, "processId": None, "rootUri": None}
    process.stdin.write(frame({"id": 1, "method": "initialize", "params": hello}))
    process.stdin.write(frame({"id": 2, "method": "slipway/workspace", "params": {"folder": str(tmp_path)}}))
    process.stdin.flush()
    answers: list[object] = []
    while 2 not in answers:
        length = 0
        while (line := process.stdout.readline().strip()) != b"":
            length = int(line.partition(b":")[2]) if line.lower().startswith(b"content-length") else length
        answers.append(json.loads(process.stdout.read(length)).get("id"))
    _, said = process.communicate(timeout=800)
    (told,) = [line for line in said.decode().splitlines() if "threads:" in line]
    assert told.endswith("contexts before: 0")
