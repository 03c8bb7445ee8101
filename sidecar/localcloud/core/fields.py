"""JSON that came over the wire. A member that is missing or null is empty, one of the wrong kind is refused."""

from collections.abc import Mapping
from typing import Any, cast

from sidecar.localcloud.core.errors import invalid

Json = dict[str, Any]
"""An object of JSON."""


def as_object(value: Any) -> Json | None:
    """`value` where it is an object."""
    return cast("Json", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """`value` where it is a list."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def member(holder: Mapping[str, Any], name: str) -> Json:
    """The object `holder[name]`."""
    value = holder.get(name)
    if value is None:
        return {}
    found = as_object(value)
    if found is None:
        raise invalid(f"The request content was invalid: '{name}' must be an object.", target=name)
    return found


def objects(holder: Mapping[str, Any], name: str) -> list[Json]:
    """The objects in the list `holder[name]`."""
    value = holder.get(name)
    if value is None:
        return []
    found = as_list(value)
    if found is None or not all(isinstance(each, dict) for each in found):
        raise invalid(f"The request content was invalid: '{name}' must be a list of objects.", target=name)
    return found


def strings(holder: Mapping[str, Any], name: str) -> list[str]:
    """The strings in the list `holder[name]`."""
    value = holder.get(name)
    if value is None:
        return []
    found = as_list(value)
    if found is None or not all(isinstance(each, str) for each in found):
        raise invalid(f"The request content was invalid: '{name}' must be a list of strings.", target=name)
    return found
