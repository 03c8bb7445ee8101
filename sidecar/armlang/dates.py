"""Dates of templates: ISO 8601 durations added, .NET formats written."""

import datetime
import re

_DURATION = re.compile(
    r"(?P<sign>-?)P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)


def date_time_add(base: str, duration: str, form: str | None = None) -> str:
    found = _DURATION.fullmatch(duration)
    if not found:
        raise ValueError(f"'{duration}' is not an ISO 8601 duration")
    part = {name: int(value or 0) for name, value in found.groupdict().items() if name != "sign"}
    days = part["days"] + 7 * part["weeks"] + 30 * part["months"] + 365 * part["years"]
    step = datetime.timedelta(days=days, hours=part["hours"], minutes=part["minutes"], seconds=part["seconds"])
    moment = datetime.datetime.fromisoformat(base.replace("Z", "+00:00"))
    moment = moment + (-step if found["sign"] else step)
    return format_time(moment, form or ("o" if "." in base else "yyyy-MM-ddTHH:mm:ssZ"))


_TIME_PART = re.compile(r"yyyy|yy|MM|dd|HH|mm|ss|f{1,7}|.")
_STANDARD_TIME = {
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffZ",
    "u": "yyyy-MM-dd HH:mm:ssZ",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "d": "MM/dd/yyyy",
}


def format_time(moment: datetime.datetime, form: str) -> str:
    """`moment` in UTC, in a .NET date format (the standard ones o, u, s, d and custom patterns of digits)."""
    moment = moment.astimezone(datetime.UTC) if moment.tzinfo else moment
    codes = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}

    def part(found: re.Match[str]) -> str:
        text = found.group()
        if text.strip("f") == "":
            return f"{moment.microsecond:06d}0"[: len(text)]
        return moment.strftime(codes[text]) if text in codes else text

    return _TIME_PART.sub(part, _STANDARD_TIME.get(form.lower() if len(form) == 1 else form, form))


def epoch(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def from_epoch(seconds: int) -> str:
    return format_time(datetime.datetime.fromtimestamp(seconds, datetime.UTC), "yyyy-MM-ddTHH:mm:ssZ")
