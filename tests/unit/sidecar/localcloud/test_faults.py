"""The kinds of faults: each does something of its own, and one that nobody has written down is refused."""

import asyncio
from typing import Any, get_args

import pytest
from starlette.types import Message, Receive, Scope, Send

from sidecar.localcloud.door.faults import Faults, Kind, Rule

SCOPE: Scope = {"type": "http", "method": "GET", "raw_path": b"/x", "query_string": b""}


class Connection:
    """What a server has behind `send`: what was sent, whether the connection was cut off, the requests that took effect."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.reset = False
        self.effects = 0
        self.transport = self

    def abort(self) -> None:
        self.reset = True

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def app(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.effects += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": f"answer {self.effects}".encode()})

    def seen(self) -> tuple[Any, ...]:
        status = next((each["status"] for each in self.sent if each["type"] == "http.response.start"), None)
        body = b"".join(each.get("body", b"") for each in self.sent)
        return (status, body, self.reset, self.effects)


def behaviour(rule: Rule) -> tuple[Any, ...]:
    """What the second request of two meets, when `rule` strikes it."""

    async def run() -> Connection:
        connection, faults = Connection(), Faults()
        guarded = faults.guard("arm", connection.app)
        faults.set([rule.model_copy(update={"skip": 1})], seed=0)
        for _ in range(2):
            connection.sent = []
            await guarded(SCOPE, connection.receive, connection.send)
        return connection

    return asyncio.run(run()).seen()


def test_every_kind_behaves_as_no_other():
    seen = {kind: behaviour(Rule(kind=kind, body="{}")) for kind in get_args(Kind)}
    assert seen.pop("delay") == (200, b"answer 2", False, 2)
    assert seen.pop("hold") == (200, b"answer 2", False, 2)
    assert seen["stale"] == (200, b"answer 1", False, 1)
    assert len(set(seen.values())) == len(seen), seen


def test_a_held_request_goes_on_when_other_rules_are_set():
    async def run() -> None:
        connection, faults = Connection(), Faults()
        guarded = faults.guard("arm", connection.app)
        faults.set([Rule(kind="hold", seconds=600)], seed=0)
        held = asyncio.ensure_future(guarded(SCOPE, connection.receive, connection.send))
        while not faults.shown()["rules"][0]["hits"]:
            await asyncio.sleep(0)
        assert (connection.effects, held.done()) == (0, False)
        faults.set([], seed=0)
        await asyncio.wait_for(held, 60)
        assert connection.effects == 1

    asyncio.run(run())


def test_a_kind_that_nobody_has_written_down_is_refused_and_not_taken_for_another():
    unknown: Any = "new"
    with pytest.raises(AssertionError, match="new"):
        behaviour(Rule.model_construct(kind=unknown))
