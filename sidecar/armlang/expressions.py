"""The ARM expression language: parses and evaluates the `[…]` strings of a template.

Values are JSON (None, bool, int, float, str, list, dict). An expression is a string that starts with `[` and ends
with `]`; `[[` is an escaped bracket. Function and property names match whatever their case. The plain functions are in
functions.py.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.armlang.functions import FUNCTIONS, ExpressionError, property_of
from sidecar.armlang.values import as_list, as_object

__all__ = [
    "Call",
    "Deferred",
    "ExpressionError",
    "Index",
    "Literal",
    "Node",
    "Scope",
    "calls",
    "compute",
    "evaluate",
    "is_expression",
    "parse",
]

Function = Callable[..., Any]


@dataclass(frozen=True)
class Scope:
    """What names mean where an expression stands: parameters, variables and the functions of the deployment around it.

    `functions` (names in lower case) come before the plain ones: reference, listKeys, resourceGroup, resourceId, ….
    """

    parameters: Callable[[str], Any] | None = None
    variables: Callable[[str], Any] | None = None
    functions: Mapping[str, Function] = field(default_factory=dict[str, Function])
    lambda_variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    copy_index: Mapping[str, int] = field(default_factory=dict[str, int])
    user_functions: Mapping[str, Function] = field(default_factory=dict[str, Function])


class Deferred(Exception):
    """An expression whose value a what-if can't know; `text` is what it shows instead."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True)
class Literal:
    value: Any


@dataclass(frozen=True)
class Call:
    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True)
class Index:
    """`target.name` or `target[expression]`; a safe one (`.?`) gives null where there is no such property."""

    target: "Node"
    key: "Node"
    safe: bool = False


Node = Literal | Call | Index


def is_expression(text: str) -> bool:
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


def evaluate(value: Any, scope: Scope) -> Any:
    """`value` with every expression in it, at any depth, replaced by what it evaluates to."""
    if isinstance(value, str):
        if is_expression(value):
            return compute(parse(value), scope)
        return value[1:] if value.startswith("[[") else value
    if isinstance(value, list):
        return [evaluate(item, scope) for item in as_list(value)]
    if isinstance(value, dict):
        return {evaluate(key, scope): evaluate(item, scope) for key, item in as_object(value).items()}
    return value


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The tree of an expression, given with its brackets. ExpressionError says where it is malformed."""
    parser = _Parser(text[1:-1], text)
    node = parser.expression()
    parser.end()
    return node


def calls(value: Any) -> list[Call]:
    """Every function call in `value`, at any depth: which resources a template's text refers to."""
    if isinstance(value, str):
        return list(_calls_in(parse(value))) if is_expression(value) else []
    if isinstance(value, list):
        return [call for item in as_list(value) for call in calls(item)]
    if isinstance(value, dict):
        return [call for key, item in as_object(value).items() for call in (*calls(key), *calls(item))]
    return []


def _calls_in(node: Node) -> Sequence[Call]:
    if isinstance(node, Call):
        return [node, *(call for argument in node.arguments for call in _calls_in(argument))]
    if isinstance(node, Index):
        return [*_calls_in(node.target), *_calls_in(node.key)]
    return []


