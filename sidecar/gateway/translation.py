"""What the SDKs raise, as failures of ours: the innermost code and sentence, and what to do next."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, cast

from sidecar.gateway.patience import BUSY_CODES, BUSY_STATUSES, LONGEST_RETRY_AFTER
from sidecar.gateway.trust import way_out
from sidecar.words.azure_codes import advice_for
from sidecar.words.errors import CloudError, NotAuthorized, NotFound, NotSignedIn, Unreachable
from sidecar.words.text import Text

AWAY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Of a look that may be taken again, after the SDK has done so a few times."""

BORNE_SKEW = 290
"""Seconds. Entra's tokens bear five minutes, a signature of Azure Files fifteen."""


@contextmanager
def translated(doing: Text) -> Generator[None]:
    """Turns the SDK's exceptions into ours: the innermost code and message, and what to do next."""
    from azure.core.exceptions import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
        ClientAuthenticationError,
        DecodeError,
        HttpResponseError,
        ResourceNotFoundError,
        ServiceRequestError,
        ServiceResponseError,
    )

    try:
        yield
    except ClientAuthenticationError as error:
        if isinstance(error.__cause__, CloudError):
            raise error.__cause__ from error
        if isinstance(error.__cause__, (ServiceRequestError, ServiceResponseError)):
            raise unreachable(doing, error.__cause__) from error
        skew = clock_skew(error)
        if skew is not None:
            raise CloudError(
                Text(
                    "{doing}: the clock of this machine is {minutes} minutes off.",
                    doing=doing,
                    minutes=round(skew / 60),
                ),
                Text("Set the clock (or let the system set it), then run the command again."),
                code="ClockSkew",
            ) from error
        code, message = innermost(error)
        raise NotSignedIn(
            Text("{doing}: the sign-in was not accepted ({message})", doing=doing, message=message),
            Text("Sign in again, with an account of the subscription's tenant."),
            code=code or "NotSignedIn",
        ) from error
    except ResourceNotFoundError as error:
        code, message = innermost(error)
        raise NotFound(
            Text("{doing}: {message}", doing=doing, message=message),
            advice_for(code),
            code=code or "ResourceNotFound",
        ) from error
    except HttpResponseError as error:
        code, message = innermost(error)
        if error.status_code == 403:
            raise NotAuthorized(
                Text("{doing}: {message}", doing=doing, message=message),
                advice_for(code or "AuthorizationFailed")
                or Text("Ask for a role that holds this permission at this scope, then sign in anew."),
                code=code or "AuthorizationFailed",
            ) from error
        raise CloudError(
            Text("{doing}: {message}", doing=doing, message=message),
            _later(too_long(error)) or advice_for(code),
            code=code or f"Http{error.status_code}",
        ) from error
    except (ServiceRequestError, ServiceResponseError, DecodeError, json.JSONDecodeError) as error:
        raise unreachable(doing, error) from error


def too_long(error: Any) -> float | None:
    """Seconds that a refusal asks to wait, where that is longer than anybody is kept waiting."""
    response = getattr(error, "response", None)
    stated = None if response is None else response.headers.get("Retry-After")
    try:
        seconds = float(stated or 0)
    except ValueError:
        return None  # a date: it was waited for as long as the cap allows
    return seconds if seconds > LONGEST_RETRY_AFTER else None


def _later(seconds: float | None) -> Text | None:
    if seconds is None:
        return None
    minutes = round(seconds / 60)
    return Text("The cloud asks to wait {minutes} minutes: run the command again then.", minutes=minutes)


def clock_skew(error: Any) -> float | None:
    """Seconds between this machine's clock and the one that answered, where tokens and signatures do not bear them."""
    response = getattr(error, "response", None)
    stated = None if response is None else response.headers.get("Date")
    if stated is None:
        return None
    try:
        away = abs(time.time() - parsedate_to_datetime(stated).timestamp())
    except ValueError:
        return None  # no date as HTTP writes it: nothing can be said
    return away if away > BORNE_SKEW else None


def unreachable(doing: Text, error: Any) -> Unreachable:
    page = isinstance(error, json.JSONDecodeError)  # some of the SDKs let it through: a proxy's page, a portal's
    problem = "what came is no JSON" if page else str(error.message or type(error).__name__)
    return Unreachable(Text("{doing}: no usable answer ({problem})", doing=doing, problem=problem), way_out(problem))


