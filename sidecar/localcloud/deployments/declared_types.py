"""The types that a template declares, user-defined ones within each other too, and values held against them."""

from collections.abc import Mapping
from typing import Any

from sidecar.dotnet.json_values import kind_of, same
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json, as_list, as_object, member

TYPES: Mapping[str, type] = {
    "string": str,
    "securestring": str,
    "int": int,
    "bool": bool,
    "object": dict,
    "secureobject": dict,
    "array": list,
}
SHOWN = {
    "string": "String",
    "securestring": "SecureString",
    "int": "Int",
    "bool": "Bool",
    "object": "Object",
    "secureobject": "SecureObject",
    "array": "Array",
}


def shown_type(kind: str) -> str:
    """A type as a deployment's GET writes it, however the template did."""
    return SHOWN.get(kind.lower(), kind)


def invalid_template(message: str) -> ArmError:
    return ArmError(400, "InvalidTemplate", f"Deployment template validation failed: '{message}'.")


def followed(stated: Json, definitions: Json) -> Json:
    """A declaration with its `$ref` to a user-defined type followed, also where that one refers on."""
    seen: set[str] = set()
    while str(stated.get("$ref", "")).startswith("#/definitions/"):
        name = str(stated["$ref"]).removeprefix("#/definitions/")
        if name in seen or name not in definitions:
            raise invalid_template(f"The type '{name}' is not defined in the template, or only by itself.")
        seen.add(name)
        rest = {key: value for key, value in stated.items() if key != "$ref"}
        stated = {**member(definitions, name), **rest}
    return stated


def check_value(name: str, declaration: Json, value: Any, definitions: Json) -> None:
    """ArmError for a value that the declaration does not take. `name` leads to it: `rule.kind`, `names[0]`."""
    kind = str(declaration.get("type", "")).lower()
    if kind not in TYPES:
        return  # any
    if not isinstance(value, TYPES[kind]) or (kind == "int" and isinstance(value, bool)):
        raise invalid_template(
            f"Template parameter JToken type is not valid. Expected '{SHOWN[kind]}'. Actual '{kind_of(value)}'. "
            f"Please see https://aka.ms/resource-manager-parameter-types for usage details. (parameter '{name}')"
        )
    _check_limits(name, kind, declaration, value)
    if (items := as_list(value)) is not None:
        _check_items(name, declaration, items, definitions)
    elif (entries := as_object(value)) is not None:
        _check_properties(name, declaration, entries, definitions)


def _check_limits(name: str, kind: str, declaration: Json, value: Any) -> None:
    allowed = declaration.get("allowedValues")
    if allowed is not None and not _among(value, allowed) and not _all_among(value, allowed):
        # A secure value is not repeated in a message.
        repeated = "" if kind.startswith("secure") else f" '{value}'"
        raise invalid_template(
            f"The provided value{repeated} for the template parameter '{name}' is not valid. The value is not part of "
            f"the allowed value(s): '{','.join(str(entry) for entry in allowed)}'."
        )
    if isinstance(value, bool):
        return
    size = value if isinstance(value, int) else len(value)
    low, high = ("minValue", "maxValue") if isinstance(value, int) else ("minLength", "maxLength")
    if (low in declaration and size < declaration[low]) or (high in declaration and size > declaration[high]):
        raise invalid_template(
            f"The provided value for the template parameter '{name}' is not valid. Length or value must be within "
            f"'{declaration.get(low, '')}'..'{declaration.get(high, '')}'."
        )


def _among(value: Any, allowed: list[Any]) -> bool:
    return any(same(value, each) for each in allowed)


def _all_among(value: Any, allowed: list[Any]) -> bool:
    """An array may hold any of the allowed values."""
    items = as_list(value)
    return items is not None and all(_among(each, allowed) for each in items)


def _check_items(name: str, declaration: Json, values: list[Any], definitions: Json) -> None:
    first = as_list(declaration.get("prefixItems")) or []
    rest = declaration.get("items")
    if rest is False and len(values) > len(first):
        raise invalid_template(f"The value of the template parameter '{name}' has more than {len(first)} items.")
    for place, value in enumerate(values):
        stated = as_object(first[place]) if place < len(first) else as_object(rest)
        _check_part(f"{name}[{place}]", stated, value, definitions)


def _check_properties(name: str, declaration: Json, values: Json, definitions: Json) -> None:
    known: Json = member(declaration, "properties")
    if chosen := as_object(declaration.get("discriminator")):
        key = str(chosen.get("propertyName"))
        mapping: Json = member(chosen, "mapping")
        if values.get(key) not in mapping:
            raise invalid_template(
                f"The value of the template parameter '{name}' must have '{key}' as one of: '{', '.join(mapping)}'."
            )
        variant = followed(member(mapping, values[key]), definitions)
        check_value(name, {**variant, "type": "object"}, values, definitions)
        return
    given = {each.lower(): each for each in values}
    for each, stated in known.items():
        own = followed(as_object(stated) or {}, definitions)
        written = given.get(each.lower())
        needed = not own.get("nullable")
        if written is None and needed:
            raise invalid_template(f"The value of the template parameter '{name}' has no property '{each}'.")
        if written is not None:
            _check_part(f"{name}.{each}", own, values[written], definitions)
    others = declaration.get("additionalProperties")
    for each in values:
        if each.lower() in {key.lower() for key in known}:
            continue
        if others is False:
            raise invalid_template(
                f"The value of the template parameter '{name}' has a property '{each}' that its type has not."
            )
        _check_part(f"{name}.{each}", as_object(others), values[each], definitions)


def _check_part(name: str, stated: Json | None, value: Any, definitions: Json) -> None:
    own = followed(stated, definitions) if stated is not None else {}
    if not (value is None and own.get("nullable")):
        check_value(name, own, value, definitions)
