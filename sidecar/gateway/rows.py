"""Asks the deployed server one row of a data set, and keeps apart what waiting mends from what it does not. Logs nothing."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self, cast

import httpx

from sidecar.core.dataset import Answer, Case
from sidecar.gateway.endpoint import may_be_proxied
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text

SILENCE_SECONDS = 300
"""The server writes a blank after a minute, and the ingress ends what is silent for 240 s: later nothing comes any more."""

ITS_OWN = (400, 413, 422)
"""The request's own fault: another one is answered."""

TOO_SLOW = "TooSlow"
"""A container's code for a release that waits in it and has not answered in time."""

PAUSE_SECONDS = 2.0
"""Where the server does not say how long to wait."""


LATE_SECONDS = 200
"""After which no answer means that this one takes too long: a container hands on to a release that waits in it for 220 s, the
ingress to anybody for 240 s."""


class NotAnswered(Exception):
    """`problem`: what came instead; `detail`: in the other's own words. `late`: it took so long that others may be answered."""

    def __init__(self, problem: Text, detail: str = "", *, late: bool = False) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.detail = detail
        self.late = late


class Busy(NotAnswered):
    """The server wants to be asked again after so many seconds. `failed`: it failed at this row, which may fail again."""

    def __init__(
        self, seconds: float, problem: Text, detail: str = "", *, failed: Answer | None = None, late: bool = False
    ) -> None:
        super().__init__(problem, detail, late=late)
        self.seconds = seconds
        self.failed = failed


class Lost(NotAnswered):
    """No answer, or half of one: nothing is known of this row."""


class Answering:
    """At one address, by many threads at once. Close it after use."""

    def __init__(self, url: str, api_key: str | None, at_once: int) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._url = url
        self._client = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(10, read=SILENCE_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            trust_env=may_be_proxied(url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, case: Case, model: str, *, max_tokens: int, temperature: float, seed: int) -> Answer:
        """Raises Busy, Lost, or EndpointError where no other row would fare better."""
        path, what = _question(case)
        body = {"model": model, **what, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        began = time.monotonic()
        try:
            answer = self._client.post(path, json=body)
        except httpx.HTTPError as error:
            late = time.monotonic() - began >= LATE_SECONDS
            raise Lost(Text("no answer ({problem})", problem=type(error).__name__), late=late) from error
        except RuntimeError as error:  # closed in the moment before: whoever asked has left
            if not self._client.is_closed:
                raise
            raise Lost(Text("no answer ({problem})", problem=type(error).__name__)) from error
        seconds = time.monotonic() - began
        if answer.status_code == 200:
            return _answer(answer, seconds)
        code, said = _refusal(answer)
        if answer.status_code in ITS_OWN:
            return Answer(None, seconds=seconds, refused=code or str(answer.status_code), said=said)
        if answer.status_code == 429 or answer.status_code >= 500:
            own = Answer(None, seconds=seconds, refused="500", said=said) if answer.status_code == 500 else None
            problem = Text("HTTP {status}", status=f"{answer.status_code} {code}".strip())
            late = seconds >= LATE_SECONDS or code == TOO_SLOW
            raise Busy(_seconds(answer), problem, said, failed=own, late=late)
        raise EndpointError(
            Text(
                "The endpoint {url} answered {status} to {path}.", url=self._url, status=answer.status_code, path=path
            ),
            Text("The detail holds what it said."),
            code=f"Endpoint{answer.status_code}",
            detail=said[:2000] or None,
        )


def _question(case: Case) -> tuple[str, dict[str, Any]]:
    if case.messages:
        return "/v1/chat/completions", {"messages": [{"role": who, "content": what} for who, what in case.messages]}
    return "/v1/completions", {"prompt": case.prompt}


def _answer(answer: httpx.Response, seconds: float) -> Answer:
    try:
        body = answer.json()
        choice = body["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
    except (ValueError, KeyError, IndexError, TypeError) as error:  # a fault after the first blank, or somebody between
        raise Lost(Text("half an answer ({problem})", problem=type(error).__name__)) from error
    usage = cast("dict[str, Any]", body.get("usage") or {})
    tokens = usage.get("completion_tokens")
    return Answer(
        "" if text is None else str(text),
        str(choice.get("finish_reason") or ""),
        tokens if isinstance(tokens, int) else None,
        round(seconds, 4),
    )


def _refusal(answer: httpx.Response) -> tuple[str, str]:
    """Code and words: the server's own, or those of a container, which have no frame."""
    try:
        said = answer.json()
        error = said.get("error", said)
        return str(error.get("code") or ""), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", answer.text[:500]


def _seconds(answer: httpx.Response) -> float:
    try:
        return min(60.0, max(0.1, float(answer.headers.get("retry-after", ""))))
    except ValueError:  # none, or a date
        return PAUSE_SECONDS
