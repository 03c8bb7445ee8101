"""Speaks to the supervisor of a container: what it runs, and an exchange of that for another release. Never logs the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import httpx

from sidecar.gateway.endpoint import SHORT_SECONDS, may_be_proxied
from sidecar.words.errors import EndpointError, SlipwayError
from sidecar.words.names import ExchangeForm, ExchangeState, is_exchange_state
from sidecar.words.text import Text

POLL_SECONDS = 30
"""The supervisor answers after 20 s at the latest, changed or not."""

CANDIDATE = "/slipway/candidate"
"""Below it a release that is checked and waits to take over is asked, with the deploy key."""

UPLOAD_SECONDS = 200
"""The ingress ends a request after 240 s."""


@dataclass(frozen=True)
class Exchange:
    """How far it is. `running`: the release and the generation that callers are answered with; empty where none is. `pause`:
    seconds in which nobody took requests. `reason`: the server's or the supervisor's own words. `beside`: whether a second
    server fits, None where that can't be told."""

    seq: int
    state: ExchangeState
    release: str
    generation: str
    form: str
    phase: str | None
    progress: float | None
    detail: str | None
    reason: str | None
    log: tuple[str, ...]
    pause: float | None
    running: str
    running_generation: str
    beside: bool | None
    why: str
    replica: str = ""
    """Which replica has answered; empty where its start does not tell."""
    archives: bool = False
    """Whether it starts releases with packages of their own."""
    asks: bool = False
    """Whether it hands questions on to a release that is checked and waits."""

    @property
    def under_way(self) -> bool:
        return self.state in ("starting", "checked", "exchanging")


class NotReached(EndpointError):
    """Nothing answered, or somebody between; what was begun goes on."""

    code = "EndpointUnreachable"


class Busy(EndpointError):
    """Another exchange is under way there."""

    code = "ExchangeUnderWay"


class OtherReplica(EndpointError):
    """Another replica has answered than the one that is meant: the ingress asks any."""

    code = "OtherReplica"


class NotChecked(EndpointError):
    """No release waits to take over: it has, or was dropped."""

    code = "NotChecked"


class NotThere(EndpointError):
    """The container does not have the release (any more)."""

    code = "NoSuchRelease"


