"""The record of what passed the door: there when the answer is, and once."""

import asyncio
import json
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.localcloud.door.recorder import recorded

SCOPE = {
    "type": "http",
    "method": "PUT",
    "raw_path": b"/a",
    "query_string": b"b=1",
    "headers": [(b"authorization", b"x")],
}


async def asked() -> Message:
    return {"type": "http.request", "body": b'{"asked": 1}', "more_body": False}


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b'{"answered"', "more_body": True})
    await send({"type": "http.response.body", "body": b": 2}"})


def pass_through(app: ASGIApp, file: Path, send: Send) -> None:
    async def passing() -> None:
        await recorded(app, file, "https://arm")(SCOPE, asked, send)

    asyncio.run(passing())


def pairs(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_who_has_the_answer_finds_it_recorded(tmp_path: Path) -> None:
    file, seen = tmp_path / "record.jsonl", list[int]()

    async def send(message: Message) -> None:
        seen.append(len(pairs(file)))

    pass_through(answering, file, send)
    assert seen == [0, 0, 1]
    (pair,) = pairs(file)
    assert (pair["method"], pair["url"], pair["status"]) == ("PUT", "https://arm/a?b=1", 201)
    assert (pair["body"], pair["answer"], pair["headers"]) == ({"asked": 1}, {"answered": 2}, {})


def test_one_that_is_not_answered_to_its_end_is_recorded_too(tmp_path: Path) -> None:
    async def cut(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None:
        return

    pass_through(cut, tmp_path / "record.jsonl", send)
    assert [each["status"] for each in pairs(tmp_path / "record.jsonl")] == [200]
