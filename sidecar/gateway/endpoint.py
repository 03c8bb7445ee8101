"""Speaks to the deployed server: health, version, login link, one question. Never logs a prompt, an answer or the key."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, cast

import httpx

from sidecar.words.errors import EndpointError
from sidecar.words.names import Phase, is_phase
from sidecar.words.text import Text

SECONDS = 30
"""For one answer. A request to an app at zero replicas is held while one starts, so a wake-up may run into this."""

SHORT_SECONDS = 5
"""For a look at a replica that says it is ready."""

KNOCK_SECONDS = 30
"""The ingress would hold a request for 240 s; a shorter one is over soon after nobody waits any more."""

KNOCK_PAUSE = 10
"""Between two knocks: less than the time after which an app without requests goes to sleep."""

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
class RunsOn:
    """`device`: cpu or cuda. `gpu`: its own name. `dtype`: the format of the numbers; `weights`: full, or nf4 (4 bits).
    `attention`: what computes it; empty where an older server does not tell. `notes`: what of this is not as one would expect."""

    device: str
    gpu: str | None
    dtype: str
    weights: str
    attention: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Version:
    release: str | None
    generation: int | None
    replica: str | None
    base: str | None
    adapters: tuple[str, ...]
    refused: tuple[Refused, ...] | None
    """None: the server does not tell (vLLM in place of ours)."""
    started: str | None = None
    ready_after: float | None = None
    """Seconds that this start took, from the process's first moment."""
    hashes: Mapping[str, str] = field(default_factory=dict[str, str])
    """SHA-256 of each adapter's files, by its name; of the base a digest of what is cheap to read, where the server tells it."""
    keys: int | None = None
    """How many keys it accepts; None: an older server, which knows one and does not tell."""
    runs_on: RunsOn | None = None
    """None: an older server, which does not tell."""
    folders: Mapping[str, str] = field(default_factory=dict[str, str])
    """Below the mount, by the name of the adapter that lies there; empty where an older server does not tell."""
    running: int | None = None
    """How many answers it computes at a time; None: an older server, which does not tell."""

    @property
    def loaded(self) -> bool:
        """Our server names its base once everything is loaded: before that it has not looked at every adapter."""
        return self.base is not None or self.refused is None


@dataclass(frozen=True)
class ModelEntry:
    """A line of /v1/models. `parent`: the base of an adapter. `context`: tokens that fit, where the server tells it."""

    name: str
    parent: str | None
    hash: str | None
    context: int | None


_IN_FLIGHT = re.compile(r"^slipway_in_flight ([0-9.e+]+)$", re.MULTILINE)


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


