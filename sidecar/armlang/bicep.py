"""The subset compiler: Bicep to an ARM template (languageVersion 2.0); what lies outside the subset is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TypeVar

from sidecar.armlang.bicep_findings import Finding, Reader, Refused
from sidecar.armlang.bicep_syntax import parse, refuse
from sidecar.armlang.bicep_tree import (
    ArrayOf,
    Binary,
    Call,
    Declaration,
    Expression,
    Index,
    Interpolation,
    Literal,
    Member,
    Metadata,
    Name,
    ObjectOf,
    Output,
    Parameter,
    Resource,
    Ternary,
    Unary,
    Variable,
)
from sidecar.words.errors import TemplateError

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_Declared = TypeVar("_Declared", Parameter, Variable, Resource)
Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

_OPERATORS = {
    "??": "coalesce",
    "||": "or",
    "&&": "and",
    "==": "equals",
    "<": "less",
    "<=": "lessOrEquals",
    ">": "greater",
    ">=": "greaterOrEquals",
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "%": "mod",
}
_NOT_FUNCTIONS = {
    "loadTextContent",
    "loadFileAsBase64",
    "loadJsonContent",
    "loadYamlContent",
    "map",
    "filter",
    "reduce",
}


def compile_bicep(source: str) -> dict[str, Json]:
    """Compiles one file. The result's metadata holds the sha256 of the normalised source and of its own content."""
    declarations = parse(normalise(source))
    template = _Compiler(declarations).template()
    return stamped(template, source)


def compile_file(name: str, source: str, reader: Reader) -> dict[str, Json]:
    """Compiles the file `name` (as messages call it); modules and loaded files come from the reader. Raises Refused."""
    del reader  # modules and loaded files are outside the subset so far
    try:
        return compile_bicep(source)
    except TemplateError as error:
        line = next((int(value) for key, value in error.message.args if key == "line"), 1)
        raise Refused([Finding(line, 1, None, error.message, "outside", name)]) from error


def normalise(source: str) -> str:
    """The text that the stamp is made of: no byte-order mark, LF line ends."""
    return source.removeprefix("\ufeff").replace("\r\n", "\n")


def stamped(template: dict[str, Json], source: str) -> dict[str, Json]:
    """The template with a stamp of the source and of its content, so that a hand-made edit of either shows."""
    stamp: dict[str, Json] = {"sourceSha256": source_digest(source), "contentSha256": content_digest(template)}
    metadata = template.get("metadata")
    named: dict[str, Json] = dict(metadata) if isinstance(metadata, dict) else {}
    return {
        "$schema": template["$schema"],
        "languageVersion": template["languageVersion"],
        "contentVersion": template["contentVersion"],
        "metadata": {**named, "slipway": stamp},
        **{key: value for key, value in template.items() if key in ("parameters", "variables", "resources", "outputs")},
    }


def source_digest(source: str) -> str:
    return hashlib.sha256(normalise(source).encode()).hexdigest()


