"""Speaks to the deployed server: health, version, login link, one question. Never logs a prompt, an answer or the key."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, cast

import httpx

from sidecar.words.errors import EndpointError
from sidecar.words.names import Phase, is_phase
from sidecar.words.text import Text

SECONDS = 30
"""For one answer. A request to an app at zero replicas is held while one starts, so a wake-up may run into this."""

ELSEWHERE_SECONDS = 5
"""For an address that the workspace names beside the app's own: nobody waits long for a stranger."""


@dataclass(frozen=True)
class Readiness:
    """What `/health/ready` says. `known` False: the answer is not our server's (an ingress, a hand-made app)."""

    ready: bool
    phase: Phase | None
    progress: float | None
    detail: str | None
    known: bool


NOT_ASKED = Readiness(False, None, None, None, known=False)
"""A server that has no health routes of ours, or one that does not answer (yet)."""


@dataclass(frozen=True)
class Refused:
    """An adapter that the server does not serve, and its reason in its own words."""

    name: str
    reason: str


@dataclass(frozen=True)
class Version:
    release: str | None
    generation: int | None
    replica: str | None
    base: str | None
    adapters: tuple[str, ...]
    refused: tuple[Refused, ...] | None
    """None: the server does not tell (vLLM in place of ours)."""


def status_without_key(url: str) -> int | None:
    """The HTTP status with which an address that is not the app's answers a request for health, made without any key; None when
    nothing answers in time, however slowly it drips. Its body is nobody's business, and may be without end."""
    answered: SimpleQueue[int | None] = SimpleQueue()

    def ask() -> None:
        try:
            with httpx.stream("GET", f"{url}/health/ready", timeout=ELSEWHERE_SECONDS) as answer:
                answered.put(answer.status_code)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):  # the last: odd host names that can't be encoded
            answered.put(None)

    threading.Thread(target=ask, name="elsewhere", daemon=True).start()
    try:
        return answered.get(timeout=ELSEWHERE_SECONDS)
    except Empty:
        return None


class Endpoint:
    """One endpoint, by its URL and key (None: it has none, or is not to see it). Close it after use."""

    def __init__(self, url: str, api_key: str | None) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        # A proxy sees whatever goes through it in plain text, and plain text stays on this machine (the local cloud's).
        trusted = url.startswith("https://")
        self.url = url
        self._client = httpx.Client(base_url=url, headers=headers, timeout=SECONDS, trust_env=trusted)

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def phase(self) -> Readiness:
        """One look at the server's readiness; an endpoint that does not answer (yet) is a phase, not an error."""
        try:
            answer = self._client.get("/health/ready")
        except httpx.HTTPError:
            return NOT_ASKED
        body = _object(answer)
        if body is None or "phase" not in body:
            return Readiness(answer.status_code == 200, None, None, None, known=False)
        progress = body.get("progress")
        return Readiness(
            ready=answer.status_code == 200,
            phase=word if is_phase(word := body["phase"]) else None,
            progress=float(progress) if isinstance(progress, int | float) else None,
            detail=str(body["detail"]) if body.get("detail") else None,
            known=True,
        )

    def version(self) -> Version | None:
        """Which release answers; None while nothing of ours answers."""
        try:
            answer = self._client.get("/version")
        except httpx.HTTPError:
            return None
        body = _object(answer) if answer.status_code == 200 else None
        if body is None:
            return None
        generation = str(body.get("generation") or "")
        adapters = cast("list[dict[str, Any]]", body.get("adapters") or [])
        refused = cast("list[dict[str, Any]] | None", body.get("refused"))
        return Version(
            release=cast("str | None", body.get("release")) or None,
            generation=int(generation) if generation.isdigit() else None,
            replica=cast("str | None", body.get("replica")) or None,
            base=cast("str | None", body.get("base")) or None,
            adapters=tuple(str(each["name"]) for each in adapters),
            refused=None
            if refused is None
            else tuple(Refused(str(each["name"]), str(each["reason"])) for each in refused),
        )

    def root_answers(self) -> bool:
        """Whether `/` answers with success: all that can be asked of a server that is not ours."""
        try:
            return self._client.get("/", follow_redirects=True).is_success
        except httpx.HTTPError:
            return False

    def models(self) -> list[str]:
        body = self._asked("GET", "/v1/models")
        return [str(each["id"]) for each in cast("list[dict[str, Any]]", body.get("data", []))]

    def ask(self, model: str, question: str, *, system: str | None = None, max_tokens: int = 48) -> str:
        """One greedy answer of base or adapter."""
        told = [] if system is None else [{"role": "system", "content": system}]
        body = self._asked(
            "POST",
            "/v1/chat/completions",
            {
                "model": model,
                "messages": [*told, {"role": "user", "content": question}],
                "temperature": 0,
                "max_tokens": max_tokens,
            },
        )
        return str(cast("Any", body)["choices"][0]["message"]["content"])

    def login_path(self) -> str | None:
        """A single-use link that logs a browser in; None when the server knows no such thing."""
        try:
            answer = self._client.post("/login/link")
        except httpx.HTTPError:
            return None
        body = _object(answer) if answer.status_code == 200 else None
        return None if body is None else cast("str | None", body.get("path"))

    def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise EndpointError(
                Text("The endpoint {url} did not answer ({problem}).", url=self.url, problem=type(error).__name__),
                Text("Look at its status, then try again."),
                code="EndpointUnreachable",
            ) from error
        said = _object(answer)
        if answer.status_code != 200 or said is None:
            raise EndpointError(
                Text(
                    "The endpoint {url} answered {status} to {path}.",
                    url=self.url,
                    status=answer.status_code,
                    path=path,
                ),
                Text("The detail holds what it said."),
                code=f"Endpoint{answer.status_code}",
                detail=answer.text[:2000],
            )
        return said


def _object(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return cast("dict[str, Any]", body) if isinstance(body, dict) else None
