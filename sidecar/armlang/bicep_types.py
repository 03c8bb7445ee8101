"""What is known of a value before it is deployed: kinds, literals, members; `any` where nothing is certain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

_SIMPLE = ("string", "int", "bool", "null")


@dataclass(frozen=True, eq=False)
class Type:
    """`kind`: any, string, int, bool, null, array, object, union, resource, module, scope or lambda."""

    kind: str
    literal: str | int | bool | None = None
    members: Mapping[str, Type] | None = None
    """Of an object, as far as they are known."""
    closed: bool = False
    """Whether an object has no other members."""
    items: tuple[Type, ...] | None = None
    """Of an array whose items are all known."""
    item: Type | None = None
    """What each item of an array is."""
    options: tuple[Type, ...] = ()
    """Of a union."""
    of: object = None
    """The symbol of a resource or a module."""


ANY, NULL, STRING, INT, BOOL, ARRAY, OBJECT = map(Type, ("any", "null", "string", "int", "bool", "array", "object"))
NAMED = {each.kind: each for each in (ANY, NULL, STRING, INT, BOOL, ARRAY, OBJECT)}


def named(name: str) -> Type:
    """A type as the table of functions writes it: `string`, `int[]`, `(string|int)[]`, `a|b`."""
    if name.endswith("[]"):
        return Type("array", item=named(name[:-2].strip("()")))
    return union(named(each) for each in name.split("|")) if "|" in name else NAMED.get(name, ANY)


def closed(members: Mapping[str, Type]) -> Type:
    return Type("object", members=members, closed=True)


def of_json(value: object) -> Type:
    """The type of a value that is known whole, numbers with a fraction apart."""
    if isinstance(value, list):
        return Type("array", items=tuple(of_json(each) for each in cast("list[object]", value)))
    if isinstance(value, dict):
        return closed({key: of_json(each) for key, each in cast("dict[str, object]", value).items()})
    if isinstance(value, str | int):
        return Type("bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "string", value)
    return NULL if value is None else ANY


def union(types: Iterable[Type]) -> Type:
    flat: list[Type] = []
    for each in (one for given in types for one in given.options or (given,)):
        if each.kind == "any":
            return ANY
        if each.kind not in _SIMPLE or (each.kind, each.literal) not in {(one.kind, one.literal) for one in flat}:
            flat.append(each)
    return flat[0] if len(flat) == 1 else Type("union", options=tuple(flat)) if flat else ANY


def without_null(given: Type) -> Type:
    rest = [each for each in given.options if each.kind != "null"]
    return union(rest) if rest else given


def item_of(given: Type) -> Type:
    """What a loop over it goes through."""
    if given.items is not None:
        return union(given.items)
    return given.item or ANY


def fits(given: Type, wanted: Type) -> bool:
    """Whether a value may stand where `wanted` is: False is certain. A value that may be null is taken, as officially."""
    if "any" in (given.kind, wanted.kind):
        return True
    if given.options:
        return all(fits(each, wanted) for each in given.options if each.kind != "null")
    if wanted.options:
        return any(fits(given, each) for each in wanted.options)
    if given.kind in ("resource", "module", "scope") and wanted.kind == "object":
        return True
    if given.kind != wanted.kind:
        return False
    if wanted.literal is not None and given.literal is not None:
        return given.literal == wanted.literal and isinstance(given.literal, bool) == isinstance(wanted.literal, bool)
    if given.kind == "array" and wanted.item is not None:
        items = given.items if given.items is not None else (given.item or ANY,)
        return all(fits(each, wanted.item) for each in items)
    return True


def shown(given: Type) -> str:
    """For a person, as Bicep writes it."""
    if given.options:
        return " | ".join(map(shown, given.options))
    if isinstance(given.literal, bool):
        return str(given.literal).lower()
    if given.literal is not None:
        return f"'{given.literal}'" if given.kind == "string" else str(given.literal)
    return f"({shown(given.item)})[]" if given.item is not None else given.kind
