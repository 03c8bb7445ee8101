"""The linter's rules that are known here: what is no mistake, but should be written otherwise. A new rule is a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import sidecar.armlang.bicep_tree as t
from sidecar.armlang.bicep_findings import Report
from sidecar.armlang.bicep_lexer import Directive, quiet
from sidecar.armlang.bicep_names import Symbol
from sidecar.armlang.bicep_places import Places

Found = tuple[t.Place, Mapping[str, object]]
_UNUSED = {"param": "no-unused-params", "var": "no-unused-vars", "existing": "no-unused-existing-resources"}
_MOST_ARGUMENTS = 3
"""Of reference() and list*(): id, version, and one more."""
_PLACES = frozenset({"at", "brackets"})


def lint(places: Places, directives: list[Directive], levels: Mapping[str, str], report: Report) -> None:
    """`levels`: what a configuration states of a rule: error, warning, else nothing is said."""
    for rule, find in RULES.items():
        level = levels.get(rule, "warning")
        for at, args in find(places) if level in ("error", "warning") else ():
            if not quiet(directives, rule, at.line):
                report.lint(at, rule, level == "error", **args)


def _unused(rule: str) -> Callable[[Places], Iterator[Found]]:
    def find(places: Places) -> Iterator[Found]:
        for symbol in places.names.symbols:
            if _UNUSED.get("existing" if symbol.existing else symbol.kind) == rule and not symbol.used:
                yield symbol.at, {"name": symbol.name}

    return find


def _parents(places: Places) -> Iterator[Found]:
    """Children whose name is put together from their parent's."""
    resources = [(symbol, thing) for symbol, thing in places.names.things() if symbol.kind == "resource"]
    for symbol, thing in resources:
        name = thing.body.get("name")
        if symbol.parent is not None or thing.body.get("parent") is not None or not _is_text(name):
            continue
        above = places.kind(symbol).rpartition("/")[0].lower()
        named = name.holes[0] if isinstance(name, t.Interpolation) and name.pieces[0] == "" else None
        for other, parent in resources:
            own = parent.body.get("name")
            fits = places.kind(other).lower() == above and own is not None and other.loop is None
            if name and fits and (_begins(places, name, own) or (named and _of(places, named, "name") is other)):
                yield name.at, {"name": symbol.name, "parent": other.name}
                break


def _symbols(places: Places) -> Iterator[Found]:
    """Functions that ask a resource of this file, which could be asked itself."""
    declarations = (each.value or each.thing for each in places.names.symbols)
    outputs = places.names.values["output"]
    for node in (one for each in (*declarations, *outputs) if each for one in t.expressions_of(each)):
        for call in (each for each in t.walk(node) if isinstance(each, t.Call) and each.plain):
            listed = call.function.startswith("list")
            if (listed or call.function == "reference") and 1 + listed <= len(call.arguments) <= _MOST_ARGUMENTS:
                meant = _meant(places, call.arguments)
                if meant is not None:
                    yield call.at, {"function": call.function, "name": meant.name}


def _meant(places: Places, arguments: tuple[t.Node, ...]) -> Symbol | None:
    """The resource whose id and version are given."""
    candidates = list(_identified(places, arguments[0]))
    if len(arguments) == 1:
        return candidates[0] if len(candidates) == 1 else None
    stated = _of(places, arguments[1], "apiVersion")
    version = str(t.constant(arguments[1]) or "").lower()
    return next((each for each in candidates if each is stated or places.version(each).lower() == version), None)


def _identified(places: Places, node: t.Node) -> Iterator[Symbol]:
    named = _of(places, node, "id") or _of(places, node, "name")
    if named is not None:
        yield named
    elif isinstance(node, t.Call) and node.plain and node.function == "resourceId" and len(node.arguments) > 1:
        kind, *names = node.arguments
        for symbol, thing in places.names.things():
            chain = [each.symbol.body.get("name") for each in places.ancestors(symbol)] + [thing.body.get("name")]
            alike = symbol.kind == "resource" and places.kind(symbol).lower() == str(t.constant(kind)).lower()
            if alike and len(chain) == len(names) and all(map(_same, chain, names)):
                yield symbol


def _of(places: Places, node: t.Node, member: str) -> Symbol | None:
    """Of `resource.member` the resource."""
    if not isinstance(node, t.Access) or not node.dotted or t.constant(node.key) != member:
        return None
    pointed = places.pointed(node.target)
    return pointed.symbol if pointed is not None and pointed.symbol.kind == "resource" else None


def _is_text(node: t.Node | None) -> bool:
    return isinstance(node, t.Interpolation) or isinstance(t.constant(node), str)


def _begins(places: Places, child: t.Node, parent: t.Node | None) -> bool:
    """Whether a name is the other one, a slash, and more."""
    pieces, holes = _parts(child)
    ahead, filled = _parts(parent) if _is_text(parent) else (("", ""), (parent,))
    last = len(ahead) - 1
    if len(pieces) <= last or pieces[:last] != ahead[:last] or not pieces[last].startswith(f"{ahead[last]}/"):
        return False
    return all(map(_same, holes[: len(filled)], filled))


def _parts(node: t.Node | None) -> tuple[tuple[str, ...], tuple[t.Node | None, ...]]:
    if isinstance(node, t.Interpolation):
        return node.pieces, node.holes
    return (str(t.constant(node)),), ()


def _same(one: object, other: object) -> bool:
    """Whether two expressions are written alike."""
    if type(one) is not type(other):
        return False
    if isinstance(one, t.Node):
        return all(map(_same, _parts_of(one), _parts_of(cast("t.Node", other))))
    if isinstance(one, tuple):
        first, second = cast("tuple[object, ...]", one), cast("tuple[object, ...]", other)
        return len(first) == len(second) and all(map(_same, first, second))
    return one == other


def _parts_of(node: t.Node) -> list[object]:
    return [value for name, value in vars(node).items() if name not in _PLACES]


RULES: Mapping[str, Callable[[Places], Iterator[Found]]] = {
    **{rule: _unused(rule) for rule in _UNUSED.values()},
    "use-parent-property": _parents,
    "use-resource-symbol-reference": _symbols,
}
