"""The ARM expression language: evaluates the `[…]` strings of a template.

Values are JSON (None, bool, int, float, str, list, dict). Function and property names match whatever their case. The plain
functions are in functions.py; what they take is in function_table.py.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.armlang.argument_types import SEE, check_arguments, not_valid, unhandled
from sidecar.armlang.collection_functions import property_of, unique_names
from sidecar.armlang.expression_syntax import Call, Index, Literal, Node, is_expression, parse
from sidecar.armlang.function_table import TABLE, arity_problem, function_named
from sidecar.armlang.functions import FUNCTIONS, refusal
from sidecar.armlang.values import ExpressionError, NotKnownHere, unknown
from sidecar.dotnet.errors import Malformed, NotKnown
from sidecar.dotnet.json_values import as_list, as_object, kind_of
from sidecar.dotnet.text import paired, upper

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

    def lambda_variable(self, name: str) -> Any:
        if name not in self.lambda_variables:
            raise ExpressionError(f"The lambda variable '{name}' is not found.")
        return self.lambda_variables[name]


class Deferred(Exception):
    """An expression whose value a what-if can't know; `text` is what it shows instead."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


Special = Callable[[tuple[Node, ...], Scope], Any]


def evaluate(value: Any, scope: Scope) -> Any:
    """`value` with every expression in it, at any depth, replaced by what it evaluates to."""
    if isinstance(value, str):
        if is_expression(value):
            return compute(parse(value), scope)
        return value[1:] if value.startswith("[[") else value
    if isinstance(value, list):
        return [evaluate(item, scope) for item in as_list(value)]
    if isinstance(value, dict):
        return named((key, evaluate(key, scope), evaluate(item, scope)) for key, item in as_object(value).items())
    return value


def named(entries: Iterable[tuple[str, Any, Any]]) -> dict[str, Any]:
    """An object of (name as written, name, value): names that are computed must be texts, and each another one."""
    made = list(entries)
    strange = next((name for _, name, _ in made if not isinstance(name, str)), "")
    if strange != "":
        wanted = "The name of a property must be of type 'String'"
        raise ExpressionError(f"{wanted}, and one is of type '{kind_of(strange)}'.")
    pairs = [(name, value) for _, name, value in made]
    return unique_names(pairs) if any(is_expression(written) for written, _, _ in made) else dict(pairs)


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
    row = function_named(name)
    if row and row.made == "compiler":
        row = None
    if row and (problem := arity_problem(node.name, len(node.arguments), row.in_templates)):
        raise ExpressionError(problem)
    if special := SPECIAL.get(name):
        return special(node.arguments, scope)
    function = scope.functions.get(name) or scope.user_functions.get(name) or FUNCTIONS.get(name)
    if function is None and row is None:
        raise ExpressionError(f"The template function '{node.name}' is not valid. {SEE}")
    if function is None:
        raise unknown(f"the function '{node.name}' here")
    arguments = [compute(argument, scope) for argument in node.arguments]
    if row:
        check_arguments(row, arguments)
    try:
        result = function(*arguments)
    except NotKnown as problem:
        raise unknown(str(problem)) from problem
    except Malformed as problem:
        raise refusal(row.name if row else node.name, arguments, problem) from problem
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as problem:
        raise unhandled(node.name) from problem
    return paired(result) if isinstance(result, str) else result


def _reading(kind: str, of: Callable[[Scope], Callable[[str], Any] | None]) -> Special:
    """A function that looks a name up in the scope."""

    def read(arguments: tuple[Node, ...], scope: Scope) -> Any:
        name, known = compute(arguments[0], scope), of(scope)
        if not isinstance(name, str):
            raise ExpressionError(f"The template function '{kind}' expects its argument to be a string.")
        if known is None:
            raise ExpressionError(f"The template function '{kind}' is not expected at this location.")
        return known(name)

    return read


def _truth(function: str, node: Node, scope: Scope) -> bool:
    value = compute(node, scope)
    if not isinstance(value, bool):
        raise not_valid(function, "arguments should be of type 'boolean'")
    return value


def _copy_index(arguments: tuple[Node, ...], scope: Scope) -> int:
    values = [compute(argument, scope) for argument in arguments]
    loop = values.pop(0) if values and isinstance(values[0], str) else ""
    offset = values[0] if values else 0
    if loop.lower() not in scope.copy_index or type(offset) is not int:
        raise ExpressionError("The template function 'copyIndex' is not expected at this location.")
    return scope.copy_index[loop.lower()] + offset


