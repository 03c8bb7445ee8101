"""An answer as one document. One that takes long begins before it is there, so that no ingress takes its silence for its end."""

import asyncio
import logging
from contextlib import ExitStack

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from inference.api.generation import Generation, raise_failure
from inference.api.stream import Writer, usage_of
from inference.api.writers import Answer
from inference.carried import carried
from inference.messages import ApiError

log = logging.getLogger(__name__)

MANY_SPELLINGS = 2_000  # tokens with logprobs from which on writing an answer is left to a thread
SPACE = b" "
"""JSON allows white space before a document, so it can be sent before anything of it is known."""


async def document(generation: Generation, writer: Writer) -> bytes:
    """The whole answer, once it is there."""
    answers = await collect(generation)
    spellings = sum(len(answer.choices) for answer in answers) * (2 + (generation.params.logprobs or 0))
    if spellings < MANY_SPELLINGS:
        return orjson.dumps(writer.whole(answers, usage_of(generation)))
    return await asyncio.to_thread(lambda: orjson.dumps(writer.whole(answers, usage_of(generation))))


async def collect(generation: Generation) -> list[Answer]:
    answers = [Answer() for _ in range(generation.answers)]
    async for batch in generation.deltas():
        for index, delta in batch:
            raise_failure(delta)
            answers[index].add(delta)
    if any(answer.finish is None for answer in answers):
        raise ApiError(499, "the client went away")
    return answers


class LongAnswer(Response):
    """Sends spaces until the document is there. Its status had to be told before: where it fails, the reason is written and
    the connection breaks, as with a stream, so that nobody takes an error for an answer. `lifetime` is the generation's."""

    def __init__(
        self,
        writing: asyncio.Task[bytes],
        generation: Generation,
        headers: dict[str, str],
        watcher: asyncio.Task[None],
        lifetime: ExitStack,
    ) -> None:
        super().__init__(None, 200, headers, "application/json")
        del self.headers["content-length"]
        self._writing = writing
        self._generation = generation
        self._watcher = watcher
        self._lifetime = lifetime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._generation.service.settings
        with self._lifetime:
            try:
                async with asyncio.timeout(settings.send_timeout):
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                while not (await asyncio.wait({self._writing}, timeout=settings.keep_alive))[0]:
                    await self._write(send, SPACE)
                await self._end(scope, send)
            except TimeoutError:
                log.warning("a client did not read its answer for %.0f s: cut off", settings.send_timeout)
                carried(scope).abort()

    async def _end(self, scope: Scope, send: Send) -> None:
        try:
            body = self._writing.result()
        except ApiError as error:
            if not self._generation.closed:  # by its client, who hears nothing any more
                await self._write(send, bytes(error.response().body))
                carried(scope).drop()
                await asyncio.wait({self._watcher}, timeout=self._generation.service.settings.send_timeout)
            return
        await self._write(send, body, more=False)

    async def _write(self, send: Send, data: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(self._generation.service.settings.send_timeout):
            await send({"type": "http.response.body", "body": data, "more_body": more})
