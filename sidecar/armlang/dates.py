"""Dates of templates: ISO 8601 durations added, seconds since 1970."""

import datetime
import re
from typing import Any

from sidecar.armlang.argument_types import wrong_type
from sidecar.armlang.values import ExpressionError, kind_of, unknown
from sidecar.dotnet.dates import format_time, read_date
from sidecar.dotnet.errors import Malformed

_DURATION = re.compile(
    r"(?P<sign>-?)P(?=\d|T\d)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_SEE = "Please see https://aka.ms/arm-syntax-functions ."


def _read(text: str, refusal: str) -> tuple[datetime.datetime, int]:
    try:
        return read_date(text)
    except Malformed as problem:
        raise ExpressionError(f"{refusal} is not a valid ISO8601 DateTime string. {_SEE}") from problem


def date_time_add(base: str, duration: str, form: str | None = None) -> str:
    wrong = "The template function 'dateTimeAdd' has an invalid parameter. The"
    moment, last = _read(base, f"{wrong} first parameter '{base}'")
    found = _DURATION.fullmatch(duration)
    if not found:
        raise ExpressionError(f"{wrong} second parameter '{duration}' is not a valid ISO8601 Duration string. {_SEE}")
    part = {name: value or "0" for name, value in found.groupdict().items() if name != "sign"}
    whole, _, rest = part["seconds"].partition(".")
    if len(rest) > 6:
        raise unknown(f"the duration '{duration}'")
    # A month is 30 days and a year 365, as XML Schema's durations become a span of time.
    days = int(part["days"]) + 30 * int(part["months"]) + 365 * int(part["years"])
    step = datetime.timedelta(days, int(whole), int(rest.ljust(6, "0")), 0, int(part["minutes"]), int(part["hours"]))
    moment = moment + (-step if found["sign"] else step)
    try:
        return format_time(moment, "yyyy-MM-ddTHH:mm:ssZ" if form is None else form, last)
    except Malformed as refused:
        raise ExpressionError(
            f"{wrong} third parameter '{form}' is not a valid DateTime format string. Please see https://aka.ms/arn-template"
            "#functions ."
        ) from refused


def date_time_to_epoch(text: str) -> int:
    moment, _ = _read(text, "The template function 'dateTimeToEpoch' has an invalid parameter. The parameter")
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(seconds=1)


def date_time_from_epoch(value: Any) -> str:
    """Of a whole number, also as a text."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        value = int(value)
    if type(value) is not int:
        if isinstance(value, str | float | bool):
            raise unknown(f"what dateTimeFromEpoch() makes of a value of type {kind_of(value)}")
        raise wrong_type("dateTimeFromEpoch", None, "Integer", value)
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=value)
    return format_time(moment, "yyyy-MM-ddTHH:mm:ssZ")
