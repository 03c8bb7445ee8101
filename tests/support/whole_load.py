"""A model folder taken the whole way that the server takes it, in this process: found, checked, loaded, warmed up, asked."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from inference.engine.adapters.table import BASE
from inference.engine.engine import Delta
from inference.engine.schedule.sequence import SamplingParams
from inference.loading import load
from inference.service import Served, Service
from inference.settings import Settings

PATIENCE = 120.0


@dataclass(frozen=True)
class Asked:
    """A prompt, and whose answer is wanted: an adapter's by name, or the base's."""

    prompt: list[int]
    adapter: str = ""


@contextmanager
def loaded(mount: Path, **settings: Any) -> Generator[Served]:
    """Raises what loading raises."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="deliveries", daemon=True)
    thread.start()
    served = None
    try:
        served = load(Service(Settings(mount=mount, watch_seconds=0, device="cpu", **settings), loop))
        yield served
    finally:
        if served is not None:
            served.engine.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def answers(served: Served, asked: list[Asked], tokens: int) -> list[list[int]]:
    """Greedy tokens, all asked for at once."""
    params = SamplingParams(max_tokens=tokens, temperature=0.0, ignore_eos=True, logprobs=0)
    found: list[list[int]] = [[] for _ in asked]
    ends = [Event() for _ in asked]

    def sink(number: int, delta: Delta) -> None:
        found[number].extend(choice.token for choice in delta.choices)
        if delta.finish:
            ends[number].set()

    for number, each in enumerate(asked):
        adapter = served.adapters.installed[each.adapter] if each.adapter else BASE

        def take(delta: Delta, number: int = number) -> None:
            sink(number, delta)

        served.engine.submit(each.prompt, params, adapter, take)
    for end in ends:
        if not end.wait(PATIENCE):
            raise TimeoutError("the engine does not answer")
    return found
