"""Whether two templates mean the same: declarations, and what becomes of them with the defaults and with other parameters."""

import re
from collections.abc import Iterator
from typing import Any

from sidecar.armlang.expression_syntax import Call, Index, Literal, Node, is_expression
from sidecar.armlang.expressions import Scope, compute
from sidecar.armlang.function_table import function_named
from sidecar.armlang.values import ExpressionError
from tests.support.bicep_residue import LATER, Residue, comparable, text_of
from tests.support.bicep_snapshots import Made, Refused, planned_whole, written_out

_CONSTRAINTS = ("allowedValues", "minValue", "maxValue", "minLength", "maxLength", "nullable", "sealed")
_DEEPEST = 12


def differences(ours: dict[str, Any], official: dict[str, Any]) -> list[str]:
    """What differs, in words; empty: they mean the same."""
    found = [*_declared_otherwise(ours, official)]
    for title, given in variations(official):
        mine, theirs = _observed(ours, given), _observed(official, given)
        found += [f"{title}: {each}" for each in _different(mine, theirs)]
    return found


def _declared_otherwise(ours: dict[str, Any], official: dict[str, Any]) -> Iterator[str]:
    for section in ("parameters", "outputs"):
        mine, theirs = ours.get(section, {}), official.get(section, {})
        if [*mine] != [*theirs] and set(mine) != set(theirs):
            yield f"{section}: {sorted(mine)} instead of {sorted(theirs)}"
            continue
        for name, entry in theirs.items():
            left, right = _declaration(mine[name], ours), _declaration(entry, official)
            if left != right:
                yield f"{section} {name}: {left} instead of {right}"


