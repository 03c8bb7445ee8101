"""The compiler: a Bicep file and its modules to one ARM template, or all that is wrong with them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import sidecar.armlang.bicep_tree as t
from sidecar.armlang import bicep_types as types
from sidecar.armlang.bicep_bodies import Bodies
from sidecar.armlang.bicep_check import Checker, Taken
from sidecar.armlang.bicep_emit import Json
from sidecar.armlang.bicep_findings import Fault, Reader, Report, Unreadable
from sidecar.armlang.bicep_linter import RULES, lint
from sidecar.armlang.bicep_names import Names, Symbol
from sidecar.armlang.bicep_parser import STATED, parse
from sidecar.armlang.bicep_places import Places
from sidecar.armlang.bicep_rules import Rules, has
from sidecar.armlang.bicep_template import Builder
from sidecar.words.bicep_codes import OUTSIDE
from sidecar.words.refused import Finding, Refused

_DEEPEST = 30
"""Modules within modules."""
_LONGEST = 1_048_576
Levels = Mapping[str, str]
LINTED = frozenset(RULES)
"""The linter's rules that are known here."""


@dataclass(frozen=True)
class Made:
    template: dict[str, Json]
    warnings: tuple[Finding, ...] = ()


def compile_file(name: str, source: str, reader: Reader, levels: Levels | None = None) -> dict[str, Json]:
    """As `made_of`, without the warnings."""
    return made_of(name, source, reader, levels).template


def made_of(name: str, source: str, reader: Reader, levels: Levels | None = None) -> Made:
    """Compiles the file `name` (as messages call it); modules and loaded files come from the reader. Raises Refused.

    `levels`: of the linter's rules, where they are stated: error, warning, off."""
    unit = _Compilation(reader, levels or {}).unit(name, source, ())
    if found := unit.findings():
        raise Refused(list(dict.fromkeys(found)))
    return Made(unit.template(), tuple(dict.fromkeys(unit.warnings())))


@dataclass(frozen=True)
class Statement:
    """A parameter's value, of a parameters file. `at`: of the name."""

    name: str
    node: t.Node
    at: t.Place


@dataclass(frozen=True)
class Statements:
    """`variables`: as a template has them, those of the parameters among them. `using`: the path of the template."""

    using: str
    using_at: t.Place
    stated: tuple[Statement, ...]
    nodes: tuple[t.Node, ...]
    variables: dict[str, Json]


def statements_of(name: str, source: str, reader: Reader) -> Statements:
    """Of a parameters file. Raises Refused."""
    unit = _Compilation(reader, dict.fromkeys(LINTED, "off")).unit(name, source, (), stating=True)
    for symbol in unit.places.late if not unit.findings() else ():
        unit.report.add(symbol.at, OUTSIDE, what="what only a deployment knows, in a parameters file")
    metadata = unit.places.names.values["metadata"]
    if not metadata and not unit.findings():
        unit.report.add(t.Place(1, 1), "BCP261")
    if found := unit.findings():
        raise Refused(list(dict.fromkeys(found)))
    values = [
        each.value for each in unit.places.names.symbols if each.value is not None and each.value.value is not None
    ]
    template = unit.template()
    return Statements(
        using=str(t.constant(metadata[0].value)),
        using_at=metadata[0].at,
        stated=tuple(
            Statement(each.name, each.value, each.at) for each in values if each.type == STATED and each.value
        ),
        nodes=tuple(each.value for each in values if each.value),
        variables=cast("dict[str, Json]", template["variables"]),
    )


@dataclass
class _Unit:
    """One file, read and checked."""

    report: Report
    places: Places
    taken: Taken
    template: Callable[[], dict[str, Json]]
    modules: list[_Unit] = field(default_factory=list["_Unit"])

    def findings(self) -> list[Finding]:
        own = [found for _, found in sorted(self.report.findings.items())]
        return own + [each for one in self.modules for each in one.findings()]

    def warnings(self) -> list[Finding]:
        own = [found for _, found in sorted(self.report.warnings.items())]
        return own + [each for one in self.modules for each in one.warnings()]


