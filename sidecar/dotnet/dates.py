"""Dates: read as .NET reads them, its formats written (invariant culture)."""

import datetime
import re
from collections.abc import Callable, Mapping

from sidecar.dotnet.errors import Malformed, NotKnown

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMED = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS)
_CLOCK = (
    r"(?:[T ](?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,7}))?)?)?"
    r" ?(?P<zone>Z|GMT|[+-]\d\d(?::?\d\d)?)?"
)
_FORMS = [
    re.compile(day + _CLOCK, re.IGNORECASE)
    for day in (
        r"(?P<year>\d{4})[-/](?P<month>\d\d?)[-/](?P<day>\d\d?)",
        r"(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{4})",
        rf"(?P<day>\d\d?) (?P<month>{_NAMED}),? (?P<year>\d{{4}})",
        rf"(?P<month>{_NAMED}) (?P<day>\d\d?),? (?P<year>\d{{4}})",
    )
]


def read_date(text: str) -> tuple[datetime.datetime, int]:
    """(the moment, its digit of 100 nanoseconds). A text without a zone is UTC's."""
    found = next((each for form in _FORMS if (each := form.fullmatch(text.strip()))), None)
    if not found:
        # .NET reads more forms than these: what has no digit is none of them.
        raise NotKnown(f"the date '{text}'") if re.search(r"\d", text) else Malformed("it is no date")
    month = found["month"] if found["month"].isdigit() else _month(found["month"])
    fraction = (found["fraction"] or "").ljust(7, "0")
    hour, minute, second = (int(found[each] or 0) for each in ("hour", "minute", "second"))
    try:
        zone = datetime.timezone(_offset(found["zone"] or "Z"))
        day = datetime.date(int(found["year"]), int(month), int(found["day"]))
        time = datetime.time(hour, minute, second, int(fraction[:6]), zone)
    except ValueError:
        raise Malformed("it is no date") from None
    return datetime.datetime.combine(day, time), int(fraction[6])


_DURATION = re.compile(
    r"(?P<sign>-?)P(?=\d|T\d)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


def read_duration(text: str) -> datetime.timedelta:
    """A month is 30 days and a year 365, as XML Schema's durations become a span of time."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise Malformed("it is no duration")
    part = {name: value or "0" for name, value in found.groupdict().items() if name != "sign"}
    whole, _, rest = part["seconds"].partition(".")
    if len(rest) > 6:
        raise NotKnown(f"the duration '{text}'")
    days = int(part["days"]) + 30 * int(part["months"]) + 365 * int(part["years"])
    step = datetime.timedelta(days, int(whole), int(rest.ljust(6, "0")), 0, int(part["minutes"]), int(part["hours"]))
    return -step if found["sign"] else step


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def seconds_of(text: str) -> int:
    """Since 1970."""
    return (read_date(text)[0] - _EPOCH) // datetime.timedelta(seconds=1)


def of_seconds(number: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(seconds=number)


def _month(name: str) -> int:
    return next(at for at, each in enumerate(_MONTHS, 1) if each.lower().startswith(name.lower()[:3]))


def _offset(zone: str) -> datetime.timedelta:
    if zone.upper() in ("Z", "GMT"):
        return datetime.timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    step = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -step if zone[0] == "-" else step


_PATTERN = re.compile(
    r"'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|\\(?P<escaped>.)|%(?=[^%])"
    r"|(?P<code>y+|M+|d+|H+|h+|m+|s+|f+|F+|t+|z+|g+|K)|(?P<plain>.)",
    re.DOTALL,
)
_STANDARD = {
    "d": "MM/dd/yyyy",
    "D": "dddd, dd MMMM yyyy",
    "f": "dddd, dd MMMM yyyy HH:mm",
    "F": "dddd, dd MMMM yyyy HH:mm:ss",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "m": "MMMM dd",
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "t": "HH:mm",
    "T": "HH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ss'Z'",
    "y": "yyyy MMMM",
    "": "MM/dd/yyyy HH:mm:ss zzz",
}
_CODES: Mapping[str, Callable[[datetime.datetime], str]] = {
    "d": lambda when: str(when.day),
    "dd": lambda when: f"{when.day:02d}",
    "ddd": lambda when: _DAYS[when.weekday()][:3],
    "dddd": lambda when: _DAYS[when.weekday()],
    "M": lambda when: str(when.month),
    "MM": lambda when: f"{when.month:02d}",
    "MMM": lambda when: _MONTHS[when.month - 1][:3],
    "MMMM": lambda when: _MONTHS[when.month - 1],
    "H": lambda when: str(when.hour),
    "HH": lambda when: f"{when.hour:02d}",
    "h": lambda when: str((when.hour + 11) % 12 + 1),
    "hh": lambda when: f"{(when.hour + 11) % 12 + 1:02d}",
    "m": lambda when: str(when.minute),
    "mm": lambda when: f"{when.minute:02d}",
    "s": lambda when: str(when.second),
    "ss": lambda when: f"{when.second:02d}",
    "t": lambda when: "AP"[when.hour // 12],
    "tt": lambda when: ("AM", "PM")[when.hour // 12],
    "y": lambda when: str(when.year % 100),
    "yy": lambda when: f"{when.year % 100:02d}",
    "z": lambda when: f"{int((when.utcoffset() or datetime.timedelta()).total_seconds()) // 3600:+d}",
    "zz": lambda when: when.strftime("%z")[:3],
    "zzz": lambda when: f"{when.strftime('%z')[:3]}:{when.strftime('%z')[3:5]}",
}


def format_time(moment: datetime.datetime, form: str, last: int = 0, zone: str = "zzz") -> str:
    """`moment` in a .NET format; `last` is its digit of 100 nanoseconds, `zone` what K writes."""
    if len(form) == 1 or not form:
        alike = form.lower() if form in ("M", "O", "R", "Y") else form
        if alike not in _STANDARD:
            raise Malformed(f"'{form}' is not a date format")
        moment = moment.astimezone(datetime.UTC) if alike in ("r", "u") else moment
        form = _STANDARD[alike]

    def part(found: re.Match[str]) -> str:
        code = found["code"]
        if not code:
            if found["plain"] in ("'", '"', "\\", "%"):
                raise NotKnown(f"the date format '{form}'")
            return found["single"] or found["double"] or found["escaped"] or found["plain"] or ""
        if code == "K":
            return zone if zone == "Z" else _CODES[zone](moment)
        if code[0] in "fF" and len(code) <= 7:
            digits = f"{moment.microsecond:06d}{last}"[: len(code)]
            return digits if code[0] == "f" else digits.rstrip("0")
        if code[0] == "y" and len(code) > 2:
            return str(moment.year).rjust(len(code), "0")
        known = code if code[0] not in "HhmstdMz" else code[: {"d": 4, "M": 4, "z": 3}.get(code[0], 2)]
        if known not in _CODES:
            raise NotKnown(f"the date format '{form}'")
        return _CODES[known](moment)

    return _PATTERN.sub(part, form)
