"""How an exchange of the running release goes: its state, which can be waited for, and how the new one is checked."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, NamedTuple

from infra.provision.server_process import Release, ServerProcess

START_SECONDS = 1200.0  # for a release that is tried: as the platform's startup probe allows
SMOKE_SECONDS = 120.0
LOOK = 0.05  # seconds between two looks at how far a server is


class NotFit(Exception):
    """The new server can't take over; the message is the reason."""


class Order(NamedTuple):
    release: Release
    form: str
    smoke: list[dict[str, object]]


class Course:
    """What is told of the exchange under way, or of the last one. Each change has a number."""

    def __init__(self) -> None:
        self.seq = 0
        self.told: dict[str, object] = {
            "state": "idle",
            "release": None,
            "generation": None,
            "form": None,
            "phase": None,
            "progress": None,
            "detail": "",
            "reason": None,
            "log": [],
            "pause": None,
        }
        self._changed = asyncio.Event()

    @property
    def state(self) -> str:
        return str(self.told["state"])

    def say(self, **changes: object) -> None:
        if {**self.told, **changes} == self.told:
            return
        self.told.update(changes)
        self.seq += 1
        self.wake()

    def wake(self) -> None:
        """Who waits is answered, news or not."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, seq: int, seconds: float) -> None:
        """Returns once there is more news than that."""
        if self.seq <= seq:
            await asyncio.wait([asyncio.ensure_future(self._changed.wait())], timeout=seconds)


async def checked(server: ServerProcess, smoke: list[dict[str, object]], course: Course) -> None:
    """NotFit unless it becomes ready, names its release, and answers."""
    await ready(server, course, seconds_of("SLIPWAY_START_SECONDS", START_SECONDS))
    course.say(phase="checking-answers", progress=None, detail="")
    try:
        version = (await server.ask("GET", "/version")).json()
        if version.get("release") != server.release.digest:
            raise NotFit(f"it says that it is release {str(version.get('release'))[:12]}")
        base = str(version.get("base"))
        if not smoke:  # any model completes; one without a chat template refuses chats
            body: dict[str, object] = {"model": base, "prompt": "Hello", "max_tokens": 1}
            await text_of(server, "/v1/completions", body, "the first question")
        for number, question in enumerate(smoke, 1):
            await answered(server, question, f"question {number}", base)
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        raise NotFit(ending_of(server) or f"it does not answer: {error}") from error


async def prepared(server: ServerProcess, course: Course) -> None:
    """NotFit unless all that it needs but its model is there."""
    allowed = seconds_of("SLIPWAY_START_SECONDS", START_SECONDS)
    try:
        await server.word("prepared", allowed)
    except EOFError as error:
        raise NotFit(ending_of(server)) from error
    except TimeoutError as error:
        raise NotFit(f"it did not come to its model within {allowed:.0f} s") from error
    course.say(phase="prepared", progress=None, detail="")


async def ready(server: ServerProcess, course: Course, allowed: float = START_SECONDS) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + allowed
    while True:
        if server.ended:
            raise NotFit(ending_of(server))
        if await is_ready(server, course):
            return
        if loop.time() > deadline:
            said = "" if server.announced else ": its server does not know this container's start"
            raise NotFit(f"it was not ready within {allowed:.0f} s{said}")
        await asyncio.sleep(LOOK)


async def is_ready(server: ServerProcess, course: Course) -> bool:
    if not server.announced:
        course.say(phase="dependencies", progress=None, detail="")
        return False
    try:
        reply = await server.ask("GET", "/health/ready")
    except (OSError, EOFError, ValueError, TimeoutError):
        return False
    told = reply.json()
    if told.get("status") == "failed":
        raise NotFit(str(told.get("detail") or "it failed without a reason"))
    if reply.status != 200:
        course.say(**{name: told.get(name) for name in ("phase", "progress", "detail") if name in told})
    return reply.status == 200


async def answered(server: ServerProcess, question: dict[str, object], name: str, base: str) -> None:
    prompt = {"role": "user", "content": str(question.get("prompt", ""))}
    body: dict[str, object] = {
        "model": question.get("model") or base,
        "messages": question.get("messages") or [prompt],
        "max_tokens": question.get("max_tokens") or 16,
        "temperature": 0,
    }
    text = await text_of(server, "/v1/chat/completions", body, name)
    equal, part = question.get("equals"), question.get("contains") or question.get("expect")
    if (equal is not None and text.strip() != str(equal).strip()) or (part and str(part) not in text):
        raise NotFit(f"{name} was answered otherwise than expected: {json.dumps(text[:80], ensure_ascii=False)}")


async def text_of(server: ServerProcess, path: str, body: dict[str, object], name: str) -> str:
    reply = await server.ask("POST", path, body=body, seconds=SMOKE_SECONDS)
    told: Any = reply.json()
    if reply.status != 200:
        error = told.get("error")
        said = error.get("message") if isinstance(error, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        raise NotFit(f"{name} was answered with {reply.status}" + (f": {said}" if said else ""))
    try:
        choice = told["choices"][0]
        return str(choice["text"] if "text" in choice else choice["message"]["content"])
    except (LookupError, TypeError) as error:
        raise NotFit(f"{name} was answered without a text") from error


def ending_of(server: ServerProcess) -> str:
    """In the server's own words where it had some; empty while it runs."""
    if not server.ended:
        return ""
    own = [line[17:] for line in server.lines if line.startswith("slipway: failed: ")]
    return own[-1] if own else f"it ended with exit code {server.ends.result()}"


def seconds_of(variable: str, default: float) -> float:
    """What the container's variable states, where it is a number."""
    stated = os.environ.get(variable, "")
    return float(stated) if stated.replace(".", "", 1).isdigit() else default