class Knock:
    """Requests that wake an app and keep it awake while it starts: held by the ingress until a replica is ready, one at a time,
    without the key, on a thread of its own. Their answers tell nothing and are not looked at."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="knock", daemon=True)

    def begin(self) -> None:
        if not self._thread.is_alive() and not self._stop.is_set():
            self._thread.start()

    def end(self) -> None:
        """The thread ends with its request, at the latest when the ingress lets go of that; nobody waits for it."""
        self._stop.set()

    def _run(self) -> None:
        with httpx.Client(timeout=httpx.Timeout(10, read=KNOCK_SECONDS), trust_env=may_be_proxied(self._url)) as client:
            while not self._stop.is_set():
                with contextlib.suppress(httpx.HTTPError):  # not ready yet, or gone: the next one is as good
                    client.get(f"{self._url}/health/live")
                self._stop.wait(KNOCK_PAUSE)


class Endpoint:
    """One endpoint, by its URL and key (None: it has none, or is not to see it). Close it after use."""

    def __init__(self, url: str, api_key: str | None, seconds: float = SECONDS) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self.url = url
        self._client = httpx.Client(base_url=url, headers=headers, timeout=seconds, trust_env=may_be_proxied(url))

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
            return NOT_ASKED  # a proxy's page, a portal's, another server's: a 200 of theirs says nothing of a model
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
        if body is None or "release" not in body:
            return None
        generation = str(body.get("generation") or "")
        adapters = cast("list[dict[str, Any]]", body.get("adapters") or [])
        refused = cast("list[dict[str, Any]] | None", body.get("refused"))
        hashed = [*adapters, {"name": body.get("base"), "hash": body.get("baseHash")}]
        return Version(
            release=cast("str | None", body.get("release")) or None,
            generation=int(generation) if generation.isdigit() else None,
            replica=cast("str | None", body.get("replica")) or None,
            base=cast("str | None", body.get("base")) or None,
            adapters=tuple(str(each["name"]) for each in adapters),
            refused=None
            if refused is None
            else tuple(Refused(str(each["name"]), str(each["reason"])) for each in refused),
            started=cast("str | None", body.get("startedAt")) or None,
            ready_after=float(after) if isinstance(after := body.get("readyAfter"), int | float) else None,
            hashes={str(each["name"]): str(each["hash"]) for each in hashed if each.get("hash")},
            keys=int(keys) if isinstance(keys := body.get("keys"), int) else None,
            runs_on=_runs_on(body),
            folders={str(each["name"]): str(each["folder"]) for each in adapters if each.get("folder")},
            running=int(running) if isinstance(running := _limits(body).get("running"), int) else None,
        )

    def root_answers(self) -> bool:
        """Whether `/` answers with success: all that can be asked of a server that is not ours."""
        try:
            return self._client.get("/", follow_redirects=True).is_success
        except httpx.HTTPError:
            return False

    def models(self) -> list[str]:
        return [each.name for each in self.described_models()]

    def described_models(self) -> tuple[ModelEntry, ...]:
        body = self._asked("GET", "/v1/models")
        return tuple(
            ModelEntry(
                str(each["id"]),
                str(each["parent"]) if each.get("parent") else None,
                str(each["hash"]) if each.get("hash") else None,
                most if isinstance(most := each.get("max_model_len"), int) else None,
            )
            for each in cast("list[dict[str, Any]]", body.get("data", []))
        )

    def ask(self, model: str, question: str, *, system: str | None = None, max_tokens: int = 48) -> str:
        """One greedy answer of base or adapter."""
        told = [] if system is None else [{"role": "system", "content": system}]
        return self.chat(model, [*told, {"role": "user", "content": question}], max_tokens)

    def chat(self, model: str, messages: Sequence[Mapping[str, str]], max_tokens: int) -> str:
        """One greedy answer to a conversation."""
        asked = {"model": model, "messages": list(messages), "temperature": 0, "max_tokens": max_tokens}
        body = self._asked("POST", "/v1/chat/completions", asked)
        return str(cast("Any", body)["choices"][0]["message"]["content"])

    def load_adapter(self, name: str, folder: str) -> str:
        """Has the server take an adapter of the share, also in place of the one that it serves under this name: its hash."""
        body = {"lora_name": name, "lora_path": folder, "load_inplace": True}
        return str(self._asked("POST", "/v1/load_lora_adapter", body).get("hash", ""))

    def in_flight(self) -> int | None:
        """How many requests the server has not answered yet; None where it does not tell."""
        try:
            answer = self._client.get("/metrics")
        except httpx.HTTPError:
            return None
        found = _IN_FLIGHT.search(answer.text) if answer.status_code == 200 else None
        return None if found is None else round(float(found[1]))

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


def _limits(body: dict[str, Any]) -> dict[str, Any]:
    found = body.get("limits")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _runs_on(body: dict[str, Any]) -> RunsOn | None:
    if not body.get("device"):
        return None
    gpu = body.get("gpu")
    return RunsOn(
        str(body["device"]),
        None if gpu is None else str(gpu),
        str(body.get("dtype") or ""),
        str(body.get("weights") or ""),
        str(body.get("attention") or ""),
        tuple(str(each) for each in body.get("notes") or ()),
    )


def may_be_proxied(url: str) -> bool:
    """A proxy sees whatever goes through it in plain text, and plain text stays on this machine (the local cloud's)."""
    return url.startswith("https://")


def _object(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return cast("dict[str, Any]", body) if isinstance(body, dict) else None
