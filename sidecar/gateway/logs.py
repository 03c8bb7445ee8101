"""Follows an app's logs: the console of its containers and the events of the platform, taken up again whenever they break off."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Self
from urllib.parse import urlsplit

import httpx

from sidecar.gateway import apps
from sidecar.gateway.log_lines import Lines, Unrepeated
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import CloudError, SlipwayError
from sidecar.words.text import Text

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""Between two connections: streams end when they like, and a replica's is not there before the replica is."""

SILENCE_SECONDS = 90
"""A stream that has nothing to say says so every minute."""

TAIL = 300
MOST_BYTES = 4 * 2**20
"""Of one log that is read at once."""

Take = Callable[[str], None]


class LogStreams:
    """The streams of one app, on one thread of their own. `take` is called there, for each new line.

    The token goes to the hosts of Azure's log streams alone, or to the local cloud's own address, and follows no redirect."""

    def __init__(self, place: AppPlace) -> None:
        self._place = place
        self._token: str | None = None
        self._followed: set[str] = set()
        self._left: set[str] = set()
        self._problems: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="logs", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why streams are refused, if they are; one that only broke off is taken up again."""
        return tuple(dict.fromkeys(self._problems.values()))

    def follow(self, url: str, take: Take, lost: Callable[[], None] | None = None) -> None:
        """From now on; a stream that is followed already stays as it is. Asked again and again, it sees to the token too.
        `lost` is called where, after a break, a stream no longer holds all that came meanwhile."""
        self._see_to_the_token()
        self._left.discard(url)
        if url in self._followed:
            return
        self._followed.add(url)
        if not self._place.around.session.profile.trusts_logs_of(url):
            self._problems[url] = f"{urlsplit(url).hostname} is no address of Azure's log streams"
            return
        asyncio.run_coroutine_threadsafe(self._follow(url, take, lost), self._loop)

    def leave(self, urls: set[str]) -> None:
        """What these still have to say is taken; then they are not connected to again: their replicas have gone."""
        self._left |= urls

    def _see_to_the_token(self) -> None:
        """On the caller's thread: it asks ARM."""
        if self._token is not None:
            return
        try:
            self._token = apps.auth_token(self._place)
            self._problems.pop("", None)
        except SlipwayError as error:
            self._problems[""] = str(error)

    async def _follow(self, url: str, take: Take, lost: Callable[[], None] | None) -> None:
        known = Unrepeated()
        while True:
            leaving = url in self._left
            token = self._token
            if token is not None:
                try:
                    known.connected()
                    async for line in self._lines(url, token):
                        self._problems.pop(url, None)
                        if known.new(line):
                            if lost is not None and known.fresh_run == TAIL:
                                lost()
                            take(line)
                except (httpx.HTTPError, ssl.SSLError, OSError) as error:
                    # Streams break off at any moment, with or without a word: that is no fault, and nobody is told.
                    log.debug("a log stream broke off: %s", type(error).__name__)
                except CloudError as error:
                    self._problems[url] = str(error)
            if leaving and url in self._left:
                self._followed.discard(url)
                self._problems.pop(url, None)
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def _lines(self, url: str, token: str) -> AsyncIterator[str]:
        session = self._place.around.session
        timeout = httpx.Timeout(10, read=SILENCE_SECONDS)
        asked = {"follow": "true", "output": "json", "tailLines": str(TAIL)}
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(verify=_context(session), timeout=timeout, trust_env=session.through_proxies) as client,
            client.stream("GET", url, params=asked, headers=headers) as answer,
        ):
            if answer.status_code == 401 and token == self._token:
                self._token = None  # too old: another one is asked for
            if answer.is_redirect:
                raise CloudError(Text("the log stream leads to another address, where the token is not sent"))
            if answer.status_code in (401, 404):
                return  # with a newer token, or once the container is there
            if answer.status_code != 200:
                raise CloudError(Text("the log stream answers {status}", status=answer.status_code))
            lines = Lines()
            async for block in answer.aiter_bytes():
                for line in lines.feed(block):
                    yield line

    async def _end(self) -> None:
        mine = asyncio.current_task()
        others = [each for each in asyncio.all_tasks() if each is not mine]
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def last_lines(place: AppPlace, url: str, lines: int, seconds: float) -> list[str]:
    """The end of a log, without following it. Raises CloudError where it can't be had in that time."""
    session = place.around.session
    if not session.profile.trusts_logs_of(url):
        raise CloudError(Text("{host} is no address of Azure's log streams", host=urlsplit(url).hostname or url))
    asked = {"follow": "false", "output": "json", "tailLines": str(lines)}
    headers = {"Authorization": f"Bearer {apps.auth_token(place)}"}
    deadline = time.monotonic() + seconds
    content = b""
    try:
        with (
            httpx.Client(verify=_context(session), timeout=seconds, trust_env=session.through_proxies) as client,
            client.stream("GET", url, params=asked, headers=headers) as answer,
        ):
            if answer.status_code == 404:
                return []  # a replica that has not begun, or has gone
            if answer.status_code != 200:
                raise CloudError(Text("the log stream answers {status}", status=answer.status_code))
            for block in answer.iter_bytes():
                content = (content + block)[-MOST_BYTES:]
                if time.monotonic() > deadline:
                    break  # one that goes on by itself has said enough
    except httpx.HTTPError as error:
        raise CloudError(Text("the log stream did not answer ({problem})", problem=type(error).__name__)) from error
    return [line for line in Lines().feed(content + b"\n") if line]


def _context(session: Session) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=session.verify if isinstance(session.verify, str) else None)