class _Compilation:
    """Each file is read once, whoever names it."""

    def __init__(self, reader: Reader, levels: Levels) -> None:
        self._reader = reader
        self._levels = levels
        self._units: dict[str, _Unit] = {}

    def unit(self, name: str, source: str, chain: tuple[str, ...], *, stating: bool = False) -> _Unit:
        """`chain`: the files that lead here. `stating`: it is a parameters file."""
        report = Report(name)
        report.stating = stating
        source = source.removeprefix("\ufeff")
        if len(source) > _LONGEST:
            report.add(t.Place(1, 1), OUTSIDE, what="a file of more than {most} characters", most=_LONGEST)
            source = ""
        declarations, directives = parse(source, report, parameters=stating)
        names = Names(declarations, report)
        modules: dict[Symbol, _Unit] = {}
        folder = posixpath.dirname(name)
        for symbol, thing in names.things():
            if thing.word == "module":
                try:
                    modules[symbol] = self._module(thing, folder, (*chain, name))
                except Fault as fault:
                    report.fault(fault)
        loaded = self._loaded(declarations, names, folder, report)
        taken = {symbol: unit.taken for symbol, unit in modules.items()}
        places = Places(names)
        checker = Checker(names, report, loaded, taken)
        rules = Rules(checker, places)
        rules.of_values()
        Bodies(rules, taken).check()
        lint(places, directives, self._levels, report)
        builder = Builder(places, loaded, taken, {symbol: each.template for symbol, each in modules.items()})

        def template() -> dict[str, Json]:
            try:
                return builder.template()
            except Fault as fault:
                raise Refused([fault.finding(name)]) from fault

        return _Unit(report, places, _taken(names, report), template, list(modules.values()))

    def _module(self, thing: t.Thing, folder: str, chain: tuple[str, ...]) -> _Unit:
        at = thing.kind_at
        if thing.kind.startswith(("br:", "br/", "ts:", "ts/")) or thing.kind.endswith((".json", ".jsonc", ".arm")):
            raise Fault(at, OUTSIDE, what="modules of a registry, and in JSON")
        try:
            path, source = self._reader.module(folder, thing.kind)
        except Unreadable as error:
            raise Fault(at, error.key, **error.args_) from error
        if path in chain:
            raise Fault(at, "BCP095", path=path)
        if len(chain) > _DEEPEST:
            raise Fault(at, OUTSIDE, what="modules more than {most} deep", most=_DEEPEST)
        if path not in self._units:
            self._units[path] = self.unit(path, source, chain)
        return self._units[path]

    def _loaded(
        self, declarations: list[t.Declaration], names: Names, folder: str, report: Report
    ) -> dict[int, object]:
        """What load functions give, by their calls."""
        found: dict[int, object] = {}
        nodes = (node for each in declarations for part in t.expressions_of(each) for node in t.walk(part))
        for call in (each for each in nodes if isinstance(each, t.Call)):
            if not (call.plain and call.function.startswith("load") and call.arguments) or call.function in names.top:
                continue
            given = [_constant(names, each) for each in call.arguments]
            unknown = next((each for each, known in zip(call.arguments, given, strict=True) if known is None), None)
            if unknown is not None:
                key = OUTSIDE if isinstance(unknown, t.Name | t.Interpolation) else "BCP032"
                report.add(unknown.at, key, what="{function} of what is put together", function=call.function)
                continue
            try:
                found[id(call)] = self._reader.load(folder, call.function, [str(each) for each in given])
            except Unreadable as error:
                place = call.arguments[min(error.argument, len(call.arguments) - 1)].at
                report.add(place, error.key, **{"name": call.function, **error.args_})
        return found


def _constant(names: Names, node: t.Node) -> str | None:
    """A text that is written out, here or as a variable."""
    symbol = names.of(node)
    found = t.constant(symbol.value.value if symbol is not None and symbol.kind == "var" and symbol.value else node)
    return found if isinstance(found, str) else None


def _taken(names: Names, report: Report) -> Taken:
    """Of a file that is wrong, the outputs may be more than were read."""
    parameters: dict[str, tuple[types.Type, bool, bool]] = {}
    for each in names.symbols:
        value = each.value
        if value is not None and each.kind in ("param", "broken"):
            wanted = types.named(value.type) if value.type else types.ANY
            optional = value.nullable or value.value is not None or each.kind == "broken"
            wanted = types.union((wanted, types.NULL)) if optional else wanted
            parameters[each.name] = wanted, optional, has(value, "secure")
    outputs = names.values["output"]
    given = types.closed({each.name: types.named(each.type) for each in outputs})
    secure = frozenset(each.name for each in outputs if has(each, "secure"))
    return Taken(parameters, types.ANY if report.findings else given, secure)