def compute(node: Node, scope: Scope) -> Any:
    """The value of a parsed expression."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Index):
        target = compute(node.target, scope)
        if node.safe and target is None:
            return None
        return property_of(target, compute(node.key, scope), "safe" if node.safe else "strict")
    name = node.name.lower()
    if special := _SPECIAL.get(name):
        return special(node.arguments, scope)
    function = scope.functions.get(name) or scope.user_functions.get(name) or FUNCTIONS.get(name)
    if function is None:
        raise ExpressionError(f"The template function '{node.name}' is not valid.")
    arguments = [compute(argument, scope) for argument in node.arguments]
    try:
        return function(*arguments)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as problem:
        raise ExpressionError(f"Unable to evaluate template language function '{node.name}': {problem}.") from problem


def _named(kind: str, arguments: tuple[Node, ...], scope: Scope) -> str:
    if len(arguments) != 1:
        raise ExpressionError(f"The template function '{kind}' expects one argument.")
    name = compute(arguments[0], scope)
    if not isinstance(name, str):
        raise ExpressionError(f"The template function '{kind}' expects its argument to be a string.")
    return name


def _parameters(arguments: tuple[Node, ...], scope: Scope) -> Any:
    name = _named("parameters", arguments, scope)
    if scope.parameters is None:
        raise ExpressionError("The template function 'parameters' is not expected at this location.")
    return scope.parameters(name)


def _variables(arguments: tuple[Node, ...], scope: Scope) -> Any:
    name = _named("variables", arguments, scope)
    if scope.variables is None:
        raise ExpressionError("The template function 'variables' is not expected at this location.")
    return scope.variables(name)


def _lambda_variables(arguments: tuple[Node, ...], scope: Scope) -> Any:
    name = _named("lambdaVariables", arguments, scope)
    if name not in scope.lambda_variables:
        raise ExpressionError(f"The lambda variable '{name}' is not found.")
    return scope.lambda_variables[name]


def _condition(arguments: tuple[Node, ...], scope: Scope) -> Any:
    if len(arguments) != 3:
        raise ExpressionError("The template function 'if' expects three arguments.")
    return compute(arguments[1] if _truth("if", arguments[0], scope) else arguments[2], scope)


def _conjunction(arguments: tuple[Node, ...], scope: Scope) -> bool:
    return all(_truth("and", argument, scope) for argument in arguments)


def _disjunction(arguments: tuple[Node, ...], scope: Scope) -> bool:
    return any(_truth("or", argument, scope) for argument in arguments)


def _coalesce(arguments: tuple[Node, ...], scope: Scope) -> Any:
    return next((value for argument in arguments if (value := compute(argument, scope)) is not None), None)


def _truth(function: str, node: Node, scope: Scope) -> bool:
    value = compute(node, scope)
    if not isinstance(value, bool):
        raise ExpressionError(f"The template function '{function}' expects its parameters to be of type boolean.")
    return value


def _copy_index(arguments: tuple[Node, ...], scope: Scope) -> int:
    values = [compute(argument, scope) for argument in arguments]
    loop = values[0] if values and isinstance(values[0], str) else ""
    offset = next((value for value in values if isinstance(value, int)), 0)
    if loop.lower() not in scope.copy_index:
        raise ExpressionError("The template function 'copyIndex' is not expected at this location.")
    return scope.copy_index[loop.lower()] + offset


def _lambda(name: str, node: Node, scope: Scope) -> Callable[..., Any]:
    """The Python function that an argument of the form `lambda('x', …)` stands for."""
    if not isinstance(node, Call) or node.name.lower() != "lambda" or not node.arguments:
        raise ExpressionError(f"The template function '{name}' expects a lambda.")
    names = [str(compute(argument, scope)) for argument in node.arguments[:-1]]

    def call(*values: Any) -> Any:
        bound = {**scope.lambda_variables, **dict(zip(names, values, strict=False))}
        return compute(node.arguments[-1], replace(scope, lambda_variables=bound))

    # A second lambda variable, where one is declared, receives the index.
    call.takes = len(names)  # pyright: ignore[reportFunctionMemberAccess]
    return call


def _array(name: str, node: Node, scope: Scope) -> list[Any]:
    value = compute(node, scope)
    if not isinstance(value, list):
        raise ExpressionError(f"The template function '{name}' expects its first argument to be an array.")
    return as_list(value)


def _applied(function: Callable[..., Any], values: list[Any]) -> list[Any]:
    takes = getattr(function, "takes", 1)
    return [function(*(value, index)[:takes]) for index, value in enumerate(values)]


def _map(arguments: tuple[Node, ...], scope: Scope) -> list[Any]:
    array, function = arguments
    return _applied(_lambda("map", function, scope), _array("map", array, scope))


def _filter(arguments: tuple[Node, ...], scope: Scope) -> list[Any]:
    array, function = arguments
    values = _array("filter", array, scope)
    kept = _applied(_lambda("filter", function, scope), values)
    return [value for value, keep in zip(values, kept, strict=True) if keep is True]


def _reduce(arguments: tuple[Node, ...], scope: Scope) -> Any:
    array, initial, function = arguments
    call = _lambda("reduce", function, scope)
    total = compute(initial, scope)
    for value in _array("reduce", array, scope):
        total = call(total, value)
    return total


def _sort(arguments: tuple[Node, ...], scope: Scope) -> list[Any]:
    array, function = arguments
    before = _lambda("sort", function, scope)

    def compare(left: Any, right: Any) -> int:
        return -1 if before(left, right) is True else (1 if before(right, left) is True else 0)

    return sorted(_array("sort", array, scope), key=functools.cmp_to_key(compare))


def _to_object(arguments: tuple[Node, ...], scope: Scope) -> dict[str, Any]:
    values = _array("toObject", arguments[0], scope)
    keys = _applied(_lambda("toObject", arguments[1], scope), values)
    made = _applied(_lambda("toObject", arguments[2], scope), values) if len(arguments) > 2 else values
    return dict(zip(keys, made, strict=True))


def _map_values(arguments: tuple[Node, ...], scope: Scope) -> dict[str, Any]:
    function = _lambda("mapValues", arguments[1], scope)
    value = compute(arguments[0], scope)
    return {key: function(item) for key, item in as_object(value).items()}


# Functions whose arguments are not simply evaluated first: they choose, bind names, or read the scope.
_SPECIAL: Mapping[str, Callable[[tuple[Node, ...], Scope], Any]] = {
    "parameters": _parameters,
    "variables": _variables,
    "lambdavariables": _lambda_variables,
    "if": _condition,
    "and": _conjunction,
    "or": _disjunction,
    "coalesce": _coalesce,
    "copyindex": _copy_index,
    "map": _map,
    "filter": _filter,
    "reduce": _reduce,
    "sort": _sort,
    "toobject": _to_object,
    "mapvalues": _map_values,
}

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_][\w]*)|(?P<mark>[()\[\],]|\.\?|\.))"
)
_MARKS = {"(": "LeftParenthesis", ")": "RightParenthesis", "[": "LeftSquareBracket", "]": "RightSquareBracket"}
_TOKENS = {**_MARKS, ",": "Comma", ".": "Dot", "string": "StringLiteral", "number": "Integer", "name": "Identifier"}
_DEEPEST = 200


class _Parser:
    """Reads one expression from left to right."""

    def __init__(self, body: str, whole: str) -> None:
        self._body = body
        self._whole = whole
        self._at = 0
        self._depth = 0

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error("it is nested too deeply")
        node = self._primary()
        while (mark := self._peek("mark")) in ("[", ".", ".?"):
            self._take()
            if mark == "[":
                node = Index(node, self.expression())
                self._expect("]")
            else:
                node = Index(node, Literal(self._name()), safe=mark == ".?")
        self._depth -= 1
        return node

    def end(self) -> None:
        if self._body[self._at :].strip():
            raise self._unexpected("EndOfData")

    def _primary(self) -> Node:
        kind, text = self._take()
        if kind == "string":
            return Literal(text[1:-1].replace("''", "'"))
        if kind == "number":
            return Literal(int(text))
        if kind != "name":
            raise self._error(f"unexpected '{text}' at position {self._at}")
        while self._peek("mark") == ".":  # a user-defined function: namespace.name(…)
            self._take()
            text = f"{text}.{self._name()}"
        self._expect("(")
        arguments: list[Node] = []
        if self._peek("mark") != ")":
            arguments.append(self.expression())
            while self._peek("mark") == ",":
                self._take()
                arguments.append(self.expression())
        self._expect(")")
        return Call(text, tuple(arguments))

    def _name(self) -> str:
        kind, text = self._take()
        if kind != "name":
            raise self._error(f"a name is expected at position {self._at}")
        return text

    def _expect(self, mark: str) -> None:
        if self._peek("mark") != mark:
            raise self._unexpected(_MARKS[mark])
        self._take()

    def _peek(self, kind: str) -> str | None:
        found = _TOKEN.match(self._body, self._at)
        return found.group(kind) if found else None

    def _take(self) -> tuple[str, str]:
        found = _TOKEN.match(self._body, self._at)
        if not found or found.lastgroup is None:
            raise self._error(f"a value is expected at position {self._at + 1}")
        self._at = found.end()
        return found.lastgroup, found.group(found.lastgroup)

    def _unexpected(self, wanted: str) -> ExpressionError:
        """ARM's sentence, with ARM's names of tokens."""
        if not self._body[self._at :].strip():
            actual = "EndOfData"
        elif found := _TOKEN.match(self._body, self._at):
            actual = _TOKENS[found[0].strip()[:1] if found.lastgroup == "mark" else str(found.lastgroup)]
        else:
            return self._error(f"unexpected characters at position {self._at + 1}")
        return ExpressionError(
            f"Unable to parse language expression '{self._body}': expected token '{wanted}' and actual '{actual}'."
        )

    def _error(self, reason: str) -> ExpressionError:
        return ExpressionError(f"The template language expression '{self._whole}' is not valid: {reason}.")
