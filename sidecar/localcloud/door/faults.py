"""Faults on purpose: rules that make routes misbehave as Azure does, by seed; set through an admin route, hits counted."""

import asyncio
import contextlib
import json
import random
import re
import secrets
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.localcloud.core.body import TooLarge, read_body
from sidecar.localcloud.core.fields import Json

_RULES_LIMIT = 1_000_000
# Above the limit of every door, so that the door is the one that refuses.
_REPEATED_LIMIT = 8 * 1024 * 1024
Kind = Literal[
    "status",
    "delay",
    "hold",
    "truncate",
    "reset-before",
    "reset-after",
    "duplicate",
    "stale",
    "never-ending",
    "body",
    "cut",
]


class Rule(BaseModel):
    """Which requests a fault meets, what it does, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: Literal["arm", "files", "data"] = "arm"
    method: str = ".*"
    path: str = ".*"
    """Regular expressions, matched whatever the case; `path` is searched for, with the query."""
    kind: Kind = "status"
    status: int = Field(default=500, ge=100, le=599)
    headers: dict[str, str] = {}
    body: str | None = None
    """The whole body instead of an error's; with kind `body` after the request took effect."""
    code: str = "InternalServerError"
    seconds: float = Field(default=0, ge=0, le=600)
    """How long a request waits before anything else is done; with kind `hold` at most, until other rules are set."""
    skip: int = Field(default=0, ge=0)
    """Requests that are let through first."""
    times: int | None = Field(default=1, ge=1)
    """How often it strikes; None: always."""
    after: int = Field(default=0, ge=0)
    """With kind `cut`: the bytes of the body that still pass, also amid a line."""
    probability: float = Field(default=1, ge=0, le=1)


