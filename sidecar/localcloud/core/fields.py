"""Members of JSON that came over the wire: a missing or null one is empty, one of the wrong kind is refused."""

from collections.abc import Mapping
from typing import Any, cast

from sidecar.localcloud.core.errors import invalid

Json = dict[str, Any]


def member(holder: Mapping[str, Any], name: str) -> Json:
    """The object `holder[name]`."""
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"The request content was invalid: '{name}' must be an object.", target=name)
    return cast("Json", value)


def objects(holder: Mapping[str, Any], name: str) -> list[Json]:
    """The objects in the list `holder[name]`."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in cast("list[Any]", value)):
        raise invalid(f"The request content was invalid: '{name}' must be a list of objects.", target=name)
    return cast("list[Json]", value)


def strings(holder: Mapping[str, Any], name: str) -> list[str]:
    """The strings in the list `holder[name]`."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in cast("list[Any]", value)):
        raise invalid(f"The request content was invalid: '{name}' must be a list of strings.", target=name)
    return cast("list[str]", value)
