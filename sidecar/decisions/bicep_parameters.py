"""What the template would refuse of a parameters file in Bicep's language: where, why, and what would mend it. Pure.

The codes are Microsoft's where that compiler says the same: what its extension shows at a line is not told there twice."""

from __future__ import annotations

import re
from typing import cast

from sidecar.armlang.bicep_params import ParametersFile, Stated
from sidecar.core.deployment import Template, VaultSecret
from sidecar.core.located import Span, span_at
from sidecar.core.masking import Mask
from sidecar.core.parameter_forms import wrong_form
from sidecar.decisions.editor_findings import BY_PARAMETER, Finding, Fix, allowed, meant_as, not_taken, type_of
from sidecar.decisions.stated_parameters import SET_BY_US, misstated, with_documented_defaults, without_value
from sidecar.words.text import Text

UNKNOWN, MISTYPED, MISSING = "BCP259", "BCP033", "BCP258"
_VALUE = re.compile(r"[ \t]*=[ \t]*")
_LITERAL = re.compile(r"'(?:[^'\\\n]|\\.)*'|-?\d+|true\b|false\b|null\b")


def of_bicep_parameters(text: str, made: ParametersFile, template: Template) -> list[Finding]:
    """In the order of their places. What is made of the environment's variables is in no sentence."""
    stated = {each.name: _stated(each) for each in made.stated if each.reference is not None or each.value is not None}
    whole = with_documented_defaults(template, stated)
    mask = Mask({each.name: each.variables for each in made.stated if each.variables}, stated)
    refused = {each.name: each for each in misstated(whole, stated)}
    found: list[Finding] = []
    for each in made.stated:
        said = refused.get(each.name)
        if said is not None and said.code == "InvalidTemplateParameter":
            name = _name(text, each)
            fixes = () if said.near is None else (_change(name, said.near, sure=True),)
            found.append(Finding(name, UNKNOWN, said.sentence, fixes=fixes))
        elif said is not None:
            value = _value(text, each)
            meant = meant_as(each.value, type_of(whole, each.name)) if _is_literal(text, value, each.value) else None
            fixes = () if meant is None else (_change(value, literal(meant), sure=True),)
            found.append(Finding(value, MISTYPED, mask.text(said.sentence), fixes=fixes))
        elif each.reference is None:
            found += _of_value(text, each, mask)
    missing = without_value(whole, stated, SET_BY_US)
    if missing:
        told = Text(
            "The template's parameters {names} have no default, and no value is stated.", names=", ".join(missing)
        )
        found.append(Finding(using_of(text, made), MISSING, told))
    return sorted(found, key=lambda each: each.place)


def using_of(text: str, made: ParametersFile) -> Span:
    """The path of the template."""
    line = span_at(text, made.using_line, 1, 0).start
    path = _LITERAL.search(text, line)
    return Span(line, line + 1) if path is None else Span(*path.span())


def literal(value: object) -> str:
    """As Bicep writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${").replace("\n", "\\n")
        return f"'{escaped}'"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, cast('list[object]', value)))}]"
    return str(value)


def _stated(each: Stated) -> object:
    return each.value if each.reference is None else VaultSecret(each.reference, "")


def _of_value(text: str, stated: Stated, mask: Mask) -> list[Finding]:
    value, place, rule = stated.value, _value(text, stated), BY_PARAMETER.get(stated.name.lower())
    nothing = Fix(Text("Write null: the default"), place, "null")
    wrong = None if stated.variables else wrong_form(stated.name, {"value": value})
    if wrong is not None:
        return [Finding(place, wrong[0], wrong[1], fixes=(nothing,))]
    if not isinstance(value, str) or (sentence := not_taken(value, rule)) is None or rule is None:
        return []
    fixes: tuple[Fix, ...] = ()
    if _is_literal(text, place, value):
        near = allowed(value, rule)
        fixes = (nothing,) if near is None else (_change(place, literal(near)), nothing)
    return [Finding(place, "InvalidResourceName", mask.text(sentence), fixes=fixes)]


def _name(text: str, stated: Stated) -> Span:
    return span_at(text, stated.line, stated.column, len(stated.name))


def _value(text: str, stated: Stated) -> Span:
    """What stands behind the equals sign: the literal, or all of the line."""
    start = _name(text, stated).end
    equals = _VALUE.match(text, start)
    start = start if equals is None else equals.end()
    written = _LITERAL.match(text, start)
    end = re.compile(r"[ \t]*(?://.*)?$", re.MULTILINE)
    if written is not None and end.match(text, written.end()):
        return Span(*written.span())
    rest = text[start:].splitlines()
    return Span(start, start + len(rest[0].rstrip()) if rest else start)


def _is_literal(text: str, place: Span, value: object) -> bool:
    return text[place.start : place.end] == literal(value)


def _change(place: Span, text: str, *, sure: bool = False) -> Fix:
    return Fix(Text("Change it to {name}", name=text), place, text, sure=sure)
