"""Streaming clients that try nothing twice, and judge each answer: one release and one adapter from first to last token."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

NEW_CONNECTIONS = 0.4  # of the requests, by chance: never less than a quarter of many
LONGEST_REST = 0.4  # seconds
PATIENCE = 120.0  # seconds for one request


@dataclass(frozen=True)
class Question:
    """What is asked, and what each release answers: its digest → the text. `adapter`: the hash of the adapter that is asked."""

    model: str
    text: str
    answers: Mapping[str, str]
    adapter: str = ""


@dataclass(frozen=True)
class Asked:
    """One request. `problem`: why it counts as failed or wrong; empty where it is right."""

    began: float
    ended: float
    release: str
    problem: str = ""
    wrong: bool = False


class Wrong(Exception):
    """An answer came, and is not what this release and this model say."""


@dataclass
class Load:
    """`clients` at a time ask one question after the other, as fast as they are answered."""

    host: str
    port: int
    key: str
    questions: Sequence[Question]
    clients: int = 16
    resting: int = 0
    """Further clients, which rest before each request, so that their connections are idle meanwhile."""
    done: list[Asked] = field(default_factory=list[Asked])
    connections: int = 0
    stopping: bool = False
    _running: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    _begun: dict[int, float] = field(default_factory=dict[int, float])

    def start(self) -> None:
        self._running = [asyncio.create_task(self._client(number)) for number in range(self.clients + self.resting)]

    async def stop(self) -> None:
        """Every request that was begun comes to its end."""
        self.stopping = True
        await asyncio.gather(*self._running)

    @property
    def in_flight(self) -> int:
        """Requests that were sent and have not been answered whole."""
        return len(self._begun)

    async def until(self, release: str, number: int, seconds: float = 120) -> None:
        """So many answers of this release from now on."""
        before, deadline = len(self.done), time.monotonic() + seconds
        while sum(each.release == release for each in self.done[before:]) < number:
            assert time.monotonic() < deadline, f"{release[:12]} does not answer: {self.verdict()}"
            await asyncio.sleep(0.02)  # sleeps: between two looks

    @property
    def failed(self) -> list[Asked]:
        return [each for each in self.done if each.problem and not each.wrong]

    @property
    def wrong(self) -> list[Asked]:
        return [each for each in self.done if each.wrong]

    def verdict(self) -> str:
        problems = Counter(each.problem for each in self.done if each.problem)
        listed = "".join(f"; {number}x {problem}" for problem, number in problems.most_common(5))
        return f"{len(self.done)} requests, {len(self.failed)} failed, {len(self.wrong)} wrong{listed}"

    async def _client(self, number: int) -> None:
        chance = random.Random(number)
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self.stopping:
            if number >= self.clients:
                await asyncio.sleep(
                    chance.uniform(0, LONGEST_REST)
                )  # sleeps: it is idle, as clients are most of the time
            question = chance.choice(self.questions)
            began = time.monotonic()
            self._begun[number] = began
            release, problem, wrong = "", "", False
            try:
                if connection is None or chance.random() < NEW_CONNECTIONS:
                    if connection is not None:
                        connection[1].close()
                    connection = await asyncio.open_connection(self.host, self.port)
                    self.connections += 1
                release, kept = await asyncio.wait_for(self._ask(connection, question), PATIENCE)
                if not kept:
                    connection[1].close()
                    connection = None
            except Wrong as error:
                problem, wrong = str(error), True
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                problem = f"{type(error).__name__}: {error}"
            del self._begun[number]
            self.done.append(Asked(began, time.monotonic(), release, problem, wrong))
            if problem and connection is not None:
                connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()

    async def _ask(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], question: Question
    ) -> tuple[str, bool]:
        """The release that answered, and whether the connection can be used again."""
        reader, writer = connection
        writer.write(self._request(question))
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines[1:] if line}
        status = int(lines[0].split(" ")[1])
        if status != 200:
            length = int(headers.get("content-length", "0"))
            said = (await reader.readexactly(length)).decode(errors="replace")
            raise ValueError(f"status {status}: {said[:200]}")
        pieces, ended = pieces_of(await chunks(reader))
        release = headers.get("x-slipway-release", "")
        judge(question, release, headers.get("x-slipway-adapter-hash", ""), pieces, ended=ended)
        return release, "close" not in headers.get("connection", "").lower()

    def _request(self, question: Question) -> bytes:
        body = json.dumps(
            {
                "model": question.model,
                "messages": [{"role": "user", "content": question.text}],
                "temperature": 0,
                "stream": True,
            }
        ).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def chunks(reader: asyncio.StreamReader) -> bytes:
    """A body sent in chunks; EOFError where it is cut off."""
    whole = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        whole += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return whole


def pieces_of(body: bytes) -> tuple[list[str], bool]:
    """The text's pieces, and whether the stream came to its end."""
    events = [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]
    told = [json.loads(each) for each in events if each != "[DONE]"]
    if errors := [each["error"] for each in told if "error" in each]:
        raise ValueError(f"the stream ended with an error: {errors[0]}")
    deltas = [choice["delta"].get("content") or "" for each in told for choice in each["choices"]]
    return [each for each in deltas if each], "[DONE]" in events


def judge(question: Question, release: str, adapter: str, pieces: Sequence[str], *, ended: bool) -> None:
    expected = question.answers.get(release)
    if expected is None:
        raise Wrong(f"an unknown release answered: {release[:12]!r}")
    if not ended:
        raise EOFError("the stream did not come to its end")
    if adapter != question.adapter:
        raise Wrong(f"another adapter answered: {adapter[:12]!r} for {question.model}")
    if "".join(pieces) != expected:
        raise Wrong(f"the text is not this release's: {''.join(pieces)[:60]!r} for {expected!r}")