def _declaration(entry: dict[str, Any], template: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """A declaration with its type written out; a type within itself is followed to a depth."""
    followed = dict(entry)
    while reference := str(followed.pop("$ref", "")).removeprefix("#/definitions/"):
        stated = template.get("definitions", {})[reference]
        described = {**stated.get("metadata", {}), **followed.get("metadata", {})}
        followed = {**stated, **followed, **({"metadata": described} if described else {})}
    made: dict[str, Any] = {"type": str(followed.get("type", "")).lower()}
    made |= {name: followed[name] for name in _CONSTRAINTS if name in followed}
    if described := followed.get("metadata", {}).get("description"):
        made["description"] = described
    if "defaultValue" in followed:
        made["default"] = comparable(followed["defaultValue"])
    if depth >= _DEEPEST:
        return made
    if "properties" in followed and isinstance(followed["properties"], dict):
        made["properties"] = {
            name: _declaration(each, template, depth + 1) for name, each in followed["properties"].items()
        }
    for inner in ("items", "additionalProperties"):
        value = followed.get(inner)
        if isinstance(value, dict):
            made[inner] = _declaration(value, template, depth + 1)
        elif value is not None:
            made[inner] = value
    if chosen := followed.get("discriminator"):
        mapping = {name: _declaration(each, template, depth + 1) for name, each in chosen["mapping"].items()}
        made["discriminator"] = {"propertyName": chosen["propertyName"], "mapping": mapping}
    if items := followed.get("prefixItems"):
        made["prefixItems"] = [_declaration(each, template, depth + 1) for each in items]
    return made


def variations(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what it is called, parameters): the defaults, everything changed, and the switches alone."""
    declared: dict[str, Any] = {
        name: _followed(each, template) for name, each in template.get("parameters", {}).items()
    }
    needed = {
        name: _another(each, template, None)
        for name, each in declared.items()
        if "defaultValue" not in each and not each.get("nullable")
    }
    yield "with the defaults", needed
    changed = {name: _another(each, template, each.get("defaultValue")) for name, each in declared.items()}
    if changed:
        yield "with every parameter changed", changed
    switches = {name: value for name, value in changed.items() if isinstance(value, bool)}
    if switches:
        yield "with every switch changed", {**needed, **switches}


def _followed(entry: dict[str, Any], template: dict[str, Any]) -> dict[str, Any]:
    reference = str(entry.get("$ref", "")).removeprefix("#/definitions/")
    if not reference:
        return entry
    rest = {name: each for name, each in entry.items() if name != "$ref"}
    return {**_followed(template["definitions"][reference], template), **rest}


def _another(entry: dict[str, Any], template: dict[str, Any], default: Any, name: str = "x") -> Any:
    """A value that the declaration takes and that is not its default."""
    entry = _followed(entry, template)
    kind = str(entry.get("type", "")).lower()
    allowed = entry.get("allowedValues")
    if allowed is not None:
        others = [each for each in allowed if each != default] or allowed
        return others[:1] if kind == "array" and not isinstance(others[0], list) else others[0]
    if kind == "bool":
        return not default if isinstance(default, bool) else True
    if kind == "int":
        low, high = entry.get("minValue", 0), entry.get("maxValue", 1_000_000)
        return next(each for each in (low + 1, low, high) if each != default and low <= each <= high)
    if kind in ("string", "securestring"):
        if isinstance(default, str) and default and not is_expression(default):
            return _like(default)
        low, high = entry.get("minLength", 0), entry.get("maxLength", 60)
        return f"{name}other".ljust(low, "z")[:high]
    if kind == "array":
        if isinstance(default, list) and default:
            return _like(default)
        count = max(entry.get("minLength", 0), min(2, entry.get("maxLength", 2)))
        inner = entry.get("items")
        return [_another(inner, template, None, f"{name}{at}") if inner else f"item{at}" for at in range(count)]
    return _object(entry, template, default)


def _object(entry: dict[str, Any], template: dict[str, Any], default: Any) -> Any:
    chosen = entry.get("discriminator")
    if chosen:
        key = next(reversed(chosen["mapping"]))
        member = _followed(chosen["mapping"][key], template)
        return {**_object(member, template, None), chosen["propertyName"]: key}
    shaped = _like(default) if isinstance(default, dict) else {}
    stated = {
        name: _another(each, template, (default or {}).get(name), name)
        for name, each in entry.get("properties", {}).items()
        if not _followed(each, template).get("nullable")
    }
    if shaped or stated:
        return {**shaped, **stated}
    return {"other": "value"}


def _like(sample: Any) -> Any:
    """Another value of the same shape: a text keeps its length and its marks, so that it stays a date, a path, a network."""
    if isinstance(sample, bool):
        return not sample
    if isinstance(sample, int):
        return sample + 1
    if isinstance(sample, str):
        return sample if is_expression(sample) else re.sub(r"\d+|[A-Za-z]", _next, sample, count=1)
    if isinstance(sample, list):
        return [_like(each) for each in sample]
    if isinstance(sample, dict):
        return {name: _like(each) for name, each in sample.items()}
    return sample


def _next(found: re.Match[str]) -> str:
    text = found[0]
    if text.isdigit():
        return str((int(text) + 1) % 10 ** len(text)).rjust(len(text), "0")
    return {"z": "a", "Z": "A"}.get(text, chr(ord(text) + 1))


def _observed(template: dict[str, Any], given: dict[str, Any]) -> Made | str:
    try:
        return planned_whole(template, given)
    except Refused as refused:
        return re.sub(r"'[^']*'", "'…'", str(refused))


def _different(mine: Made | str, theirs: Made | str) -> Iterator[str]:
    if isinstance(mine, str) or isinstance(theirs, str):
        if mine != theirs:
            yield f"{_told(mine)} instead of {_told(theirs)}"
        return
    left, right = _facts(mine), _facts(theirs)
    for key in sorted(left.keys() | right.keys()):
        if left.get(key) != right.get(key):
            yield f"{key}: {left.get(key)!r} instead of {right.get(key)!r}"
    for waiting, other in sorted(mine.waits ^ theirs.waits):
        which = "only ours" if (waiting, other) in mine.waits else "only the official one"
        yield f"{waiting} waits for {other}: {which}"


def _told(made: Made | str) -> str:
    return f"refused ({made})" if isinstance(made, str) else "taken"


def _facts(made: Made) -> dict[str, Any]:
    found: dict[str, Any] = {f"output {name}": _settled(value) for name, value in made.outputs.items()}
    found |= {f"deployment {name.lower()}": _settled(each) for name, each in made.deployments.items()}
    for each in made.resources:
        found[f"resource {each['id'].lower()}"] = _settled(each)
    return found


def _settled(value: Any) -> Any:
    """Expressions that differ only in how they are written become the same text."""
    if isinstance(value, list):
        return [_settled(each) for each in value]
    if isinstance(value, dict):
        return {str(_settled(key)): _settled(each) for key, each in value.items()}
    if isinstance(value, Residue):
        return _played(value.node)
    return written_out(value)


def _played(node: Node) -> Any:
    """The expression with a name in place of each value that is read: so `format()` and `concat()` of it come out the same."""
    try:
        value = compute(_with_names(node), Scope())
    except ExpressionError:
        return f"[{text_of(node)}]"  # what is read is no text here
    return value


def _with_names(node: Node) -> Node:
    base = node
    while isinstance(base, Index) and isinstance(base.key, Literal):
        base = base.target
    if isinstance(base, Call):
        row = function_named(base.name)
        name = base.name.lower()
        if (row and row.where == "runtime") or name in LATER or name in ("parameters", "getkeyvaultsecret"):
            return Literal(f"⟦{text_of(node)}⟧")
    if isinstance(node, Index):
        return Index(_with_names(node.target), _with_names(node.key), node.safe)
    if isinstance(node, Call):
        return Call(node.name, tuple(_with_names(each) for each in node.arguments))
    return _literal(node.value)


def _literal(value: Any) -> Literal:
    return Literal(_settled(value))
