"""Of `npm run contract -- clients` what needs no installing: the official Python client, and what the table says of rows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from sidecar.localcloud.core.ports import Promise
from tests.contract.client_table import CLIENTS, PROGRAMS, ROOT, Row, outcome, printed
from tests.contract.inference.conftest import eventually
from tests.contract.scripted_server import KEY, NAME


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    """What a program is given to know where the server is."""
    folder, promise = tmp_path_factory.mktemp("scripted"), Promise("127.0.0.1")
    variables = {**os.environ, "CONTAINER_APP_PORT": str(promise.port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.contract.scripted_server", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, env=variables)
    url = f"http://127.0.0.1:{promise.port}"
    try:
        eventually(lambda: healthy(url, process))
        yield {"CLIENT_URL": url, "CLIENT_KEY": KEY, "CLIENT_MODEL": NAME, "CLIENT_TOKENIZER": str(folder)}
    finally:
        process.kill()
        process.wait()
        promise.end()


def healthy(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    try:
        return httpx.get(f"{url}/health", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def test_the_official_clients_row_is_as_expected(scripted: dict[str, str]):
    client = CLIENTS[0]
    cells = outcome(client.cells, [sys.executable, str(PROGRAMS / client.program)], scripted)
    assert cells == dict.fromkeys(client.cells, "")


def test_every_client_has_its_program():
    named = {client.program for client in CLIENTS}
    there = {each.name for each in PROGRAMS.glob("*.*") if each.stem != "cells"}
    assert named == there
    assert all("==" in each or "@" in each[1:] for client in CLIENTS for each in client.packages)


def test_what_a_program_never_came_to_is_red(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text('print(\'{"cell": "chat", "said": ""}\')\nraise SystemExit("it broke off")')
    cells = outcome(["chat", "stream"], [sys.executable, str(program)], {})
    assert cells == {"chat": "", "stream": "it never came to this (exit 1: it broke off)"}


def test_the_last_line_counts_what_is_right_and_what_could_not_be_tried():
    fine, absent = Row("a", {"chat": "", "own": ""}), Row("b", {"chat": "", "stream": ""}, "no such package")
    lines, right = printed([fine, absent])
    assert (lines[-1], right) == ("2 of 4 as expected, 2 unverified", True)
    assert "  unverified b: no such package" in lines
    lines, right = printed([fine, Row("c", {"chat": "None in place of 'x'"})])
    assert (lines[-1], right) == ("2 of 3 as expected", False)
    assert "  RED c, chat: None in place of 'x'" in lines