def content_digest(template: Mapping[str, object]) -> str:
    """sha256 over everything but the metadata."""
    content = {key: value for key, value in template.items() if key != "metadata"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class _Compiler:
    """One file's names, and the translation of its expressions."""

    def __init__(self, declarations: tuple[Declaration, ...]) -> None:
        self._declarations = declarations
        self._parameters = self._named(Parameter)
        self._variables = self._named(Variable)
        self._resources = self._named(Resource)
        spaces = [*self._parameters, *self._variables, *self._resources]
        for name in spaces:
            if spaces.count(name) > 1:
                raise refuse(self._named_line(name), f"{name!r} is declared twice")

    def template(self) -> dict[str, Json]:
        metadata = {each.name: self.value(each.value) for each in self._declarations if isinstance(each, Metadata)}
        outputs = [each for each in self._declarations if isinstance(each, Output)]
        return {
            "$schema": SCHEMA,
            "languageVersion": "2.0",
            "contentVersion": "1.0.0.0",
            "metadata": metadata,
            "parameters": {name: self._parameter(each) for name, each in self._parameters.items()},
            "variables": {name: self.value(each.value) for name, each in self._variables.items()},
            "resources": {name: self._resource(each) for name, each in self._resources.items()},
            "outputs": {each.name: {"type": each.type, "value": self.value(each.value)} for each in outputs},
        }

    def _named(self, kind: type[_Declared]) -> dict[str, _Declared]:
        return {each.name: each for each in self._declarations if isinstance(each, kind)}

    def _named_line(self, name: str) -> int:
        return max(each.line for each in self._declarations if each.name == name)

    def _parameter(self, parameter: Parameter) -> dict[str, Json]:
        kind = parameter.type
        made: dict[str, Json] = {}
        for decorator in parameter.decorators:
            match decorator.name:
                case "description":
                    made["metadata"] = {"description": self.value(decorator.arguments[0])}
                case "secure":
                    kind = {"string": "securestring", "object": "secureObject"}.get(kind, kind)
                case "allowed":
                    made["allowedValues"] = self.value(decorator.arguments[0])
                case "minValue" | "maxValue" | "minLength" | "maxLength" | "metadata":
                    made[decorator.name] = self.value(decorator.arguments[0])
                case _:
                    raise refuse(decorator.line, f"the decorator @{decorator.name} is outside the subset")
        nullable: dict[str, Json] = {"nullable": True} if parameter.nullable else {}
        default: dict[str, Json] = {} if parameter.default is None else {"defaultValue": self.value(parameter.default)}
        return {"type": kind, **nullable, **default, **made}

    def _resource(self, resource: Resource) -> dict[str, Json]:
        entries = dict(resource.body.entries)
        explicit = entries.pop("dependsOn", None)
        entries.pop("parent", None)
        entries.pop("scope", None)
        if "scope" in dict(resource.body.entries):
            raise refuse(resource.line, "a resource's `scope` is outside the subset")
        made: dict[str, Json] = {}
        if resource.existing:
            made["existing"] = True
        if resource.condition is not None:
            made["condition"] = self.value(resource.condition)
        made |= {
            "type": resource.type,
            "apiVersion": resource.api_version,
            "name": f"[{self._resource_name(resource)}]",
        }
        if isinstance(entries.get("name"), Literal) and "parent" not in dict(resource.body.entries):
            made["name"] = self.value(entries["name"])
        made |= {key: self.value(each) for key, each in entries.items() if key != "name"}
        needed = self._needed(resource, explicit)
        if needed and not resource.existing:
            made["dependsOn"] = list[Json](sorted(needed))
        return made

    def _needed(self, resource: Resource, explicit: Expression | None) -> set[str]:
        """The resources that this one mentions, in its body or through variables, and those that it lists."""
        mentioned = set(self._mentions(resource.body, set()))
        if resource.condition is not None:
            mentioned |= set(self._mentions(resource.condition, set()))
        if explicit is not None:
            if not isinstance(explicit, ArrayOf):
                raise refuse(resource.line, "dependsOn must be a list of resource names")
            mentioned |= {each.name for each in explicit.items if isinstance(each, Name)}
        return {name for name in mentioned - {resource.name} if not self._resources[name].existing}

    def _mentions(self, expression: Expression, seen: set[str]) -> Iterable[str]:
        match expression:
            case Name(name):
                if name in self._resources:
                    yield name
                elif name in self._variables and name not in seen:
                    yield from self._mentions(self._variables[name].value, seen | {name})
            case _:
                for child in _children(expression):
                    yield from self._mentions(child, seen)

    def _resource_name(self, resource: Resource) -> str:
        """The ARM expression of the whole name, parents included."""
        segments = self._segments(resource)
        if len(segments) == 1:
            return segments[0]
        holes = "/".join(f"{{{index}}}" for index in range(len(segments)))
        return f"format('{holes}', {', '.join(segments)})"

    def _segments(self, resource: Resource) -> list[str]:
        entries = dict(resource.body.entries)
        if "name" not in entries:
            raise refuse(resource.line, f"the resource {resource.name!r} has no name")
        own = self.code(entries["name"])
        parent = entries.get("parent")
        if parent is None:
            return [own]
        if not (isinstance(parent, Name) and parent.name in self._resources):
            raise refuse(resource.line, "`parent` must name a resource of this file")
        return [*self._segments(self._resources[parent.name]), own]

    def _resource_id(self, resource: Resource, line: int) -> str:
        segments = self._segments(resource)
        kinds = resource.type.split("/")[1:]
        if len(segments) == len(kinds):
            return f"resourceId({_quoted(resource.type)}, {', '.join(segments)})"
        name = dict(resource.body.entries)["name"]
        if len(segments) == 1 and isinstance(name, Interpolation | Literal):
            split = _split_name(name, line)
            if len(split) == len(kinds):
                return f"resourceId({_quoted(resource.type)}, {', '.join(self.code(each) for each in split)})"
        raise refuse(line, f"the id of {resource.name!r} can't be made from its name")

    def value(self, expression: Expression) -> Json:
        """As JSON: objects, lists and plain values stay what they are, everything else becomes an `[expression]`."""
        match expression:
            case Literal(str() as text):
                return f"[{text}" if text.startswith("[") and text.endswith("]") else text
            case Literal(plain):
                return plain
            case ArrayOf(items):
                return [self.value(each) for each in items]
            case ObjectOf(entries):
                return {key: self.value(each) for key, each in entries}
            case Unary("-", Literal(int() as number)):
                return -number
            case _:
                return f"[{self.code(expression)}]"

    def code(self, expression: Expression) -> str:
        """As the inside of an ARM expression."""
        match expression:
            case Literal(str() as text):
                return _quoted(text)
            case Literal(bool() as truth):
                return "true()" if truth else "false()"
            case Literal(None):
                return "null()"
            case Literal(number):
                return str(number)
            case Interpolation(pieces, holes):
                return self._format(pieces, holes)
            case ArrayOf(items):
                return f"createArray({', '.join(self.code(each) for each in items)})"
            case ObjectOf(entries):
                return f"createObject({', '.join(f'{_quoted(key)}, {self.code(each)}' for key, each in entries)})"
            case Name(name, line):
                return self._name(name, line)
            case Call():
                return self._call(expression)
            case Member():
                return self._member(expression)
            case Index(target, index):
                return f"{self.code(target)}[{self.code(index)}]"
            case Unary("!", operand):
                return f"not({self.code(operand)})"
            case Unary(_, operand):
                return f"sub(0, {self.code(operand)})"
            case Binary(operator, left, right, line):
                return self._binary(operator, self.code(left), self.code(right), line)
            case Ternary(condition, yes, no):
                return f"if({self.code(condition)}, {self.code(yes)}, {self.code(no)})"

    def _format(self, pieces: tuple[str, ...], holes: tuple[Expression, ...]) -> str:
        escaped = [piece.replace("{", "{{").replace("}", "}}") for piece in pieces]
        text = escaped[0] + "".join(f"{{{index}}}{piece}" for index, piece in enumerate(escaped[1:]))
        return f"format({_quoted(text)}, {', '.join(self.code(each) for each in holes)})"

    def _name(self, name: str, line: int) -> str:
        if name in self._parameters:
            return f"parameters({_quoted(name)})"
        if name in self._variables:
            return f"variables({_quoted(name)})"
        if name in self._resources:
            raise refuse(
                line, f"the resource {name!r} as a whole value is outside the subset: name one of its properties"
            )
        raise refuse(line, f"{name!r} is not declared")

    def _binary(self, operator: str, left: str, right: str, line: int) -> str:
        if operator == "!=":
            return f"not(equals({left}, {right}))"
        if operator in ("=~", "!~"):
            same = f"equals(toLower({left}), toLower({right}))"
            return same if operator == "=~" else f"not({same})"
        return f"{_OPERATORS[operator]}({left}, {right})"

    def _call(self, call: Call) -> str:
        arguments = ", ".join(self.code(each) for each in call.arguments)
        target = call.target
        if target is None or (isinstance(target, Name) and target.name in ("az", "sys")):
            if call.function in _NOT_FUNCTIONS or call.function.startswith("load"):
                raise refuse(call.line, f"{call.function}() is outside the subset")
            return f"{call.function}({arguments})"
        if isinstance(target, Name) and target.name in self._resources and call.function.startswith("list"):
            version = _quoted(self._resources[target.name].api_version)
            rest = f", {arguments}" if arguments else ""
            return f"{call.function}({_quoted(target.name)}, {rest.removeprefix(', ') or version})"
        raise refuse(call.line, f"the method {call.function}() is outside the subset")

    def _member(self, member: Member) -> str:
        target = member.target
        if isinstance(target, Name) and target.name in self._resources:
            resource = self._resources[target.name]
            match member.name:
                case "id":
                    return self._resource_id(resource, member.line)
                case "name":
                    return self._segments(resource)[-1]
                case "type":
                    return _quoted(resource.type)
                case "apiVersion":
                    return _quoted(resource.api_version)
                case "properties":
                    return f"reference({_quoted(resource.name)})"
                case _:
                    version = _quoted(resource.api_version)
                    return f"reference({_quoted(resource.name)}, {version}, 'full').{member.name}"
        if member.safe:
            return f"tryGet({self.code(target)}, {_quoted(member.name)})"
        return f"{self.code(target)}.{member.name}"


def _children(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Interpolation(_, holes):
            return holes
        case ArrayOf(items):
            return items
        case ObjectOf(entries):
            return tuple(each for _, each in entries)
        case Call(target, _, arguments):
            return arguments if target is None else (target, *arguments)
        case Member(target):
            return (target,)
        case Index(target, index):
            return (target, index)
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Ternary(condition, yes, no):
            return (condition, yes, no)
        case _:
            return ()


def _split_name(name: Interpolation | Literal, line: int) -> list[Expression]:
    """`'${a}/default/${b}'` as its segments."""
    parts: list[list[str | Expression]] = [[]]
    pieces = name.pieces if isinstance(name, Interpolation) else (str(name.value),)
    holes = name.holes if isinstance(name, Interpolation) else ()
    for index, piece in enumerate(pieces):
        first, *others = piece.split("/")
        parts[-1].append(first)
        parts.extend([other] for other in others)
        if index < len(holes):
            parts[-1].append(holes[index])
    return [_joined([each for each in part if each != ""], line) for part in parts]


def _joined(part: list[str | Expression], line: int) -> Expression:
    if len(part) == 1:
        return Literal(part[0], line) if isinstance(part[0], str) else part[0]
    pieces, holes = [""], list[Expression]()
    for each in part:
        if isinstance(each, str):
            pieces[-1] += each
        else:
            holes.append(each)
            pieces.append("")
    return Interpolation(tuple(pieces), tuple(holes), line)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
