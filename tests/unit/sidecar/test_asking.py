"""What a release is asked before it takes over, at an endpoint that answers every question with what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sidecar.core.journal import Journal
from sidecar.core.smoke import Message, Question
from sidecar.gateway.endpoint import Endpoint
from sidecar.words.errors import EndpointError
from sidecar.workflows.asking import ask_smoke

ASKED: list[dict[str, Any]] = []
METRICS = b"# HELP slipway_in_flight Requests\nslipway_in_flight_other 9.0\nslipway_in_flight 3.0\n"


class Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.send(METRICS)
        else:
            self.send(json.dumps({"data": [{"id": "base"}, {"id": "adapter"}]}).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ASKED.append(asked)
        said = " ".join(each["content"] for each in asked["messages"])
        self.send(json.dumps({"choices": [{"message": {"content": said}}]}).encode())

    def send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    ASKED.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def silent() -> Journal:
    return Journal(None, "", lambda _: None, threading.Event())


def test_every_question_is_asked_as_it_is_stated(url: str) -> None:
    talk = (Message(role="system", content="Be brief."), Message(role="user", content="Ahoy?"))
    smoke = (Question(prompt="2 + 2", contains="2"), Question(messages=talk, model="adapter", equals="Be brief. Ahoy?"))
    ask_smoke(url, "key", smoke, silent())
    assert [(each["model"], each["max_tokens"], each["temperature"]) for each in ASKED] == [
        ("base", 16, 0),
        ("adapter", 16, 0),
    ]
    assert [each["role"] for each in ASKED[1]["messages"]] == ["system", "user"]


def test_the_first_answer_that_is_not_as_stated_is_told_by_its_number(url: str) -> None:
    smoke = (Question(prompt="fine", equals="fine"), Question(prompt="4", contains="5"), Question(prompt="never"))
    with pytest.raises(EndpointError) as failed:
        ask_smoke(url, None, smoke, silent())
    assert failed.value.code == "SmokeFailed"
    assert "Question 2" in str(failed.value.message)
    assert len(ASKED) == 2


def test_without_questions_one_token_is_asked(url: str) -> None:
    ask_smoke(url, None, (), silent())
    assert [each["max_tokens"] for each in ASKED] == [1]


def test_how_much_is_left_to_answer_is_read_from_the_servers_own_number(url: str) -> None:
    with Endpoint(url, "key") as endpoint:
        assert endpoint.in_flight() == 3
    with Endpoint("http://127.0.0.1:1", "key") as nobody:
        assert nobody.in_flight() is None
