"""The JSON-RPC door as the extension meets it: the real process, over stdio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest


class Client:
    """A minimal JSON-RPC peer: sends, and sorts what comes back."""

    def __init__(self, home: Path, *command: str) -> None:
        env = {**os.environ, "SLIPWAY_STATE": str(home)}
        self.process = subprocess.Popen(
            [sys.executable, *(command or ("-m", "sidecar", "serve"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
        )
        self._number = 0
        self._answers: Queue[dict[str, Any]] = Queue()
        self.stderr: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self.notify("initialized", {})

    def ask(self, method: str, params: object) -> dict[str, Any]:
        return self.answer(self.send(method, params))

    def send(self, method: str, params: object) -> int:
        self._number += 1
        self._write({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return self._number

    def notify(self, method: str, params: object) -> None:
        self._write({"jsonrpc": "2.0", "method": method, "params": params})

    def answer(self, number: int) -> dict[str, Any]:
        while True:
            try:
                message = self._answers.get(timeout=240)
            except Empty:
                raise AssertionError("no answer; stderr: " + "".join(self.stderr)) from None
            if message.get("id") == number and "method" not in message:
                return message

    def _write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        body = json.dumps(message).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while header := self.process.stdout.readline():
            length = 0
            while header.strip():
                name, _, value = header.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
                header = self.process.stdout.readline()
            self._answers.put(json.loads(self.process.stdout.read(length)))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.stderr.append(line.decode(errors="replace"))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    client = Client(tmp_path / "state")
    yield client
    client.process.kill()
    client.process.wait()


def test_a_request_is_answered_and_an_empty_folder_is_told_as_it_is(client: Client, tmp_path: Path) -> None:
    answer = client.ask("slipway/workspace", {"folder": str(tmp_path)})
    assert answer["result"] == {
        "defaults": {"subscriptionId": None, "resourceGroup": None, "origin": None},
        "provisioned": False,
        "hasTemplate": False,
        "hasCode": False,
        "clouds": ["local", "azure"],
        "filesOf": None,
        "problems": [],
    }


def test_init_makes_the_project_files_and_leaves_what_is_there(client: Client, tmp_path: Path) -> None:
    config = tmp_path / "infra" / "inference.config.json"
    config.parent.mkdir()
    config.write_text('{"mine": true}')
    created = client.ask("slipway/init", {"folder": str(tmp_path), "beside": False})["result"]["created"]
    assert "infra/provision/inference.bicep" in created
    assert "inference/__main__.py" in created
    assert "infra/inference.config.json" not in created
    assert config.read_text() == '{"mine": true}'
    assert client.ask("slipway/init", {"folder": str(tmp_path), "beside": False})["result"]["created"] == []
    told = client.ask("slipway/updateFiles", {"folder": str(tmp_path), "plan": True, "mine": [], "theirs": []})[
        "result"
    ]
    assert told["files"] == []
    (tmp_path / "inference" / "server.py").write_text("mine = 1\n")
    told = client.ask("slipway/updateFiles", {"folder": str(tmp_path), "plan": True, "mine": [], "theirs": []})[
        "result"
    ]
    assert told["files"] == [{"path": "inference/server.py", "kind": "kept"}]
    summary = client.ask("slipway/workspace", {"folder": str(tmp_path)})["result"]
    assert summary["hasTemplate"]
    assert summary["hasCode"]


@pytest.mark.parametrize(
    ("params", "field"),
    [({"folder": "/", "more": 1}, "more"), ({}, "folder"), ({"folder": 7}, "folder"), (None, "folder")],
)
def test_a_wrong_or_unknown_field_is_refused_by_name(client: Client, params: object, field: str) -> None:
    error = client.ask("slipway/workspace", params)["error"]
    assert error["code"] == -32602
    assert error["message"].startswith(field)


def test_a_users_error_carries_code_message_and_suggestion_as_templates(client: Client, tmp_path: Path) -> None:
    error = client.ask("slipway/workspace", {"folder": str(tmp_path / "missing")})["error"]
    assert error["code"] == -32000
    assert error["data"]["message"] == {
        "message": "The folder {folder} does not exist.",
        "args": {"folder": str(tmp_path / "missing")},
    }
    assert error["data"]["code"] == "WorkspaceError"
    assert error["data"]["suggestion"]["message"]


def test_an_unknown_method_is_answered(client: Client) -> None:
    assert client.ask("slipway/nothing", {})["error"]["code"] == -32601


def test_nothing_of_a_message_reaches_stderr(client: Client, tmp_path: Path) -> None:
    client.ask("slipway/workspace", {"folder": str(tmp_path / "a-name-to-look-for")})
    client.ask("shutdown", None)
    client.notify("exit", None)
    assert client.process.wait(timeout=120) == 0
    assert "a-name-to-look-for" not in "".join(client.stderr)


def test_the_process_ends_when_its_window_is_gone(client: Client) -> None:
    assert client.process.stdin is not None
    client.process.stdin.close()
    client.process.wait(timeout=120)