class Supervisor:
    """Of one container, at the address of its revision. Close it after use. `replica`: the one that is meant; the answers of
    another one are refused, and it takes no order."""

    def __init__(self, url: str, key: str, replica: str = "") -> None:
        self._url = url
        self._replica = replica
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=SHORT_SECONDS,
            trust_env=may_be_proxied(url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def look(self) -> Exchange | None:
        """None where no supervisor takes this key: another start, or another server."""
        answer = self._request("GET", "/slipway/exchange")
        return self._told(answer) if answer.status_code == 200 else None

    def follow(self, after: int) -> Exchange:
        """The next that is told, or the same again after a while."""
        answer = self._request("GET", "/slipway/exchange", params={"after": str(after)}, timeout=POLL_SECONDS)
        found = self._told(answer) if answer.status_code == 200 else None
        if found is None:
            raise self._refused(answer)
        return found

    def _told(self, answer: httpx.Response) -> Exchange | None:
        found = _exchange(answer)
        if found is not None and self._replica and found.replica and found.replica != self._replica:
            raise other_replica()
        return found

    def push(self, release: str, size: int, blocks: Iterable[bytes]) -> None:
        """The bundle whose sha256 the release is; the container verifies it."""
        answer = self._request(
            "PUT",
            f"/slipway/releases/{release}",
            content=blocks,
            headers={"Content-Length": str(size), "Content-Type": "application/x-tar"},
            timeout=httpx.Timeout(SHORT_SECONDS, read=UPLOAD_SECONDS, write=UPLOAD_SECONDS),
        )
        if answer.status_code not in (200, 201):
            raise self._refused(answer)

    def begin(self, release: str, generation: int, form: ExchangeForm, smoke: Sequence[Mapping[str, object]]) -> None:
        asked: dict[str, object] = {"release": release, "generation": str(generation), "form": form}
        asked |= {"smoke": list(smoke), "replica": self._replica}
        self._done(self._request("POST", "/slipway/exchange", json=asked))

    def take_over(self, release: str) -> None:
        self._done(
            self._request("POST", "/slipway/exchange/take-over", json={"release": release, "replica": self._replica})
        )

    def discard(self) -> None:
        """What is starting, or waits to take over: the server that ran goes on, or starts again."""
        self._done(self._request("DELETE", "/slipway/exchange"))

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **more)
        except httpx.HTTPError as error:
            raise NotReached(
                Text("The container at {url} did not answer ({problem}).", url=self._url, problem=type(error).__name__),
                Text("Look at its status, then try again."),
            ) from error
        if answer.status_code in (502, 503, 504) and _code(answer) is None:
            raise NotReached(
                Text(
                    "The endpoint {url} answered {status} to {path}.",
                    url=self._url,
                    status=answer.status_code,
                    path=path,
                ),
                Text("Look at its status, then try again."),
            )
        return answer

    def _done(self, answer: httpx.Response) -> None:
        if answer.status_code != 202:
            raise self._refused(answer)

    def _refused(self, answer: httpx.Response) -> SlipwayError:
        code = _code(answer)
        if code == "Busy":
            return Busy(
                Text("Another exchange is under way in the container."), Text("Run Deploy again when it has ended.")
            )
        if code == "OtherReplica":
            return other_replica()
        if code == "NotChecked":
            return NotChecked(Text("The container has no release that waits to take over."), Text("Run Deploy again."))
        if answer.status_code == 401:
            return EndpointError(
                Text("The container does not take the deploy key any more: it was changed meanwhile."),
                Text("Run Deploy again: it reads the key anew."),
                code="DeployKeyRefused",
            )
        if code == "NoSuchRelease":
            return NotThere(Text("The container does not have the release."), Text("Run Deploy again."))
        if code == "DiskFull":
            return EndpointError(
                Text("The replica's disk is full: the release does not fit beside the one that runs."),
                Text("Deploy with the strategy restart, or give the app more cores: its disk grows with them."),
                code="DiskFull",
            )
        return EndpointError(
            Text(
                "The container at {url} refused the exchange ({code}).",
                url=self._url,
                code=code or f"HTTP {answer.status_code}",
            ),
            Text("The detail holds what it said. Deploy with the strategy restart does without."),
            code=code or f"Endpoint{answer.status_code}",
            detail=answer.text[:2000],
        )


def other_replica() -> OtherReplica:
    return OtherReplica(
        Text("Another replica has started: an exchange in place is for one."), Text("Run Deploy again.")
    )


def _code(answer: httpx.Response) -> str | None:
    """The supervisor's own; None where the answer is somebody else's."""
    code = _object(answer).get("code")
    return code if isinstance(code, str) else None


def _exchange(answer: httpx.Response) -> Exchange | None:
    said = _object(answer)
    state, seq = said.get("state"), said.get("seq")
    if not is_exchange_state(state) or not isinstance(seq, int):
        return None
    running, beside = _inner(said, "running"), _inner(said, "beside")
    log = said.get("log")
    lines = cast("list[object]", log) if isinstance(log, list) else []
    fits = beside.get("fits")
    return Exchange(
        seq=seq,
        state=state,
        release=_text(said, "release"),
        generation=_text(said, "generation"),
        form=_text(said, "form"),
        phase=_text(said, "phase") or None,
        progress=_number(said, "progress"),
        detail=_text(said, "detail") or None,
        reason=_text(said, "reason") or None,
        log=tuple(map(str, lines)),
        pause=_number(said, "pause"),
        running=_text(running, "release"),
        running_generation=_text(running, "generation"),
        beside=fits if isinstance(fits, bool) else None,
        why=_text(beside, "why"),
        replica=_text(said, "replica"),
        archives=said.get("archives") is True,
        asks=said.get("candidate") is True,
    )


def _object(answer: httpx.Response) -> Mapping[str, object]:
    try:
        said = answer.json()
    except ValueError:  # no JSON, or no text: a proxy's page
        return {}
    return cast("dict[str, object]", said) if isinstance(said, dict) else {}


def _inner(said: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = said.get(key)
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _text(said: Mapping[str, object], key: str) -> str:
    value = said.get(key)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _number(said: Mapping[str, object], key: str) -> float | None:
    value = said.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