class Faults:
    """The rules in force. Each decides in its turn; the first that strikes is the only one."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._seen: list[int] = []
        self._hits: list[int] = []
        self._random = random.Random(0)  # noqa: S311 - repeatable, not secret
        self._last: dict[str, list[Message]] = {}
        self._replaced = asyncio.Event()

    def set(self, rules: list[Rule], seed: int) -> None:
        self._rules = rules
        self._seen = [0] * len(rules)
        self._hits = [0] * len(rules)
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._replaced.set()
        self._replaced = asyncio.Event()

    def shown(self) -> Json:
        return {
            "rules": [
                {**rule.model_dump(), "seen": seen, "hits": hits}
                for rule, seen, hits in zip(self._rules, self._seen, self._hits, strict=True)
            ]
        }

    def strike(self, part: str, method: str, path: str) -> Rule | None:
        """The rule that meets this request; counted."""
        for index, rule in enumerate(self._rules):
            if rule.part != part or not re.fullmatch(rule.method, method, re.IGNORECASE):
                continue
            if not re.search(rule.path, path, re.IGNORECASE):
                continue
            self._seen[index] += 1
            spent = rule.times is not None and self._hits[index] >= rule.times
            if self._seen[index] <= rule.skip or spent or self._random.random() >= rule.probability:
                continue
            self._hits[index] += 1
            return rule
        return None

    def guard(self, part: str, app: ASGIApp) -> ASGIApp:
        """`app`, misbehaving where a rule says so."""

        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            query = scope["query_string"].decode("latin-1")
            path = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
            rule = self.strike(part, scope["method"], path)
            key = f"{part} {scope['method']} {path}"
            if rule is None:
                await app(scope, receive, self._remembering(key, send) if self._wants_stale() else send)
                return
            await self._misbehave(rule, key, part, app=app, scope=scope, receive=receive, send=send)

        return faulty

    def _wants_stale(self) -> bool:
        return any(rule.kind == "stale" for rule in self._rules)

    def _remembering(self, key: str, send: Send) -> Send:
        messages: list[Message] = []

        async def remember(message: Message) -> None:
            messages.append(message)
            if not message.get("more_body") and message["type"] == "http.response.body":
                self._last[key] = messages
            await send(message)

        return remember

    async def _misbehave(
        self, rule: Rule, key: str, part: str, *, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if rule.kind == "hold":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rule.seconds):
                    await self._replaced.wait()
        elif rule.seconds:
            await asyncio.sleep(rule.seconds)
        match rule.kind:
            case "delay" | "hold":
                await app(scope, receive, send)
            case "status":
                await _answer(send, rule.status, rule.headers, _error_body(rule, part))
            case "reset-before":
                await _reset(send)
            case "reset-after":
                await _run(app, scope, receive)
                await _reset(send)
            case "truncate":
                start, body = await _run(app, scope, receive)
                await send(start)
                await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
                await _reset(send)
            case "body":
                await _run(app, scope, receive)
                await _answer(send, rule.status, rule.headers, (rule.body or "").encode())
            case "never-ending":
                await _run(app, scope, receive)
                unfinished = json.dumps({"status": "InProgress"}).encode()
                await _answer(send, 200, {"content-type": "application/json", "retry-after": "0"}, unfinished)
            case "cut":
                await _cut(app, scope, receive, send, rule.after)
            case "duplicate":
                await _twice(app, scope, receive, send)
            case "stale":
                if key not in self._last:
                    await app(scope, receive, send)
                for message in self._last.get(key, ()):
                    await send(message)
            case _:
                assert_never(rule.kind)


def admin(faults: Faults, token: str) -> Callable[[str, str, bytes], tuple[int, Json]]:
    """The admin route: GET shows rules and hits, PUT replaces them. Only with the admin token of cloud.json."""

    def handle(method: str, authorization: str, body: bytes) -> tuple[int, Json]:
        if not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            return 401, {"error": "the admin token of cloud.json is needed"}
        if method == "PUT":
            try:
                asked = _Asked.model_validate_json(body)
                for rule in asked.rules:
                    re.compile(rule.path)
                    re.compile(rule.method)
            except (ValidationError, re.error) as problem:
                return 400, {"error": str(problem)}
            faults.set(asked.rules, asked.seed)
        return 200, faults.shown()

    return handle


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: list[Rule]
    seed: int = 0


def with_admin(app: ASGIApp, faults: Faults, token: str) -> ASGIApp:
    """`app`, with the admin route at /admin/faults in front of it (never faulty itself)."""
    handle = admin(faults, token)

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/admin/faults":
            await app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            body = await read_body(request.stream(), request.headers.get("content-length", ""), _RULES_LIMIT)
            status, shown = handle(request.method, request.headers.get("authorization", ""), body)
        except TooLarge as problem:
            status, shown = 413, {"error": str(problem)}
        except ClientDisconnect:
            return
        await _answer(send, status, {"content-type": "application/json"}, json.dumps(shown).encode())

    return front


def _error_body(rule: Rule, part: str) -> bytes:
    if rule.body is not None:
        return rule.body.encode()
    if part == "files":
        return (
            f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{rule.code}</Code><Message>Injected.</Message></Error>'
        ).encode()
    return json.dumps({"error": {"code": rule.code, "message": "Injected."}}).encode()


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    usual = {"content-type": "application/json", "date": formatdate(usegmt=True)}
    shown = {**usual, **{name.lower(): value for name, value in headers.items()}}
    if body.startswith(b"<?xml"):
        shown["content-type"] = "application/xml"
    shown["content-length"] = str(len(body))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in shown.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _run(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """The effect of a request without its answer being sent."""
    start: Message = {"type": "http.response.start", "status": 500, "headers": []}
    body = bytearray()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, keep)
    return start, bytes(body)


class _CutOff(Exception):
    """The connection of an answer that was cut is gone: its app need not go on."""


async def _cut(app: ASGIApp, scope: Scope, receive: Receive, send: Send, after: int) -> None:
    """Passes an answer on as it comes, a stream too, and breaks it off amid its body."""
    left = after

    async def passing(message: Message) -> None:
        nonlocal left
        body: bytes = message.get("body", b"")
        if message["type"] != "http.response.body" or len(body) <= left:
            left -= len(body)
            await send(message)
            return
        await send({"type": "http.response.body", "body": body[:left], "more_body": True})
        await asyncio.sleep(0.05)  # what was sent has to leave before the connection goes
        await _reset(send)
        raise _CutOff

    with contextlib.suppress(_CutOff):
        await app(scope, receive, passing)


async def _twice(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The same request takes effect two times; the second answer is the one that is sent."""
    try:
        body = await read_body(Request(scope, receive).stream(), "", _REPEATED_LIMIT)
    except TooLarge as problem:
        await _answer(send, 413, {}, json.dumps({"error": str(problem)}).encode())
        return
    except ClientDisconnect:
        return

    def again() -> Receive:
        sent = False

        async def receiving() -> Message:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return receiving

    await _run(app, scope, again())
    await app(scope, again(), send)


async def _reset(send: Send) -> None:
    """Cuts the connection off without another byte. ASGI has no word for that: uvicorn's own transport is asked."""
    cycle: Any = getattr(send, "__self__", None)
    cycle.transport.abort()
    await asyncio.sleep(0)
