"""The functions of arrays and objects. Arguments have the types of the table's rows."""

from collections.abc import Callable
from typing import Any

from sidecar.armlang.argument_types import no_collection, refused, small, wrong_type
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.json_texts import text_of
from sidecar.dotnet.json_values import as_list, as_object, distinct, key_of, kind_of, merged, own_key, same
from sidecar.dotnet.text import cut, length, units


def property_of(target: Any, key: Any, mode: str = "strict") -> Any:
    """`target.key` or `target[key]`. Names match whatever their case. Mode "safe" gives None where there is none."""
    if isinstance(target, dict) and isinstance(key, str):
        found = own_key(as_object(target), key)
        if found is not None:
            return as_object(target)[found]
    elif isinstance(target, list) and type(key) is int and 0 <= small(key) < len(as_list(target)):
        return as_list(target)[key]
    if mode == "safe":
        return None
    shown = text_of(key)
    if isinstance(target, list):
        if type(key) is int:
            raise ExpressionError(f"The language expression property array index '{shown}' is out of bounds.")
        raise ExpressionError(f"Unable to evaluate named property or non-integer index '{shown}' on an array value.")
    why = "can't be evaluated."
    if isinstance(target, dict):
        names = f"doesn't exist, available properties are '{', '.join(as_object(target))}'."
        why = names if isinstance(key, str) else "can't be evaluated, property name must be a string."
    raise ExpressionError(f"The language expression property '{shown}' {why}")


def try_get(target: Any, *keys: Any) -> Any:
    """The first key may be missing; once something is found, so may the others."""
    for key in keys:
        target = property_of(target, key, "safe")
    return target


def index_from_end(values: list[Any], index: int) -> Any:
    if index <= 0:
        raise ExpressionError(
            "Unable to evaluate the template language function 'indexFromEnd'. The index parameter must be greater than zero, "
            f"but an index of '{index}' was received."
        )
    return property_of(values, len(values) - index)


def try_index_from_end(values: Any, index: int) -> Any:
    return property_of(values, len(as_list(values)) - index, "safe") if isinstance(values, list) and index > 0 else None


def contains(container: Any, item: Any) -> bool:
    if isinstance(container, dict) and isinstance(item, str):
        return own_key(as_object(container), item) is not None
    if isinstance(container, list):
        return any(same(each, item) for each in as_list(container))
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    raise ExpressionError(
        "The template function 'contains' expects parameters of matching types: a dictionary and a key (string), an array "
        f"and a value (object), or a string and a substring. The provided types '{kind_of(container)}' and "
        f"'{kind_of(item)}' are not supported. Please see https://aka.ms/arm-function-contains for usage details."
    )


def empty(value: Any) -> bool:
    if value is None or isinstance(value, str | list | dict):
        return not value
    raise ExpressionError(
        "The template function 'empty' expects its parameter to be an object, an array, or a string. The provided value is of "
        f"type '{kind_of(value)}'. Please see https://aka.ms/arm-function-empty for usage details."
    )


def length_(value: Any) -> int:
    if isinstance(value, str):
        return length(value)
    if isinstance(value, list | dict):
        return len(as_list(value))
    raise no_collection("length", "parameter to be an array, object, or a string", value)


def end_of(name: str, place: int, value: Any) -> Any:
    if isinstance(value, str):
        start = 0 if place == 0 else max(length(value) - 1, 0)
        return cut(value, start, start + 1)
    if isinstance(value, list):
        return as_list(value)[place] if value else None
    raise no_collection(name, "parameter be an array or a string", value)


def skip(value: Any, count: int) -> Any:
    return _part("skip", value, lambda whole: (min(max(small(count), 0), whole), whole))


def take(value: Any, count: int) -> Any:
    return _part("take", value, lambda whole: (0, min(max(small(count), 0), whole)))


def _part(name: str, value: Any, ends: Callable[[int], tuple[int, int]]) -> Any:
    if isinstance(value, str):
        return cut(value, *ends(length(value)))
    if isinstance(value, list):
        start, end = ends(len(as_list(value)))
        return as_list(value)[start:end]
    raise no_collection(name, "first parameter 'collection' to be an array or a string", value)


def create_array(*values: Any) -> list[Any]:
    return list(values)


def create_object(*pairs: Any) -> dict[str, Any]:
    if len(pairs) % 2:
        raise refused("createObject", "expects an even number of parameters.")
    for place in range(0, len(pairs), 2):
        if not isinstance(pairs[place], str):
            raise wrong_type("createObject", place, "String", pairs[place])
    return unique_names(list(zip(pairs[::2], pairs[1::2], strict=True)))


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = ", ".join(name for name in made if names.count(name) > 1)
        unique = "expects all property names to be unique. The following property names were duplicated"
        raise refused("createObject", f"{unique}: {twice}.")
    return made


def flatten(values: list[Any]) -> list[Any]:
    return [item for part in values for item in as_list(part)]


def range_(start: int, count: int) -> list[int]:
    if not 0 <= count <= 10_000 or not -(2**31) <= start < 2**31 or start + count > 2**31:
        limits = (
            "'count' must be a positive integer no larger than 1000 and the sum of 'start index' and 'count' must be"
        )
        raise refused(
            "range", f"parameters are out of range: {limits} no larger than 2147483647.", "arm-function-range"
        )
    return list(range(start, start + count))


def items(value: dict[str, Any]) -> list[dict[str, Any]]:
    names = sorted(value, key=lambda name: [*memoryview(units(name)).cast("H")])  # by UTF-16 units
    return [{"key": name, "value": value[name]} for name in names]


def _alike(name: str, values: tuple[Any, ...]) -> bool:
    """Whether they are arrays; else all are objects."""
    for place, value in enumerate(values):
        if not isinstance(value, list | dict):
            raise wrong_type(name, place, "Array, Object", value)
    if len({kind_of(value) for value in values}) > 1:
        what = "expects parameters of the same type, but found multiple types."
        raise ExpressionError(f"Template language function '{name}' {what}")
    return isinstance(values[0], list)


def intersection(*values: Any) -> Any:
    if _alike("intersection", values):
        others = [{key_of(each) for each in other} for other in values[1:]]
        return distinct([item for item in values[0] if all(key_of(item) in other for other in others)])
    own = as_object(values[0]).items()
    return {name: item for name, item in own if all(name in each and same(each[name], item) for each in values[1:])}


def union(*values: Any) -> Any:
    if _alike("union", values):
        return distinct([item for value in values for item in as_list(value)])
    made: dict[str, Any] = {}
    for value in values:
        made = merged(made, as_object(value))
    return made


def shallow_merge(values: list[Any]) -> dict[str, Any]:
    """The last value of each name, null too, under its first spelling."""
    made: dict[str, Any] = {}
    for value in values:
        for name, item in as_object(value).items():
            made[own_key(made, name) or name] = item
    return made
