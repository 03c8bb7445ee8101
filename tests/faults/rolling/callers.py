"""Callers of an app whose releases tell themselves, at work beside what a row does; what each says is known."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from tests.faults.rolling.load import Asked, Load, Question
from tests.faults.rolling.telling_server import ADAPTER, BASE, text_of

CALLERS = 20
"""Some are between two requests at any moment: at least IN_FLIGHT are not."""

IN_FLIGHT = 16


class Tellings(Mapping[str, str]):
    """What any release says; one that has no name says nothing."""

    def __getitem__(self, release: str) -> str:
        if len(release) != 64:
            raise KeyError(release)
        return text_of(release)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass
class Counted:
    """`load` belongs to the thread of the callers; what is done is only added to."""

    load: Load

    @property
    def calls(self) -> list[Asked]:
        return list(self.load.done)

    @property
    def bad(self) -> int:
        return sum(bool(each.problem) for each in self.calls)

    @property
    def releases(self) -> Counter[str]:
        return Counter(each.release for each in self.calls if not each.problem)

    def in_flight(self, moment: float) -> int:
        return sum(each.began <= moment <= each.ended for each in self.calls)

    def most_in_flight(self, by: float) -> int:
        """At once, at some moment of the last answer's length before this one: callers that all wait for the same end together,
        and for a moment none of them asks."""
        last = max((each for each in self.calls if each.began < by), key=lambda each: each.began)
        moments = [each.began for each in self.calls if last.began - (last.ended - last.began) <= each.began <= by]
        return max(map(self.in_flight, moments))

    def both_answered(self, moment: float, old: str, new: str) -> bool:
        """The old release before it, the new one from then on."""
        before = any(each.release == old and each.began < moment for each in self.calls)
        return before and any(each.release == new and each.began >= moment for each in self.calls)


@contextmanager
def called(url: str, key: str, callers: int = CALLERS) -> Generator[Counted]:
    """Callers at work as long as the block runs; every request that was begun is counted when it has ended."""
    parts = urlsplit(url)
    question = Question(BASE, "Hello", Tellings(), ADAPTER)
    load = Load(str(parts.hostname), int(parts.port or 80), key, [question], callers)
    stop = threading.Event()

    async def work() -> None:
        load.start()
        while not stop.is_set():
            await asyncio.sleep(0.05)  # sleeps: between two looks at what another thread wants
        await load.stop()

    thread = threading.Thread(target=lambda: asyncio.run(work()), name="callers")
    thread.start()
    try:
        yield Counted(load)
    finally:
        stop.set()
        thread.join()


def until(counted: Counted, reached: Callable[[Counted], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached(counted):
        assert time.monotonic() < deadline, counted.load.verdict()
        time.sleep(0.05)  # sleeps: between two looks


REST = 0.1  # seconds between two questions of one who is not to take the whole machine


class Caller:
    """Somebody who asks a model one question after the other, and none twice. `hashes`: of the adapters that answered."""

    def __init__(self, url: str, key: str, model: str = "slipway/tiny-llama", rest: float = REST) -> None:
        self._model = model
        self._rest = rest
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=240, trust_env=False
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.took: list[float] = []
        self.hashes: list[str] = []
        self.failed: list[str] = []

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def release(self) -> str:
        return str(self._client.get("/version").json()["release"])

    def counts(self) -> str:
        return (
            f"{len(self.took)} requests answered, {len(self.failed)} failed {sorted(set(self.failed)) or ''}".rstrip()
        )

    def _run(self) -> None:
        body = {"model": self._model, "prompt": "Who", "max_tokens": 8}
        while not self._stop.wait(self._rest):
            began = time.monotonic()
            try:
                answer = self._client.post("/v1/completions", json=body)
            except httpx.HTTPError as error:
                self.failed.append(type(error).__name__)
                continue
            if answer.status_code == 200:
                self.took.append(time.monotonic() - began)
                self.hashes.append(answer.headers.get("x-slipway-adapter-hash", ""))
            else:
                self.failed.append(f"{answer.status_code} {answer.text[:80]}")
