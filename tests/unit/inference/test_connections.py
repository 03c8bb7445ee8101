"""The time that a client has for what it sends: each part has its own."""

import asyncio

from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from inference.web.connections import LATE, Connection


class Wire(asyncio.Transport):
    """A connection's other end, as far as the server sees it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


async def refuse(scope: Scope, receive: Receive, send: Send):
    """An answer that does not wait for the body."""
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def test_a_head_has_its_own_time_whatever_the_body_before_it_took():
    async def scenario():
        wire = Wire()
        connection = Connection(Config(refuse, lifespan="off"), ServerState(), {})
        connection.connection_made(wire)
        first = connection._deadline
        connection.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n")
        assert first is not None
        assert first.cancelled()
        while b"401" not in wire.written:
            await asyncio.sleep(0)
        connection.data_received(b"a" * 10)
        of_body = connection._deadline
        assert of_body is not None
        connection.data_received(b"a" * 5)
        assert connection._deadline is of_body  # one byte after the other brings no more time
        connection.data_received(b"a" * 5 + b"GET / HTTP/1.1\r\nhost")
        of_head = connection._deadline
        assert of_head is not None
        assert of_body.cancelled()
        assert of_head.when() > of_body.when()
        connection.data_received(b": x")
        assert connection._deadline is of_head
        of_head._run()
        assert wire.closed
        assert wire.written.endswith(LATE)

    asyncio.run(scenario())


def test_a_server_that_leaves_waits_for_answers_of_the_api_on_every_path():
    """And not for the streams of the chat page, which last as long as that is open."""

    async def scenario():
        begun = asyncio.Event()

        async def streaming(scope: Scope, receive: Receive, send: Send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            begun.set()
            await asyncio.Event().wait()

        held: dict[str, bool] = {}
        for path in ("/v1/responses", "/openai/deployments/a%2Fb/chat/completions", "/gradio_api/queue/data"):
            begun.clear()
            connection = Connection(Config(streaming, lifespan="off"), ServerState(), {})
            connection.connection_made(Wire())
            connection.data_received(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            await begun.wait()
            held[path.split("/")[1]] = connection.holds
        assert held == {"v1": True, "openai": True, "gradio_api": False}

    asyncio.run(scenario())
