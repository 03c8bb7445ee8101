"""Values of JSON as the engine's library (Newtonsoft's) has them: their types, what is equal, names whatever their case."""

import json
import math
from typing import Any

from sidecar.dotnet.errors import Malformed
from sidecar.dotnet.text import upper
from sidecar.dotnet.text import written as written_text


def as_list(value: Any) -> list[Any]:
    """A value that is known to be an array."""
    return value


def as_object(value: Any) -> dict[str, Any]:
    """A value that is known to be an object."""
    return value


def kind_of(value: Any) -> str:
    """The type as the engine names it in its messages."""
    if value is None:
        return "Null"
    names = {bool: "Boolean", int: "Integer", float: "Float", str: "String", list: "Array", dict: "Object"}
    return names[type(value)]


def same(left: Any, right: Any) -> bool:
    """Equal in kind and value, at every depth: 1 is neither 1.0 nor true; the order of an object's names does not count."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        mine, other = as_object(left), as_object(right)
        return mine.keys() == other.keys() and all(same(mine[key], other[key]) for key in mine)
    if isinstance(left, list):
        mine, other = as_list(left), as_list(right)
        return len(mine) == len(other) and all(same(a, b) for a, b in zip(mine, other, strict=True))
    return left == right or (isinstance(left, float) and math.isnan(left) and math.isnan(right))


def distinct(values: list[Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for each in values:
        found.setdefault(key_of(each), each)
    return [*found.values()]


def key_of(value: Any) -> str:
    """The same text for values that are the same."""
    return json.dumps(value, sort_keys=True)


def own_key(target: dict[str, Any], key: str) -> str | None:
    """The name under which an object has `key`, whatever its case."""
    if key in target:
        return key
    wanted = upper(key)
    return next((name for name in target if upper(name) == wanted), None)


def written(value: Any) -> Any:
    """The value as it leaves the engine: a lone half of a pair of UTF-16 can't be written, and becomes U+FFFD."""
    if isinstance(value, str):
        return written_text(value)
    if isinstance(value, list):
        return [written(each) for each in as_list(value)]
    if isinstance(value, dict):
        return {written_text(key): written(each) for key, each in as_object(value).items()}
    return value


def merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The right one's values over the left one's, objects within each other too; the last spelling of a name stays."""
    made = dict(left)
    for name, item in right.items():
        own = own_key(made, name)
        old = made[own] if own is not None else None
        if item is None and own is not None:
            continue
        if isinstance(old, dict) and isinstance(item, dict):
            item = merged(as_object(old), as_object(item))
        elif old is not None and not _replaceable(kind_of(old), kind_of(item)):
            raise Malformed(f"'{kind_of(old)}' and '{kind_of(item)}'")
        if own is not None and own != name:
            made = {name if each == own else each: value for each, value in made.items()}
        made[name] = item
    return made


def _replaceable(old: str, new: str) -> bool:
    return old == new or not {old, new} & {"Array", "Object"}
