"""The time: as a moment, and in the ways that Azure writes it."""

import datetime


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def utc_now() -> str:
    """As ARM writes it."""
    return now().isoformat().replace("+00:00", "Z")


def revision_now() -> str:
    """As a revision has it: whole seconds, with an offset."""
    return now().isoformat(timespec="seconds")
