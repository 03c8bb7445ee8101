"""One call's answers while they are made: submits to the engine, collects deltas, cancels what nobody waits for."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from inference.engine.adapters.table import InstalledAdapter
from inference.engine.engine import Delta
from inference.engine.schedule.sequence import SamplingParams
from inference.messages import ApiError
from inference.service import Service

Batch = list[tuple[int, Delta]]


class Generation:
    """`n` answers of an adapter, which the caller holds, to each of some prompts, which the adapter's tokenizer has encoded.
    Used as a context: leaving it cancels what is still running."""

    def __init__(
        self,
        service: Service,
        adapter: InstalledAdapter,
        prompts: list[list[int]],
        params: SamplingParams,
        n: int = 1,
    ) -> None:
        self.service = service
        self.adapter = adapter
        self.params = params
        self.prompt_tokens = sum(len(prompt) for prompt in prompts)
        self.completion_tokens = 0
        self._cached: dict[int, int] = {}  # by prompt: each counts once, as in prompt_tokens
        self._n = n
        self._kept = False
        self._prompts = [prompt for prompt in prompts for _ in range(n)]
        self._arrived: Batch = []
        self._waiter: asyncio.Future[None] | None = None
        self._open: dict[int, int] = {}  # index → the engine's request
        self._began = time.monotonic()
        self._first = True
        self._closed = False
        self._take_one: Callable[[int, Delta], None] | None = None
        self._tell_over: Callable[[], None] | None = None

    @property
    def answers(self) -> int:
        return len(self._prompts)

    @property
    def cached_tokens(self) -> int:
        """Of the prompt tokens, those that another request had computed."""
        return sum(self._cached.values())

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def over(self) -> bool:
        """Closed, or every answer has ended and been taken."""
        return self._closed or not (self._open or self._arrived)

    def __enter__(self) -> Self:
        served = self.service.model()
        self.service.admit(len(self._prompts))
        try:
            served.adapters.keep(self.adapter)
            self._kept = True
            for index, prompt in enumerate(self._prompts):
                params = self.params
                if params.seed is not None and index:
                    params = replace(params, seed=params.seed + index)
                self._open[index] = served.engine.submit(prompt, params, self.adapter, partial(self._take, index))
        except BaseException:  # who was counted in is counted out, and what was begun for it ends
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancels what is running; safe to call twice, and while `deltas` waits."""
        if self._closed:
            return
        self._closed = True
        served = self.service.served
        if self._open and served is not None:
            self.service.metrics.cancelled.inc()
            for request in self._open.values():
                served.engine.cancel(request)
        if self._kept and served is not None:
            served.adapters.let_go(self.adapter)
        self.service.dismiss(len(self._prompts))
        self.service.metrics.duration.observe(time.monotonic() - self._began)
        self._wake()

    def follow(self, take: Callable[[int, Delta], None], over: Callable[[], None]) -> None:
        """Gives `take` each delta as it comes, on the event loop, in the place of `deltas`; `over` is called at the end."""
        self._take_one, self._tell_over = take, over
        arrived, self._arrived = self._arrived, []
        for index, delta in arrived:
            take(index, delta)
        if self.over:
            over()

    async def deltas(self) -> AsyncGenerator[Batch]:
        """Batches of deltas as they arrive, until every answer has ended; an empty batch after long silence."""
        silence = self.service.loop.create_task(self._break_silence())
        try:
            while self._open or self._arrived:
                if not self._arrived and not self._closed:
                    self._waiter = self.service.loop.create_future()
                    await self._waiter
                    self._waiter = None
                if self._closed:
                    return
                batch, self._arrived = self._arrived, []
                yield batch
        finally:
            silence.cancel()

    async def _break_silence(self) -> None:
        while True:
            await asyncio.sleep(self.service.settings.keep_alive)
            self._wake()

    def _take(self, index: int, delta: Delta) -> None:
        if self._first:
            self._first = False
            self.service.metrics.first_token.observe(time.monotonic() - self._began)
        self.completion_tokens += delta.drawn
        if delta.finish is not None:
            self._open.pop(index, None)
            prompt = index // self._n
            self._cached[prompt] = max(self._cached.get(prompt, 0), delta.cached)
        if self._take_one is None:
            self._arrived.append((index, delta))
            self._wake()
            return
        if not self._closed:
            self._take_one(index, delta)
        if not self._open:
            self._wake()

    def _wake(self) -> None:
        if self._tell_over is not None and self.over:
            self._tell_over()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def raise_failure(delta: Delta) -> None:
    """An answer that the engine could not finish is an error, not a short answer."""
    if delta.finish == "error":
        raise ApiError(500, f"this request failed: {delta.error}", code="engine_error")
    if delta.finish == "cancelled":
        raise ApiError(503, "the server stopped before the answer was complete", code="draining", retry_after=5)
