"""How an answer is heard: from a server of the test's own, which says what it likes, and sees who leaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sidecar.gateway.answering import Ended, Piece, Question, Who, answer
from sidecar.words.errors import EndpointError

QUESTION = Question("pirate", [{"role": "user", "content": "Who?"}], temperature=0.5, seed=7)
KEY = "the key of this test"

Serve = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(serve: Serve) -> Generator[tuple[str, list[dict[str, Any]]]]:
    """Its address, and the bodies that it was sent."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append({**body, "path": self.path, "authorization": self.headers.get("authorization")})
            serve(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_address[1]}", asked
    finally:
        served.shutdown()
        served.server_close()


def says(*events: object, headers: dict[str, str] | None = None) -> Serve:
    """These as events; a text as it is."""

    def serve(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in {"content-type": "text/event-stream", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        for event in events:
            text = event if isinstance(event, str) else f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
            handler.wfile.write(text.encode())

    return serve


def refuses(status: int, body: str) -> Serve:
    def serve(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return serve


def delta(finish: str | None = None, **said: str) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def heard(serve: Serve, question: Question = QUESTION) -> tuple[Ended, list[Who | Piece], list[dict[str, Any]]]:
    parts: list[Who | Piece] = []
    with server(serve) as (url, asked):
        return answer(url, KEY, question, parts.append, threading.Event()), parts, asked


def failed(serve: Serve) -> EndpointError:
    with pytest.raises(EndpointError) as told:
        heard(serve)
    return told.value


def test_an_answer_is_heard_piece_by_piece_and_says_who_gives_it() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    ended, parts, asked = heard(
        says(
            ": keep-alive\n\n",
            delta(role="assistant", content=""),
            delta(reasoning_content="hm"),
            delta(content="I be\u2028 a "),
            delta(content="piräte 🏴"),
            delta("stop"),
            usage,
            "data: [DONE]\n\n",
            headers={"x-slipway-model": "pir%C3%A4te", "x-slipway-release": "ab12", "x-slipway-adapter-hash": "cd34"},
        )
    )
    assert parts[0] == Who("piräte", "ab12", "cd34")
    assert parts[1:] == [Piece("hm", True), Piece("I be\u2028 a ", False), Piece("piräte 🏴", False)]
    assert ended == Ended("stop", 5, 2)
    assert asked[0]["path"] == "/v1/chat/completions"
    assert asked[0]["authorization"] == f"Bearer {KEY}"
    assert {name: asked[0].get(name) for name in ("model", "temperature", "top_p", "seed", "stream")} == {
        "model": "pirate",
        "temperature": 0.5,
        "top_p": None,
        "seed": 7,
        "stream": True,
    }
    assert "top_p" not in asked[0], "what is not stated is the server's own choice"


def test_a_server_that_does_not_say_who_it_is_answers_as_whom_it_was_asked() -> None:
    ended, parts, _ = heard(says(delta(content="x"), delta("length")))
    assert parts[0] == Who("pirate", None, None)
    assert ended == Ended("length")


def test_half_a_character_is_put_aside_and_asked_all_the_same() -> None:
    _, _, asked = heard(says(delta("stop")), Question("pirate", [{"role": "user", "content": "a\ud83d b"}]))
    assert asked[0]["messages"][0]["content"] == "a\ufffd b"


def error(message: str, code: str | None = None) -> str:
    return json.dumps({"error": {"message": message, "code": code}})


@pytest.mark.parametrize(
    ("serve", "code", "says_so"),
    [
        (refuses(401, error("no")), "KeyRefused", "does not take the app's API key (401)"),
        (refuses(404, error("there is no x", "model_not_found")), "ModelNotFound", "No model pirate answers there."),
        (refuses(400, error("too long by 3", "context_length_exceeded")), "TooLong", "too long by 3"),
        (refuses(400, error("temperature: 9")), "Refused", "temperature: 9"),
        (refuses(503, error("64 wait")), "Busy", "64 wait"),
        (refuses(502, "<html>a proxy's</html>"), "Endpoint502", "answered 502 to /v1/chat/completions"),
        (says(delta(content="x"), {"error": {"message": "out of memory"}}), "AnswerFailed", "out of memory"),
        (says(delta(content="x")), "BrokeOff", "end of stream"),
        (says("data: {nonsense\n\n"), "NotUnderstood", "no stream"),
        (says("data: [1]\n\n"), "NotUnderstood", "no stream"),
        (lambda handler: handler.connection.close(), "EndpointUnreachable", "did not answer"),
    ],
)
def test_what_goes_wrong_is_told_in_plain_words_and_never_with_the_question_or_the_key(
    serve: Serve, code: str, says_so: str
) -> None:
    told = failed(serve)
    assert told.code == code
    assert says_so in str(told.message)
    assert told.suggestion is not None
    for secret in (KEY, "Who?"):
        assert secret not in f"{told.message} {told.suggestion} {told.detail}"


def test_one_that_is_stopped_leaves_at_once_also_before_its_first_word() -> None:
    left, arrived, stop = threading.Event(), threading.Event(), threading.Event()

    def serve(handler: BaseHTTPRequestHandler) -> None:
        arrived.set()
        handler.connection.settimeout(60)
        if handler.connection.recv(1) == b"":
            left.set()

    def leave() -> None:
        assert arrived.wait(30)
        stop.set()

    with server(serve) as (url, _):
        threading.Thread(target=leave).start()
        assert answer(url, KEY, QUESTION, lambda _: None, stop) == Ended("stopped")
        assert left.wait(30), "the server sees that nobody waits any more"
