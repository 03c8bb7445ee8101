"""CPU time a streamed token costs beside the model: detokenising, JSON, events and HTTP, ours and the usual ways.

Each way is a server process of its own that gives the CPU time it used; the clients are another process. Tokens come
ready-made, sixteen streams at a time, one token each a turn, as the steps of an engine bring them.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any, cast

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from small_model import TEMPLATE, VOCABULARY, bytes_and_words  # noqa: E402

STREAMS, TOKENS = 16, 2000
CLIENT = """
import asyncio, json, sys
async def one():
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "go"}], "stream": True,
                       "max_tokens": int(sys.argv[3])})
    writer.write(f"POST /v1/chat/completions HTTP/1.1\\r\\nhost: x\\r\\nauthorization: Bearer bench\\r\\n"
                 f"content-length: {len(body)}\\r\\nconnection: close\\r\\n\\r\\n{body}".encode())
    tail = b""
    while chunk := await reader.read(1 << 16):
        tail = (tail + chunk)[-64:]
    assert b"[DONE]" in tail, tail
async def main():
    await asyncio.gather(*(one() for _ in range(int(sys.argv[2]))))
asyncio.run(main())
"""


def ours() -> Any:
    """The server's own application on an engine whose tokens are ready-made; only the drawing is not real."""
    from inference.engine.adapters.table import Adapters
    from inference.engine.adapters.watch import Watch
    from inference.engine.engine import Delta, Engine, Gauges, Sink
    from inference.engine.text.tokenizer import Detokenizer, Tokenizer, compile_template
    from inference.engine.text.tokenizer_grammars import TokenizerGrammars
    from inference.server import application
    from inference.service import Served, Service, hand_out
    from inference.settings import Settings
    from inference.web.chat_mount import ChatPage
    from inference.web.gate import Gate

    class Ready:
        kind, context, failure = "ready", 1 << 20, ""

        def __init__(self) -> None:
            self.tokenizer = Tokenizer(bytes_and_words(), frozenset(), compile_template(TEMPLATE), {})
            self._streams: dict[int, tuple[Sink, Detokenizer, int]] = {}

        def submit(self, prompt: list[int], params: Any, adapter: Any, sink: Sink) -> int:
            number = len(self._streams)
            self._streams[number] = (sink, Detokenizer(self.tokenizer, ()), params.max_tokens)
            if number == STREAMS - 1:
                self._running = asyncio.ensure_future(self._run())
            return number

        async def _run(self) -> None:
            await asyncio.sleep(0)
            streams = list(self._streams.values())
            self._streams.clear()
            for number in range(TOKENS):
                last = number == TOKENS - 1
                events: list[tuple[Sink, Delta]] = []
                for sink, text, _ in streams:
                    piece, _ = text.push(300 + number % (VOCABULARY - 300))
                    events.append((sink, Delta(piece, (), 1, "length" if last else None)))
                hand_out(events)
                await asyncio.sleep(0)

        def cancel(self, request: int) -> None: ...
        def install(self, slot: int, folder: Any) -> None: ...
        def remove(self, slot: int) -> None: ...
        def stop(self) -> None: ...
        def gauges(self) -> Gauges:
            return Gauges(
                running=0,
                waiting=0,
                blocks_used=0,
                blocks=0,
                preemptions=0,
                steps=0,
                prompt_tokens=0,
                generated_tokens=0,
            )

    service = Service(Settings(api_key="bench"), asyncio.get_running_loop())
    engine = Ready()
    adapters = Adapters(Path("/nowhere"), 0, lambda *_: None, lambda *_: None)
    watch = Watch(adapters, Path("/nowhere"), Path("/nowhere/config.json"), 60)
    service.served = Served("m", cast("Engine", engine), adapters, TokenizerGrammars(engine.tokenizer), watch)
    service.note("ready", 1.0, "")
    return application(service, Gate("bench"), ChatPage(service))


def usual(plain: bool) -> Any:
    """What one writes first: decode what is new, json.dumps, StreamingResponse, over a plain or an async generator.

    The plain one is the original's (its tokens come from a TextIteratorStreamer); starlette runs it on threads.
    """
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    tokenizer = bytes_and_words()

    async def chat(request: Request) -> StreamingResponse:
        asked = await request.json()

        def event(number: int, tokens: list[int]) -> str:
            tokens.append(300 + number % (VOCABULARY - 300))
            before, after = tokenizer.decode(tokens[-8:-1]), tokenizer.decode(tokens[-8:])
            choice = {"index": 0, "delta": {"content": after[len(before) :]}, "logprobs": None, "finish_reason": None}
            body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            return f"data: {json.dumps(body)}\n\n"

        def events() -> Generator[str]:
            tokens: list[int] = []
            for number in range(asked["max_tokens"]):
                yield event(number, tokens)
            yield "data: [DONE]\n\n"

        async def async_events() -> AsyncGenerator[str]:
            tokens: list[int] = []
            for number in range(asked["max_tokens"]):
                await asyncio.sleep(0)
                yield event(number, tokens)
            yield "data: [DONE]\n\n"

        return StreamingResponse(events() if plain else async_events(), media_type="text/event-stream")

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])


PLAIN_SERVER = {"http": "h11", "loop": "asyncio"}  # as `pip install uvicorn` gives it
FAST_SERVER = {"http": "httptools", "loop": "uvloop"}
WAYS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "ours": (ours, FAST_SERVER),
    "plain generator": (lambda: usual(plain=True), PLAIN_SERVER),
    "async generator": (lambda: usual(plain=False), PLAIN_SERVER),
    "async generator on uvloop and httptools": (lambda: usual(plain=False), FAST_SERVER),
}


async def serve(way: str) -> None:
    """Serves one way; answers each line on standard input by the process's CPU time in seconds."""
    import uvicorn

    make, options = WAYS[way]
    config = uvicorn.Config(
        make(), port=0, lifespan="off", log_level="critical", access_log=False, http=options["http"]
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)  # sleeps: between two samples of a load that runs
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(time.process_time(), flush=True)
    server.should_exit = True
    await serving


class Way:
    """A server process, asked for its CPU time before and after a round."""

    def __init__(self, way: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._port = self._line()

    def cost(self) -> float:
        """Microseconds a token, of one round."""
        before = self._time()
        asked = [self._port, str(STREAMS), str(TOKENS)]
        subprocess.run([sys.executable, "-c", CLIENT, *asked], check=True)
        return (self._time() - before) / STREAMS / TOKENS * 1e6

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _time(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def run(rounds: int) -> dict[str, list[float]]:
    """Microseconds of CPU time a token, for each way and round."""
    ways = {name: Way(name) for name in WAYS}
    try:
        for way in ways.values():
            way.cost()  # warm up
        seen: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                seen[name].append(way.cost())
        return seen
    finally:
        for way in ways.values():
            way.close()


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] == "--rounds":
        print(json.dumps(run(int(sys.argv[2]) if len(sys.argv) > 2 else 5)))
        return
    import uvloop

    options = WAYS[sys.argv[1]][1]
    factory = uvloop.new_event_loop if options["loop"] == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(sys.argv[1]))


if __name__ == "__main__":
    main()