def not_found() -> type[Exception]:
    """What the SDK raises for a resource that is not there."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    return ResourceNotFoundError


def word(value: object) -> str:
    """A state or kind as the cloud wrote it: the SDK's enums are strings whose str() is the Python name."""
    return str(value.value) if isinstance(value, Enum) else str(value)


def innermost(error: Any) -> tuple[str | None, str]:
    """Code and message of the most nested cause: ARM wraps them, at times as JSON inside a string."""
    return innermost_of(_body_of(error), str(getattr(error, "message", error)).strip())


def innermost_of(body: Any, message: str = "") -> tuple[str | None, str]:
    """The same for an error as it is read: an object, the SDK's model of one, or either's JSON as text."""
    code: str | None = None
    body = _parsed(body) if isinstance(body, str) else body
    while body is not None:
        body = _model_body(body) if hasattr(body, "code") and not isinstance(body, dict) else body
        if not isinstance(body, dict):
            break
        known = cast("dict[str, Any]", body)
        node = cast("dict[str, Any]", known["error"] if isinstance(known.get("error"), dict) else known)
        code = cast("str | None", node.get("code")) or code
        said = node.get("message")
        if isinstance(said, str) and said:
            message = said
        details = node.get("details")
        if isinstance(details, list) and details:
            body = cast("list[Any]", details)[0]
        elif isinstance(said, str) and "{" in said:
            body = _embedded(said)
        else:
            break
    return code, message


def _embedded(said: str) -> Any:
    """An error as JSON inside a sentence, from its first brace on; None where that is no error."""
    found = _parsed(said[said.index("{") :])
    if not isinstance(found, dict):
        return None
    node = cast("dict[str, Any]", found)
    node = cast("dict[str, Any]", node["error"] if isinstance(node.get("error"), dict) else node)
    return node if node.get("message") or node.get("code") else None


def busy_for(error: Exception) -> str | None:
    """Why a refusal means "later": another change is under way, or the service asks for patience."""
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    if not isinstance(error, HttpResponseError):
        return None
    code, _ = innermost(error)
    if code in BUSY_CODES:
        return code
    if too_long(error) is not None:
        return None  # the SDK has asked again already, for as long as anybody is kept waiting
    return f"HTTP {error.status_code}" if error.status_code in BUSY_STATUSES else None


def busy_or_lost(error: Exception) -> str | None:
    """The same, where an answer that was lost on the way (the SDK asks for no POST again) may be asked for again too."""
    return "the answer was lost" if is_lost(error) else busy_for(error)


def is_lost(error: Exception) -> bool:
    """Whether the request was sent and no answer came: it may have taken effect."""
    from azure.core.exceptions import ServiceResponseError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    return isinstance(error, ServiceResponseError)


def is_away(error: Exception) -> bool:
    """Whether a look brought no usable answer: the next one may."""
    from azure.core.exceptions import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
        DecodeError,
        HttpResponseError,
        ServiceRequestError,
        ServiceResponseError,
    )

    if isinstance(error, (DecodeError, ServiceRequestError, ServiceResponseError, json.JSONDecodeError)):
        return True
    return isinstance(error, HttpResponseError) and (error.status_code or 0) in AWAY_STATUSES


def is_broken(error: Exception) -> bool:
    """Whether a long-running operation of the SDK can't be followed any more: that says nothing of how it ends."""
    from azure.core.polling.base_polling import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
        BadResponse,
        BadStatus,
    )

    if is_away(error):
        return True
    inner = getattr(error, "inner_exception", None)
    refused = getattr(error, "status_code", None) in (401, 403)
    return isinstance(inner, BadResponse) or (isinstance(inner, BadStatus) and not refused)


def _body_of(error: Any) -> Any:
    """The error body: the SDK's model where it has one (long-running operations keep it there), else the response's text."""
    model = getattr(error, "error", None)
    if model is not None and getattr(model, "code", None):
        return _model_body(model)
    response = getattr(error, "response", None)
    if response is None:
        return None
    try:
        return _parsed(response.text())
    except (AttributeError, TypeError, ValueError):
        return None  # a stream that was never read has no text: the exception's own message is used


def _model_body(model: Any) -> dict[str, Any]:
    details = [_model_body(each) for each in cast("list[Any]", getattr(model, "details", None) or [])]
    return {"code": model.code, "message": getattr(model, "message", None), "details": details}


def _parsed(text: str) -> Any:
    try:
        return json.JSONDecoder().raw_decode(text.lstrip())[0]
    except json.JSONDecodeError:
        return None
