"""A load of streaming chat clients over bare sockets: light enough not to be what is measured."""

import asyncio
import json
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Load:
    """What a round of clients saw. Times in seconds."""

    tokens: int = 0
    seconds: float = 0.0
    first: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)  # when each gap ended
    began: float = 0.0  # when the last client got its first token

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds

    @property
    def first_median(self) -> float:
        return median(self.first)

    def gap(self, share: float) -> float:
        ordered = sorted(self.gaps)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


@dataclass(frozen=True)
class Target:
    """A server under load: where it is, its key, and what its requests hold beside messages."""

    port: int
    models: tuple[str, ...]
    key: str = "none"
    options: dict[str, object] = field(default_factory=dict)


def batch(port: int, clients: int, tokens: int) -> Load:
    """The same prompts in one call of bare `generate`."""
    load = Load()
    body = json.dumps({"conversations": [conversation(number) for number in range(clients)], "max_tokens": tokens})
    began = time.perf_counter()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/batch", body.encode())
    with urllib.request.urlopen(request, timeout=600) as answer:
        load.tokens = json.load(answer)["tokens"]
    load.seconds = time.perf_counter() - began
    if load.tokens != clients * tokens:
        raise RuntimeError(f"generate made {load.tokens} tokens, not {clients * tokens}")
    return load


def conversation(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"client {number} asks: " + "what is a slipway? " * 2}]


def run(target: Target, clients: int, tokens: int) -> Load:
    return asyncio.run(everyone(target, clients, tokens))


async def everyone(target: Target, clients: int, tokens: int) -> Load:
    load = Load()
    began = time.perf_counter()
    await asyncio.gather(*(one(target, number, tokens, load) for number in range(clients)))
    load.seconds = time.perf_counter() - began
    return load


async def one(target: Target, number: int, tokens: int, load: Load) -> None:
    """One streaming request; every event that carries text counts as it comes, the tokens by the limit asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=1 << 20)
    body = json.dumps(
        {
            "model": target.models[number % len(target.models)],
            "messages": conversation(number),
            "stream": True,
            "max_tokens": tokens,
            "temperature": 0,
            **target.options,
        }
    )
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {target.key}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    began = last = time.perf_counter()
    writer.write((head + body).encode())
    events = 0
    done = False
    status = b""
    while chunk := await reader.read(1 << 16):
        status = status or chunk[:15]
        count = chunk.count(b'"content":') - chunk.count(b'"content":""')  # an opening without text is no token
        now = time.perf_counter()
        if count:
            if not events:
                load.first.append(now - began)
                load.began = max(load.began, now)
            else:
                load.gaps.append(now - last)
                load.ends.append(now)
            last = now
            events += count
        done = done or b"[DONE]" in chunk
    writer.close()
    if b" 200 " not in status or not (done or events >= tokens // 2):
        raise RuntimeError(f"client {number}: {status!r}, {events} events, done: {done}")
    load.tokens += tokens


def main(arguments: list[str]) -> None:
    """`load.py TARGET CLIENTS TOKENS`: a load in a process of its own, so that nothing else delays what it sees."""
    target = json.loads(arguments[0])
    load = run(
        Target(target["port"], tuple(target["models"]), target["key"], target["options"]), *map(int, arguments[1:])
    )
    print(
        json.dumps(
            {"tokens": load.tokens, "seconds": load.seconds, "gaps": load.gaps, "ends": load.ends, "began": load.began}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
