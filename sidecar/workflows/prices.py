"""The price list of some regions, as it is now; else the dated table."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

from sidecar.decisions.price_table import SOURCE, TABLE
from sidecar.decisions.prices import Meter, meters_of, short
from sidecar.gateway.prices import price_pages
from sidecar.gateway.session import Session
from sidecar.words.errors import CloudError
from sidecar.words.text import Text


def meters_for(session: Session, *regions: str) -> tuple[tuple[Meter, ...], Text]:
    """The lines, and what is said of where they are from."""
    try:
        pages = price_pages(session, [short(each) for each in regions])
    except CloudError:
        return TABLE, SOURCE
    read = datetime.now(UTC).date().isoformat()
    source = Text(
        "Azure Retail Prices API ({host}), read {date}", host=urlsplit(session.profile.prices or "").netloc, date=read
    )
    return tuple(meter for page in pages for meter in meters_of(page)), source
