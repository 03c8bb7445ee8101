"""Dates of templates: ISO 8601 durations added, seconds since 1970."""

import re
from typing import Any

from sidecar.armlang.argument_types import wrong_type
from sidecar.armlang.values import ExpressionError, unknown
from sidecar.dotnet.dates import format_time, of_seconds, read_date, read_duration
from sidecar.dotnet.errors import Malformed
from sidecar.dotnet.json_values import kind_of

_ISO = "Please see https://aka.ms/arm-syntax-functions ."


def date_time_add(base: str, duration: str, form: str | None = None) -> str:
    wrong = f"first parameter '{base}' is not a valid ISO8601 DateTime string. {_ISO}"
    try:
        moment, last = read_date(base)
        wrong = f"second parameter '{duration}' is not a valid ISO8601 Duration string. {_ISO}"
        moment += read_duration(duration)
        see = "Please see https://aka.ms/arn-template#functions ."
        wrong = f"third parameter '{form}' is not a valid DateTime format string. {see}"
        return format_time(moment, "yyyy-MM-ddTHH:mm:ssZ" if form is None else form, last)
    except Malformed as problem:
        raise ExpressionError(f"The template function 'dateTimeAdd' has an invalid parameter. The {wrong}") from problem


def date_time_from_epoch(value: Any) -> str:
    """Of a whole number, also as a text."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        value = int(value)
    if type(value) is not int:
        if isinstance(value, str | float | bool):
            raise unknown(f"what dateTimeFromEpoch() makes of a value of type {kind_of(value)}")
        raise wrong_type("dateTimeFromEpoch", None, "Integer", value)
    return format_time(of_seconds(value), "yyyy-MM-ddTHH:mm:ssZ")
