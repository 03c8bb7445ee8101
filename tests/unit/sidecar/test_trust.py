"""The machine's certificates are taken over once, while a process of either door has one thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

COUNTING = """
import runpy, sys, threading, truststore
inject = truststore.inject_into_ssl

def counting():
    print("threads:", threading.active_count(), file=sys.stderr)
    inject()

truststore.inject_into_ssl = counting
runpy.run_module("sidecar", run_name="__main__", alter_sys=True)
"""
"""Starts the process as usual, and says how many threads there are when truststore replaces Python's class."""


@pytest.mark.parametrize("arguments", [("serve",), ("status", "--json")], ids=["VS Code's", "the terminal's"])
def test_trust_is_taken_over_once_before_there_is_a_second_thread(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, *arguments],
        env={**os.environ, "SLIPWAY_STATE": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.stderr.count("threads:") == 1, done.stderr
    assert "threads: 1\n" in done.stderr, done.stderr
