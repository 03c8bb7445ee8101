"""The plain functions of the ARM expression language: JSON values in, a JSON value out, no scope needed."""

import base64
import binascii
import datetime
import json
import re
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from typing import Any


class ExpressionError(Exception):
    """A template expression is malformed or can't be evaluated; `code` is ARM's."""

    def __init__(self, message: str, code: str = "InvalidTemplate") -> None:
        super().__init__(message)
        self.code = code


def unique_string(*values: str) -> str:
    """ARM's uniqueString(): 13 characters of a 64-bit hash, the same for the same values in every deployment."""
    number = _hash64("-".join(values).encode())
    return "".join(_BASE32[(number >> shift) & 31] for shift in range(59, -1, -5)) + _BASE32[(number << 1) & 31]


def guid(*values: str) -> str:
    """ARM's guid(): a name-based UUID, the same for the same values in every deployment."""
    return str(uuid.uuid5(_GUID_NAMESPACE, "-".join(values)))


def property_of(target: Any, key: Any, mode: str = "strict") -> Any:
    """`target.key` or `target[key]`. Names match whatever their case. Mode "safe" gives None where there is none."""
    if isinstance(target, dict) and isinstance(key, str):
        found = _key(target, key)
        if found is not None:
            return target[found]
    elif isinstance(target, list) and type(key) is int and 0 <= key < len(_list(target)):
        return target[key]
    if mode == "safe":
        return None
    if isinstance(target, dict):
        names = ", ".join(_dict(target))
        raise ExpressionError(
            f"The language expression property '{key}' doesn't exist, available properties are '{names}'."
        )
    if isinstance(target, list):
        raise ExpressionError(f"The language expression property array index '{key}' is out of bounds.")
    raise ExpressionError(
        f"The language expression property '{key}' can't be evaluated, property name must be a string "
        "and its object must not be null."
    )


_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_GUID_NAMESPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_WORD = 0xFFFFFFFF


def _rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _WORD


def _scramble(word: int, first: int, bits: int, second: int) -> int:
    return _rotate(word * first & _WORD, bits) * second & _WORD


def _avalanche(word: int) -> int:
    word = (word ^ (word >> 16)) * 0x85EBCA6B & _WORD
    word = (word ^ (word >> 13)) * 0xC2B2AE35 & _WORD
    return word ^ (word >> 16)


def _hash64(data: bytes) -> int:
    """A 64-bit variant of MurmurHash3 in two 32-bit lanes, seed 0."""
    low = high = 0
    whole = len(data) - len(data) % 8
    for start in range(0, whole, 8):
        first, second = (int.from_bytes(data[at : at + 4], "little") for at in (start, start + 4))
        low = (_rotate(low ^ _scramble(first, 0x239B961B, 15, 0xAB0E9789), 19) + high) & _WORD
        low = (low * 5 + 0x561CCD1B) & _WORD
        high = (_rotate(high ^ _scramble(second, 0xAB0E9789, 17, 0x239B961B), 13) + low) & _WORD
        high = (high * 5 + 0x0BCAA747) & _WORD
    rest = data[whole:]
    if rest:
        low ^= _scramble(int.from_bytes(rest[:4], "little"), 0x239B961B, 15, 0xAB0E9789)
    if len(rest) > 4:
        high ^= _scramble(int.from_bytes(rest[4:], "little"), 0xAB0E9789, 17, 0x239B961B)
    low, high = low ^ len(data), high ^ len(data)
    low = (low + high) & _WORD
    high = (high + low) & _WORD
    low, high = _avalanche(low), _avalanche(high)
    low = (low + high) & _WORD
    high = (high + low) & _WORD
    return (high << 32) | low


def _list(value: Any) -> list[Any]:
    return value


def _dict(value: Any) -> dict[str, Any]:
    return value


