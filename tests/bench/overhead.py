"""CPU time a streamed token costs beside the model: detokenising, JSON, events and HTTP, ours and the usual way.

Both ways run in one process on one event loop behind uvicorn, with a client in another process. Tokens come ready-made,
sixteen streams at a time, one token each a turn, as an engine step would bring them.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from small_model import VOCABULARY, bytes_and_words  # noqa: E402

from inference.completions import ChatShape, EventStream  # noqa: E402
from inference.engine.engine import Delta  # noqa: E402
from inference.engine.tokenizer import Detokenizer, Tokenizer  # noqa: E402

STREAMS, TOKENS = 16, 2000
CLIENT = """
import asyncio, sys
async def one(path):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    writer.write(f"GET {path} HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n".encode())
    while await reader.read(1 << 16):
        pass
async def main():
    await asyncio.gather(*(one(sys.argv[2]) for _ in range(int(sys.argv[3]))))
asyncio.run(main())
"""


class Ready:
    """A stream of ready-made tokens in the place of a generation: everything after the engine's drawing is real."""

    answers = 1
    prompt_tokens = completion_tokens = cached_tokens = 0
    closed = False

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._text = Detokenizer(tokenizer, ())

    def close(self) -> None:
        self.closed = True

    async def deltas(self) -> AsyncGenerator[list[tuple[int, Delta]]]:
        for number in range(TOKENS):
            text, _ = self._text.push(300 + number % (VOCABULARY - 300))
            await asyncio.sleep(0)
            yield [(0, Delta(text, (), 1, "length" if number == TOKENS - 1 else None))]


def application(tokenizer: Tokenizer) -> Starlette:
    async def ours(request: Request) -> EventStream:
        shape = ChatShape("chatcmpl-x", 1, "m", usage=False)
        return EventStream(Ready(tokenizer), shape, {})  # pyright: ignore[reportArgumentType]  (a generation's shape)

    async def usual(request: Request) -> StreamingResponse:
        async def events() -> AsyncGenerator[str]:
            tokens: list[int] = []
            before = ""
            for number in range(TOKENS):
                tokens.append(300 + number % (VOCABULARY - 300))
                tokens = tokens[-8:]
                text = tokenizer.fast.decode(tokens)
                piece, before = text[len(before) :], text if len(tokens) < 8 else tokenizer.fast.decode(tokens[1:])
                await asyncio.sleep(0)
                choice = {"index": 0, "delta": {"content": piece}, "logprobs": None, "finish_reason": None}
                body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
                yield f"data: {json.dumps(body)}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return Starlette(routes=[Route("/ours", ours), Route("/usual", usual)])


async def measure(rounds: int) -> dict[str, list[float]]:
    """Microseconds of CPU time a token, for each way and round."""
    tokenizer = Tokenizer(bytes_and_words(), frozenset(), None, {})
    config = uvicorn.Config(
        application(tokenizer), port=0, http="httptools", lifespan="off", log_level="critical", access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    seen: dict[str, list[float]] = {"/ours": [], "/usual": []}
    for _ in range(rounds):
        for path, costs in seen.items():
            began = time.process_time()
            client = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CLIENT, str(port), path, str(STREAMS), stdout=subprocess.DEVNULL
            )
            await client.wait()
            costs.append((time.process_time() - began) / STREAMS / TOKENS * 1e6)
    server.should_exit = True
    await serving
    return seen


def run(rounds: int) -> dict[str, list[float]]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure(rounds))


if __name__ == "__main__":
    print(json.dumps(run(5)))
