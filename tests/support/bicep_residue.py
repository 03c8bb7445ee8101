"""Expressions evaluated as far as they can be before a deployment; the rest in one way of writing, to be compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.armlang.copies import expand, repeated
from sidecar.armlang.expression_syntax import Call, Index, Literal, Node, is_expression, parse
from sidecar.armlang.expressions import Deferred, Scope, compute, evaluate
from sidecar.armlang.function_table import function_named
from sidecar.armlang.values import ExpressionError
from sidecar.localcloud.deployments.planning import Plan

# No value before a deployment, beside what reads a resource.
LATER = frozenset(("environment", "deployer", "newguid", "utcnow"))
_NAMED = frozenset(("parameters", "variables", "lambdavariables", "copyindex"))


@dataclass(frozen=True)
class Residue:
    """What is left of an expression, parsed."""

    node: Node

    def __str__(self) -> str:
        return f"[{text_of(self.node)}]"


class Reducer:
    """Evaluates for one plan. `inner` are the outputs of nested deployments by id in lower case, `given` the parameters that
    have no value before the deployment."""

    def __init__(
        self,
        plan: Plan,
        variables: Mapping[str, Any],
        given: Mapping[str, Residue],
        inner: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._plan = plan
        self._given = given
        loops = {loop["name"].lower(): loop for loop in variables.get("copy", [])}
        self._variables = {name.lower(): each for name, each in variables.items() if name != "copy"}
        self._loops = loops
        self._inner = inner

    def leaf(self, value: Any, scope: Scope) -> Any:
        """What takes the place of `evaluate`: a value, or a Residue."""
        if not isinstance(value, str) or not is_expression(value):
            return evaluate(value, scope)
        return _value(self._settled(self.reduce(parse(value), scope)))

    def _settled(self, node: Node) -> Node:
        """What is read of a resource of this plan and stated by the template is known before."""
        keys: list[Any] = []
        read = node
        while isinstance(read, Index) and isinstance(read.key, Literal):
            keys.insert(0, read.key.value)
            read = read.target
        if not isinstance(read, Call) or read.name.lower() != "reference" or len(read.arguments) != 2:
            return node
        target = read.arguments[0]
        planned = self._plan.find(str(target.value)) if isinstance(target, Literal) else None
        if planned is None or planned.existing:
            return node
        value: Any = expand(planned.source.get("properties", {}), planned.scope, self.leaf)
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return node
            value = value[key]
        return _node(value)

    def reduce(self, node: Node, scope: Scope) -> Node:
        if isinstance(node, Literal):
            return node
        if isinstance(node, Index):
            target, key = _node(_value(self.reduce(node.target, scope))), self.reduce(node.key, scope)
            if isinstance(target, Literal) and isinstance(key, Literal):
                return _node(compute(Index(target, key, node.safe), scope))
            return Index(target, key, node.safe)
        name = node.name.lower()
        if name in _NAMED:
            return self._named(node, scope)
        if name == "if":
            condition = self.reduce(node.arguments[0], scope)
            if isinstance(condition, Literal):
                return self.reduce(node.arguments[1 if condition.value is True else 2], scope)
        row = function_named(name)
        lambdas = any(isinstance(each, Call) and each.name.lower() == "lambda" for each in node.arguments)
        if lambdas:
            return _node(compute(node, scope))
        arguments = tuple(self._settled(self.reduce(each, scope)) for each in node.arguments)
        if row and row.where == "runtime":
            return self._read(Call(node.name, arguments))
        if name in LATER:
            return Call(node.name, arguments)
        if name == "coalesce" and isinstance(arguments[0], Literal) and arguments[0].value is not None:
            return arguments[0]
        if all(_whole(each) for each in arguments):
            return _node(compute(Call(node.name, arguments), scope))
        return Call(node.name, arguments)

    def _named(self, node: Call, scope: Scope) -> Node:
        if node.name.lower() == "variables":
            name = str(compute(node.arguments[0], scope)).lower()
            if name in self._loops:
                return _node(repeated(self._loops[name], self._plan.scope, self.leaf))
            return _node(expand(self._variables[name], self._plan.scope, self.leaf))
        stated = node.arguments[0].value if node.arguments and isinstance(node.arguments[0], Literal) else ""
        if node.name.lower() == "parameters" and stated in self._given:
            return self._given[str(stated)].node
        try:
            return _node(compute(node, scope))
        except Deferred as later:
            inner = parse(later.text) if is_expression(later.text) else None
            if not isinstance(inner, Call) or inner == node:
                return node
            return self.reduce(inner, scope)

    def _read(self, call: Call) -> Node:
        """reference() and list*() by id and version; the outputs of a nested deployment are known."""
        target = call.arguments[0]
        if not isinstance(target, Literal):
            return call
        planned = self._plan.find(str(target.value))
        if planned is None:
            return call
        if call.name.lower() == "reference" and planned.key in self._inner:
            return Literal({"outputs": {name: {"value": value} for name, value in self._inner[planned.key].items()}})
        version = call.arguments[1:2] or (Literal(planned.api_version),)
        return Call(call.name, (Literal(planned.id), *version, *call.arguments[2:]))


def _whole(node: Node) -> bool:
    return isinstance(node, Literal) and not _holds_residue(node.value)


def _holds_residue(value: Any) -> bool:
    if isinstance(value, list):
        return any(_holds_residue(each) for each in value)
    if isinstance(value, dict):
        return any(_holds_residue(each) for each in value.values())
    return isinstance(value, Residue)


def _node(value: Any) -> Node:
    return value.node if isinstance(value, Residue) else Literal(value)


def _value(node: Node) -> Any:
    """Arrays and objects that are made around a residue are shown as such."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Call) and node.name.lower() == "createarray":
        return [_value(each) for each in node.arguments]
    if isinstance(node, Call) and node.name.lower() == "createobject" and len(node.arguments) % 2 == 0:
        keys = [_value(each) for each in node.arguments[::2]]
        return dict(zip(map(str, keys), map(_value, node.arguments[1::2]), strict=True))
    return Residue(node)