def _key(target: Any, key: str) -> str | None:
    if key in target:
        return key
    return next((name for name in _dict(target) if name.lower() == key.lower()), None)


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "True" if value else "False"
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def _format(pattern: str, *values: Any) -> str:
    def fill(hole: re.Match[str]) -> str:
        if hole.group() in ("{{", "}}"):
            return hole.group()[0]
        number, width, form = hole.group(1), hole.group(2), hole.group(3)
        value = values[int(number)]
        text = _number_format(value, form) if form and isinstance(value, int) else _string(value)
        space = int(width or 0)
        return text.ljust(-space) if space < 0 else text.rjust(space)

    return re.sub(r"\{\{|\}\}|\{(\d+)(?:,(-?\d+))?(?::([^}]*))?\}", fill, pattern)


def _number_format(value: int, form: str) -> str:
    kind, digits = form[0].lower(), int(form[1:] or 0) if form[1:].isdigit() or not form[1:] else 0
    if kind == "d" or set(form) == {"0"}:
        return f"{value:0{digits if kind == 'd' else len(form)}d}"
    if kind == "x":
        return f"{value:0{digits}{form[0]}}"
    if kind == "n":
        return f"{value:,.{digits or 2}f}"
    return str(value)


def _concat(*values: Any) -> Any:
    if values and isinstance(values[0], list):
        return [item for value in values for item in _list(value)]
    return "".join(_string(value) for value in values)


def _contains(container: Any, item: Any) -> bool:
    if isinstance(container, dict):
        return _key(container, str(item)) is not None
    return item in container


def _union(*values: Any) -> Any:
    if isinstance(values[0], list):
        return _distinct([item for value in values for item in value])
    return _merged(values, "deep")


def _merged(values: Any, depth: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for value in values:
        for name, item in _dict(value).items():
            old = result.get(name)
            both = isinstance(old, dict) and isinstance(item, dict)
            result[name] = _merged((old, item), depth) if both and depth == "deep" else item
    return result


def _distinct(values: list[Any]) -> list[Any]:
    return [value for index, value in enumerate(values) if value not in values[:index]]


def _intersection(*values: Any) -> Any:
    first, rest = values[0], values[1:]
    if isinstance(first, list):
        return _distinct([item for item in _list(first) if all(item in other for other in rest)])
    shared = _dict(first).items()
    return {name: item for name, item in shared if all(name in other and other[name] == item for other in rest)}


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and len(_list(value)) == 0)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise ValueError("the value can't be converted to an integer")
    return int(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "1", "false", "0"):
        return value.lower() in ("true", "1")
    if isinstance(value, int):
        return value != 0
    raise ValueError("the value can't be converted to a boolean")