@dataclass(frozen=True)
class _Lambda:
    """What an argument of the form `lambda('x', …)` stands for."""

    function: str
    names: tuple[str, ...]
    body: Node
    scope: Scope

    def __call__(self, *values: Any) -> Any:
        bound = {**self.scope.lambda_variables, **dict(zip(self.names, values, strict=False))}
        return compute(self.body, replace(self.scope, lambda_variables=bound))

    def over(self, values: list[Any], wanted: str = "") -> list[Any]:
        """Applied to each value, and where it names a second one to its index; each result of the type `wanted`."""
        made: list[Any] = []
        for index, value in enumerate(values):
            result = self(*(value, index)[: len(self.names)])
            if wanted and kind_of(result) != wanted:
                raise ExpressionError(
                    f"The lambda expression provided to language function '{self.function}' is expected to return a value of "
                    f"type '{wanted}', but evaluation on the input element at position {index} returned a value of type "
                    f"'{kind_of(result)}'. {SEE}"
                )
            made.append(result)
        return made


def _lambda(name: str, node: Node, scope: Scope) -> _Lambda:
    if not isinstance(node, Call) or node.name.lower() != "lambda" or not node.arguments:
        raise ExpressionError(f"The template function '{name}' expects a lambda.")
    names = tuple(str(compute(argument, scope)) for argument in node.arguments[:-1])
    return _Lambda(name, names, node.arguments[-1], scope)


def _over(name: str, function: Function) -> Special:
    """A function of a collection: what its row calls a lambda stays one, everything else is evaluated."""
    row = TABLE[name.lower()]

    def special(arguments: tuple[Node, ...], scope: Scope) -> Any:
        values = compute(arguments[0], scope)
        check_arguments(row, [values])
        rest = enumerate(arguments[1:], 1)
        given = [(_lambda(name, each, scope) if at in lambdas else compute(each, scope)) for at, each in rest]
        return function(values, *given)

    lambdas = [at for at, each in enumerate(row.signatures[0].parameters) if each.lambda_]
    return special


def _map(values: list[Any], function: _Lambda) -> list[Any]:
    return function.over(values)


def _filter(values: list[Any], keeps: _Lambda) -> list[Any]:
    return [value for value, keep in zip(values, keeps.over(values, "Boolean"), strict=True) if keep]


def _reduce(values: list[Any], total: Any, call: _Lambda) -> Any:
    for index, value in enumerate(values):
        total = call(*(total, value, index)[: len(call.names)])
    return total


def _sort(values: list[Any], before: _Lambda) -> list[Any]:
    def holds(left: Any, right: Any) -> bool:
        try:
            result = before(left, right)
        except ExpressionError as problem:
            if isinstance(problem, NotKnownHere):
                raise
            raise unhandled("sort") from problem
        if not isinstance(result, bool):
            raise unhandled("sort")
        return result

    # What is before each other, or neither, stays as it was.
    return sorted(values, key=functools.cmp_to_key(lambda left, right: holds(right, left) - holds(left, right)))


def _to_object(values: list[Any], key_of: _Lambda, made_of: _Lambda | None = None) -> dict[str, Any]:
    keys = key_of.over(values, "String")
    seen: dict[str, str] = {}
    for key in keys:
        if upper(key) in seen:
            what = f"of function 'toObject' returned a duplicate key '{seen[upper(key)]}'."
            raise ExpressionError(
                f"The lambda expression parameter at index '1' {what} Object keys must be strings that are case-insensitively "
                f"unique. {SEE}"
            )
        seen[upper(key)] = key
    return dict(zip(keys, made_of.over(values) if made_of else values, strict=True))


def _group_by(values: list[Any], key_of: _Lambda, made_of: _Lambda | None = None) -> dict[str, Any]:
    spelt: dict[str, str] = {}
    groups: dict[str, list[Any]] = {}
    for key, value in zip(key_of.over(values, "String"), made_of.over(values) if made_of else values, strict=True):
        groups.setdefault(spelt.setdefault(upper(key), key), []).append(value)
    return groups


def _map_values(value: dict[str, Any], function: _Lambda) -> dict[str, Any]:
    return {key: function(item) for key, item in value.items()}


# Functions whose arguments are not simply evaluated first: they choose, bind names, or read the scope.
SPECIAL: Mapping[str, Special] = {
    "parameters": _reading("parameters", lambda scope: scope.parameters),
    "variables": _reading("variables", lambda scope: scope.variables),
    "lambdavariables": _reading("lambdaVariables", lambda scope: scope.lambda_variable),
    "if": lambda given, scope: compute(given[1] if _truth("if", given[0], scope) else given[2], scope),
    "and": lambda given, scope: all(_truth("and", each, scope) for each in given),
    "or": lambda given, scope: any(_truth("or", each, scope) for each in given),
    "coalesce": lambda given, scope: next((it for each in given if (it := compute(each, scope)) is not None), None),
    "copyindex": _copy_index,
    "map": _over("map", _map),
    "filter": _over("filter", _filter),
    "reduce": _over("reduce", _reduce),
    "sort": _over("sort", _sort),
    "toobject": _over("toObject", _to_object),
    "groupby": _over("groupBy", _group_by),
    "mapvalues": _over("mapValues", _map_values),
}
