"""The Retail Prices API: list prices of a service in some regions. It needs no sign-in, and nobody waits long for it."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

import httpx

from sidecar.gateway.session import Session
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

SERVICE = "Azure Container Apps"
VERSION = "2023-01-01-preview"
SECONDS = 3.0
"""For all pages together: a price is worth no longer wait."""
LARGEST = 4 * 1024 * 1024


def price_pages(session: Session, regions: Sequence[str]) -> list[object]:
    """The pages of the price list, as they came. Raises CloudError where there is no list, or none in time."""
    address = session.profile.prices
    if address is None:
        raise CloudError(Text("This cloud has no list of retail prices."), code="NoPriceList")
    deadline = time.monotonic() + SECONDS
    where = " or ".join(f"armRegionName eq '{each}'" for each in regions)
    asked: dict[str, str] | None = {
        "api-version": VERSION,
        "$filter": f"serviceName eq '{SERVICE}' and ({where})",
    }
    pages: list[object] = []
    url: str | None = address
    try:
        with httpx.Client(verify=_trusting(session), trust_env=session.through_proxies) as client:
            while url is not None:
                page = _page(client, url, asked, deadline)
                pages.append(page)
                url, asked = _next(page, address), None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as problem:
        raise CloudError(
            Text("The price list can't be read ({problem}).", problem=str(problem) or type(problem).__name__),
            code="PricesUnread",
        ) from problem
    return pages


def _page(client: httpx.Client, url: str, asked: dict[str, str] | None, deadline: float) -> object:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpx.ReadTimeout(f"no whole answer within {SECONDS:g} s")
    read = bytearray()
    with client.stream("GET", url, params=asked, timeout=left) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            read += chunk
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout(f"no whole answer within {SECONDS:g} s")
            if len(read) > LARGEST:
                raise ValueError("the answer is too large")
    return cast("object", json.loads(read))


def _next(page: object, address: str) -> str | None:
    """The following page, of the same host only."""
    named = cast("dict[str, object]", page).get("NextPageLink") if isinstance(page, dict) else None
    if not isinstance(named, str) or not named:
        return None
    return named if urlsplit(named).netloc == urlsplit(address).netloc else None


def _trusting(session: Session) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=session.verify) if isinstance(session.verify, str) else True