def _not(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("a boolean is expected")
    return not value


def _equals(left: Any, right: Any) -> bool:
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise ValueError("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: int, right: int) -> int:
    return left - _divide(left, right) * right


def _extreme(choose: Callable[[list[int]], int]) -> Callable[..., int]:
    return lambda *values: choose(_list(values[0]) if len(values) == 1 else list(values))


def _substring(text: str, start: int, length: int | None = None) -> str:
    end = len(text) if length is None else start + length
    if start < 0 or end < start or end > len(text):
        raise ValueError("the index and length must refer to a location within the string")
    return text[start:end]


def _split(text: str, delimiters: Any) -> list[str]:
    parts = [delimiters] if isinstance(delimiters, str) else _list(delimiters)
    return re.split("|".join(re.escape(part) for part in parts), text)


def _join(values: Any, delimiter: str) -> str:
    return delimiter.join(_string(value) for value in _list(values))


def _base64_text(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as problem:
        raise ValueError("it is not the base64 of a text") from problem


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        raise ValueError("it is not valid JSON") from problem


def _flatten(value: Any) -> list[Any]:
    return [item for part in _list(value) for item in (_list(part) if isinstance(part, list) else [part])]


def _try_get(target: Any, *keys: Any) -> Any:
    for key in keys:
        if target is None:
            return None
        target = property_of(target, key, "safe")
    return target


def _uri(base: str, relative: str) -> str:
    return urllib.parse.urljoin(base if base.endswith("/") else base.rsplit("/", 1)[0] + "/", relative.lstrip("/"))


def _range(start: int, count: int) -> list[int]:
    if not 0 <= count <= 10_000:
        raise ValueError("the count must be between 0 and 10000")
    return list(range(start, start + count))


def _items(value: Any) -> list[dict[str, Any]]:
    return [{"key": key, "value": item} for key, item in sorted(_dict(value).items())]


_DURATION = re.compile(
    r"(?P<sign>-?)P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)


def _date_time_add(base: str, duration: str, form: str | None = None) -> str:
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


def _epoch(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def _from_epoch(seconds: int) -> str:
    return format_time(datetime.datetime.fromtimestamp(seconds, datetime.UTC), "yyyy-MM-ddTHH:mm:ssZ")


def _fail(message: str) -> Any:
    raise ExpressionError(message, "UserDefinedFailure")


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": lambda left, right: left + right,
    "array": lambda value: value if isinstance(value, list) else [value],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64tojson": lambda text: _json(_base64_text(text)),
    "base64tostring": _base64_text,
    "bool": _boolean,
    "concat": _concat,
    "contains": _contains,
    "createarray": lambda *values: list(values),
    "createobject": lambda *pairs: dict(zip(pairs[::2], pairs[1::2], strict=True)),
    "datauri": lambda text: "data:text/plain;charset=utf8;base64," + base64.b64encode(text.encode()).decode(),
    "datetimeadd": _date_time_add,
    "datetimefromepoch": _from_epoch,
    "datetimetoepoch": _epoch,
    "div": _divide,
    "empty": _empty,
    "endswith": lambda text, end: text.lower().endswith(end.lower()),
    "equals": _equals,
    "fail": _fail,
    "false": lambda: False,
    "first": lambda value: value[0] if value else ("" if isinstance(value, str) else None),
    "flatten": _flatten,
    "float": float,
    "format": _format,
    "greater": lambda left, right: left > right,
    "greaterorequals": lambda left, right: left >= right,
    "guid": guid,
    "indexof": lambda value, item: (
        value.lower().find(item.lower())
        if isinstance(value, str)
        else next((at for at, each in enumerate(value) if each == item), -1)
    ),
    "int": _integer,
    "intersection": _intersection,
    "items": _items,
    "join": _join,
    "json": _json,
    "last": lambda value: value[-1] if value else ("" if isinstance(value, str) else None),
    "lastindexof": lambda value, item: (
        value.lower().rfind(item.lower())
        if isinstance(value, str)
        else next((at for at in range(len(value) - 1, -1, -1) if value[at] == item), -1)
    ),
    "length": len,
    "less": lambda left, right: left < right,
    "lessorequals": lambda left, right: left <= right,
    "max": _extreme(max),
    "min": _extreme(min),
    "mod": _remainder,
    "mul": lambda left, right: left * right,
    "not": _not,
    "null": lambda: None,
    "objectkeys": lambda value: sorted(value),
    "padleft": lambda value, width, fill=" ": _string(value).rjust(width, fill),
    "range": _range,
    "replace": lambda text, old, new: text.replace(old, new),
    "shallowmerge": lambda values: _merged(values, "shallow"),
    "skip": lambda value, count: value[max(count, 0) :],
    "split": _split,
    "startswith": lambda text, start: text.lower().startswith(start.lower()),
    "string": lambda value: value if isinstance(value, str) else _string(value),
    "sub": lambda left, right: left - right,
    "substring": _substring,
    "take": lambda value, count: value[: max(count, 0)],
    "tolower": lambda text: text.lower(),
    "toupper": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "true": lambda: True,
    "tryget": _try_get,
    "union": _union,
    "uniquestring": unique_string,
    "uri": _uri,
    "uricomponent": lambda text: urllib.parse.quote(text, safe="-_.!~*'()"),
    "uricomponenttostring": urllib.parse.unquote,
}
