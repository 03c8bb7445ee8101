"""The plain functions of the ARM expression language: JSON values in, a JSON value out, no scope needed."""

import base64
import binascii
import json
import operator
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from sidecar.armlang.dates import date_time_add, epoch, from_epoch
from sidecar.armlang.digests import guid, unique_string
from sidecar.armlang.values import as_list, as_object


class ExpressionError(Exception):
    """A template expression is malformed or can't be evaluated; `code` is ARM's."""

    def __init__(self, message: str, code: str = "InvalidTemplate") -> None:
        super().__init__(message)
        self.code = code


def property_of(target: Any, key: Any, mode: str = "strict") -> Any:
    """`target.key` or `target[key]`. Names match whatever their case. Mode "safe" gives None where there is none."""
    if isinstance(target, dict) and isinstance(key, str):
        found = _key(target, key)
        if found is not None:
            return as_object(target)[found]
    elif isinstance(target, list) and type(key) is int and 0 <= key < len(as_list(target)):
        return as_list(target)[key]
    if mode == "safe":
        return None
    if isinstance(target, dict):
        names = ", ".join(as_object(target))
        raise ExpressionError(
            f"The language expression property '{key}' doesn't exist, available properties are '{names}'."
        )
    if isinstance(target, list):
        raise ExpressionError(f"The language expression property array index '{key}' is out of bounds.")
    raise ExpressionError(
        f"The language expression property '{key}' can't be evaluated, property name must be a string "
        "and its object must not be null."
    )


def _key(target: Any, key: str) -> str | None:
    if key in target:
        return key
    return next((name for name in as_object(target) if name.lower() == key.lower()), None)


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
        return [item for value in values for item in as_list(value)]
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
        for name, item in as_object(value).items():
            old = result.get(name)
            both = isinstance(old, dict) and isinstance(item, dict)
            result[name] = _merged((old, item), depth) if both and depth == "deep" else item
    return result


def _distinct(values: list[Any]) -> list[Any]:
    return [value for index, value in enumerate(values) if value not in values[:index]]


def _intersection(*values: Any) -> Any:
    first, rest = values[0], values[1:]
    if isinstance(first, list):
        return _distinct([item for item in as_list(first) if all(item in other for other in rest)])
    shared = as_object(first).items()
    return {name: item for name, item in shared if all(name in other and other[name] == item for other in rest)}


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and len(as_list(value)) == 0)


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
    return lambda *values: choose(as_list(values[0]) if len(values) == 1 else list(values))


def _substring(text: str, start: int, length: int | None = None) -> str:
    end = len(text) if length is None else start + length
    if start < 0 or end < start or end > len(text):
        raise ValueError("the index and length must refer to a location within the string")
    return text[start:end]


def _split(text: str, delimiters: Any) -> list[str]:
    parts = [delimiters] if isinstance(delimiters, str) else as_list(delimiters)
    return re.split("|".join(re.escape(part) for part in parts), text)


def _join(values: Any, delimiter: str) -> str:
    return delimiter.join(_string(value) for value in as_list(values))


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
    return [item for part in as_list(value) for item in (as_list(part) if isinstance(part, list) else [part])]


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
    return [{"key": key, "value": item} for key, item in sorted(as_object(value).items())]


def _fail(message: str) -> Any:
    raise ExpressionError(message, "UserDefinedFailure")


def _array(value: Any) -> list[Any]:
    return as_list(value) if isinstance(value, list) else [value]


def _create_array(*values: Any) -> list[Any]:
    return list(values)


def _create_object(*pairs: Any) -> dict[str, Any]:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _base64_json(text: str) -> Any:
    return _json(_base64_text(text))


def _data_uri(text: str) -> str:
    return f"data:text/plain;charset=utf8;base64,{_base64(text)}"


def _starts_with(text: str, start: str) -> bool:
    return text.lower().startswith(start.lower())


def _ends_with(text: str, end: str) -> bool:
    return text.lower().endswith(end.lower())


def _first(value: Any) -> Any:
    return value[0] if value else ("" if isinstance(value, str) else None)


def _last(value: Any) -> Any:
    return value[-1] if value else ("" if isinstance(value, str) else None)


def _index_of(value: Any, item: Any) -> int:
    if isinstance(value, str):
        return value.lower().find(item.lower())
    return next((at for at, each in enumerate(as_list(value)) if each == item), -1)


def _last_index_of(value: Any, item: Any) -> int:
    if isinstance(value, str):
        return value.lower().rfind(item.lower())
    values = as_list(value)
    return next((at for at in range(len(values) - 1, -1, -1) if values[at] == item), -1)


def _null() -> None:
    return None


def _true() -> bool:
    return True


def _false() -> bool:
    return False


def _object_keys(value: Any) -> list[str]:
    return sorted(as_object(value))


def _pad_left(value: Any, width: int, fill: str = " ") -> str:
    return _string(value).rjust(width, fill)


def _shallow_merge(values: Any) -> dict[str, Any]:
    return _merged(values, "shallow")


def _take(value: Any, count: int) -> Any:
    return value[: max(count, 0)]


def _skip(value: Any, count: int) -> Any:
    return value[max(count, 0) :]


def _text(value: Any) -> str:
    return _string(value)


def _uri_component(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.!~*'()")


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "array": _array,
    "base64": _base64,
    "base64tojson": _base64_json,
    "base64tostring": _base64_text,
    "bool": _boolean,
    "concat": _concat,
    "contains": _contains,
    "createarray": _create_array,
    "createobject": _create_object,
    "datauri": _data_uri,
    "datetimeadd": date_time_add,
    "datetimefromepoch": from_epoch,
    "datetimetoepoch": epoch,
    "div": _divide,
    "empty": _empty,
    "endswith": _ends_with,
    "equals": _equals,
    "fail": _fail,
    "false": _false,
    "first": _first,
    "flatten": _flatten,
    "float": float,
    "format": _format,
    "greater": operator.gt,
    "greaterorequals": operator.ge,
    "guid": guid,
    "indexof": _index_of,
    "int": _integer,
    "intersection": _intersection,
    "items": _items,
    "join": _join,
    "json": _json,
    "last": _last,
    "lastindexof": _last_index_of,
    "length": len,
    "less": operator.lt,
    "lessorequals": operator.le,
    "max": _extreme(max),
    "min": _extreme(min),
    "mod": _remainder,
    "mul": operator.mul,
    "not": _not,
    "null": _null,
    "objectkeys": _object_keys,
    "padleft": _pad_left,
    "range": _range,
    "replace": str.replace,
    "shallowmerge": _shallow_merge,
    "skip": _skip,
    "split": _split,
    "startswith": _starts_with,
    "string": _text,
    "sub": operator.sub,
    "substring": _substring,
    "take": _take,
    "tolower": str.lower,
    "toupper": str.upper,
    "trim": str.strip,
    "true": _true,
    "tryget": _try_get,
    "union": _union,
    "uniquestring": unique_string,
    "uri": _uri,
    "uricomponent": _uri_component,
    "uricomponenttostring": urllib.parse.unquote,
}