def text_of(node: Node) -> str:
    """One way of writing for what is the same: names of functions in small letters, values as JSON-like text."""
    if isinstance(node, Literal):
        return _literal(node.value)
    if isinstance(node, Index):
        return f"{text_of(node.target)}{'?' if node.safe else ''}[{text_of(node.key)}]"
    return f"{node.name.lower()}({', '.join(text_of(each) for each in node.arguments)})"


def _literal(value: Any) -> str:
    if isinstance(value, Residue):
        return text_of(value.node)
    if isinstance(value, list):
        return f"createarray({', '.join(_literal(each) for each in value)})"
    if isinstance(value, dict):
        return f"createobject({', '.join(f'{_literal(key)}, {_literal(each)}' for key, each in value.items())})"
    return repr(value)


def comparable(value: Any) -> Any:
    """A snapshot's value with its expressions in that one way of writing; a text that is no expression stays."""
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if isinstance(value, dict):
        return {comparable(str(key)): comparable(each) for key, each in value.items()}
    if isinstance(value, Residue):
        return str(value)
    if isinstance(value, str) and is_expression(value):
        try:
            parsed = _value(_plain(parse(value)))
        except ExpressionError:
            return value  # a text that begins with a bracket
        return value if isinstance(parsed, str) else comparable(parsed)
    return value


def _plain(node: Node) -> Node:
    """true(), null() and their like as the values that they are."""
    if isinstance(node, Index):
        return Index(_plain(node.target), _plain(node.key), node.safe)
    if isinstance(node, Call):
        arguments = tuple(_plain(each) for each in node.arguments)
        constant = node.name.lower() in ("true", "false", "null")
        return _node(compute(node, Scope())) if constant else Call(node.name, arguments)
    return node
