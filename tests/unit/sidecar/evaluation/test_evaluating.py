"""Rows asked of a server that is slow, full, broken or gone: each is answered once, and nothing is asked faster than it takes."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sidecar.core.dataset import Answer, Case
from sidecar.core.journal import Event, Journal
from sidecar.gateway.rows import Answering
from sidecar.words.errors import Cancelled, EndpointError
from sidecar.workflows import evaluating
from sidecar.workflows.evaluating import LATE_TRIES, TRIES, Todo, Way, ask_all, asked_by

KEY = "the-key-of-this-test"
Play = Callable[["Server", BaseHTTPRequestHandler, str], bool]
"""What happens to a request for a row; False: it is answered as usual."""


class Quiet(ThreadingHTTPServer):
    """Clients that leave are part of these tests."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Server:
    """On this machine. Counts what it is asked, and how many requests are under way at a time."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.paths: set[str] = set()
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.most = 0
        self.play: Play = lambda server, handler, row: False
        self.lock = threading.Lock()
        self._flying = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        row = body["messages"][0]["content"] if "messages" in body else body["prompt"]
        with self.lock:
            self.asked[row] += 1
            self.paths.add(handler.path)
            self.bodies.append(body)
            self.keys.add(handler.headers.get("Authorization", ""))
            self._flying += 1
            self.most = max(self.most, self._flying)
        try:
            if not self.play(self, handler, row):
                text = f"so it is: {row}"
                choice = {"message": {"content": text}} if "messages" in body else {"text": text}
                self.say(
                    handler, 200, {"choices": [{**choice, "finish_reason": "stop"}], "usage": {"completion_tokens": 4}}
                )
        finally:
            with self.lock:
                self._flying -= 1

    def say(self, handler: BaseHTTPRequestHandler, status: int, body: object, **headers: str) -> None:
        content = json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


class Asked:
    """One evaluation, and what was stored of it."""

    def __init__(self, server: Server, rows: int = 20, at_once: int = 8) -> None:
        self.server, self.at_once = server, at_once
        self.todo: list[Todo] = [(Case("", (("user", f"row {at}"),), id=f"r{at}"), "poet") for at in range(rows)]
        self.stored: dict[str, Answer] = {}
        self.stop = threading.Event()
        self.told: list[str] = []

    def run(self) -> None:
        journal = Journal(None, "", self.hear, self.stop)
        with Answering(self.server.url, KEY, self.at_once) as answering:
            ask_all(self.todo, asked_by(answering, Way(self.at_once, 64, 0.0, 7)), self.put, journal, self.at_once)

    def hear(self, event: Event) -> None:
        self.told.append(str(event.text))

    def put(self, row: str, model: str, answer: Answer) -> bool:
        assert row not in self.stored, "an answer is stored once"
        self.stored[row] = answer
        return True


def test_each_row_is_asked_once_as_many_at_a_time_as_the_server_takes(server: Server) -> None:
    asked = Asked(server, rows=40, at_once=4)
    together = threading.Barrier(4)

    def play(server: Server, handler: BaseHTTPRequestHandler, row: str) -> bool:
        together.wait(timeout=240)  # four at a time get on, neither three nor five
        return False

    server.play = play
    asked.run()
    assert set(server.asked.values()) == {1}
    assert server.most == 4
    assert asked.stored["r3"].text == "so it is: row 3"
    assert {(each.finish, each.tokens) for each in asked.stored.values()} == {("stop", 4)}
    assert server.keys == {f"Bearer {KEY}"}
    body = server.bodies[0]
    assert (body["model"], body["max_tokens"], body["temperature"], body["seed"]) == ("poet", 64, 0.0, 7)
    assert not any("row" in each for each in asked.told), "no question is told"


def test_texts_are_gone_on_with_as_they_stand_and_a_row_may_state_its_tokens(server: Server) -> None:
    asked = Asked(server, rows=0)
    asked.todo = [(Case("", prompt="Once upon", id="r", max_tokens=5), "poet")]
    asked.run()
    assert (server.paths, server.bodies[0]["max_tokens"]) == ({"/v1/completions"}, 5)
    assert asked.stored["r"].text == "so it is: Once upon"


@pytest.mark.parametrize("status", [429, 503, 500])
def test_a_server_that_is_full_is_asked_again_after_what_it_says_and_by_fewer(status: int, server: Server) -> None:
    refused = Counter[str]()

    def play(server: Server, handler: BaseHTTPRequestHandler, row: str) -> bool:
        with server.lock:
            if refused.total() >= 6 or refused[row] == 2:
                return False
            refused[row] += 1
        server.say(handler, status, {"error": {"code": "rate_limit_exceeded"}}, Retry_After="0.2")
        return True

    server.play = play
    asked = Asked(server)
    asked.run()
    assert refused.total() == 6
    assert len(asked.stored) == 20
    assert server.asked.total() == 26


def test_a_request_that_the_server_refuses_for_its_own_sake_costs_its_row_alone(server: Server) -> None:
    def play(server: Server, handler: BaseHTTPRequestHandler, row: str) -> bool:
        if row == "row 5":
            server.say(handler, 400, {"error": {"code": "context_length_exceeded", "message": "too long"}})
        return row == "row 5"

    server.play = play
    asked = Asked(server)
    asked.run()
    assert len(asked.stored) == 20
    wrong = asked.stored["r5"]
    assert (wrong.text, wrong.refused, wrong.said) == (None, "context_length_exceeded", "too long")


def test_a_row_at_which_the_server_fails_each_time_counts_as_refused_and_the_others_are_answered(
    server: Server,
) -> None:
    def play(server: Server, handler: BaseHTTPRequestHandler, row: str) -> bool:
        if row == "row 5":
            server.say(handler, 500, {"error": {"message": "the engine broke"}}, Retry_After="0.1")
        return row == "row 5"

    server.play = play
    asked = Asked(server)
    asked.run()
    assert len(asked.stored) == 20
    assert (asked.stored["r5"].refused, asked.stored["r5"].said) == ("500", "the engine broke")
    assert server.asked["row 5"] == TRIES


def test_a_connection_that_breaks_off_and_half_an_answer_are_asked_again(server: Server) -> None:
    broken: set[str] = set()

    def play(server: Server, handler: BaseHTTPRequestHandler, row: str) -> bool:
        with server.lock:
            if row not in ("row 1", "row 2", "row 3") or row in broken:
                return False
            broken.add(row)
        if row == "row 1":
            server.say(handler, 200, {"error": {"message": "failed after the first blank"}})
        elif row == "row 2":
            server.say(handler, 200, {"choices": []}, Content_Length="5000")
        handler.close_connection = True
        return True

    server.play = play
    asked = Asked(server)
    asked.run()
    assert len(asked.stored) == 20
    assert {row for row, count in server.asked.items() if count == 2} == broken == {"row 1", "row 2", "row 3"}


@pytest.mark.parametrize("status", [401, 404])
def test_what_no_other_row_would_fare_better_with_ends_it(status: int, server: Server) -> None:
    def play(server: Server, handler: BaseHTTPRequestHandler, row: str) -> bool:
        server.say(handler, status, {"error": {"code": "no", "message": "not you"}})
        return True

    server.play = play
    asked = Asked(server)
    with pytest.raises(EndpointError) as raised:
        asked.run()
    assert (raised.value.code, raised.value.detail) == (f"Endpoint{status}", "not you")
    assert server.asked.total() <= asked.at_once


CAUSES = [(429, "HTTP 429 rate_limit_exceeded"), (503, "HTTP 503 rate_limit_exceeded"), (0, "no answer (")]


@pytest.mark.parametrize(("status", "problem"), CAUSES)
def test_what_came_in_place_of_answers_is_the_cause_and_is_told_meanwhile(
    status: int, problem: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "LOST_SECONDS", 1.5)  # patched: ten minutes of a network that comes back
    server.play = lambda server, handler, row: refused(server, handler, status)
    asked = Asked(server, rows=4, at_once=2)
    with pytest.raises(EndpointError) as raised:
        asked.run()
    assert problem in str(raised.value)
    assert raised.value.code == ("EndpointBusy" if status else "EndpointUnreachable")
    assert raised.value.detail == ("so many ask" if status else None)
    assert any("just now none comes" in each and problem in each for each in asked.told)


def refused(server: Server, handler: BaseHTTPRequestHandler, status: int) -> bool:
    if status:
        said = {"error": {"code": "rate_limit_exceeded", "message": "so many ask"}}
        server.say(handler, status, said, Retry_After="0.5")
    else:
        handler.close_connection = True
    return True


def test_a_row_for_whose_answer_nobody_waits_ends_it_and_is_named(server: Server) -> None:
    """The container's own code for it, as it comes through its door."""

    def play(server: Server, handler: BaseHTTPRequestHandler, row: str) -> bool:
        if row == "row 5":
            server.say(handler, 504, {"code": "TooSlow", "message": "not within 220 s"}, Retry_After="0.1")
        return row == "row 5"

    server.play = play
    asked = Asked(server)
    asked.todo = [(replace(case, place=f"rows.jsonl:{case.id}"), model) for case, model in asked.todo]
    with pytest.raises(EndpointError) as raised:
        asked.run()
    assert raised.value.code == "AnswerTooSlow"
    assert "rows.jsonl:r5: the answer of poet takes longer than anybody on its way waits (HTTP 504 TooSlow)" in str(
        raised.value
    )
    assert "max_tokens" in str(raised.value.suggestion)
    assert server.asked["row 5"] == LATE_TRIES
    assert "r5" not in asked.stored


def test_a_cancel_is_heard_while_the_server_does_not_answer(server: Server) -> None:
    asked = Asked(server, rows=40, at_once=4)
    goes_on = threading.Event()

    def play(server: Server, handler: BaseHTTPRequestHandler, row: str) -> bool:
        with server.lock:
            if len(server.asked) < 10:
                return False
        asked.stop.set()
        return not goes_on.wait(240)

    server.play = play
    with pytest.raises(Cancelled):
        asked.run()
    assert len(asked.stored) < 20
    assert server.asked.total() <= len(asked.stored) + asked.at_once, "nothing is begun after a cancel"
    goes_on.set()


def test_a_failure_of_the_disk_ends_it_and_is_named(server: Server) -> None:
    asked = Asked(server)

    def full(row: str, model: str, answer: Answer) -> bool:
        raise OSError(28, "No space left on device")

    asked.put = full
    with pytest.raises(EndpointError, match="No space left") as raised:
        asked.run()
    assert raised.value.code == "NotStored"
