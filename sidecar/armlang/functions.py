"""What the plain functions do: conversions, numbers and comparison here, others in their files under the table's names."""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

from sidecar.armlang import collection_functions, dates, text_functions
from sidecar.armlang.argument_types import SEE, none_of, not_valid, refused, unhandled, wrong_type
from sidecar.armlang.function_table import TABLE
from sidecar.armlang.values import ExpressionError, unknown
from sidecar.dotnet import networks, ordering, uris
from sidecar.dotnet.composite import format_text
from sidecar.dotnet.dates import seconds_of
from sidecar.dotnet.digests import guid, unique_string
from sidecar.dotnet.errors import Malformed
from sidecar.dotnet.json_texts import json_text, read_json, text_of
from sidecar.dotnet.json_values import as_list, distinct, kind_of, same
from sidecar.dotnet.numbers import read_float, read_integer
from sidecar.dotnet.text import LARGEST, base64_text, lower, of_base64, trim, upper


def _array(value: Any) -> list[Any]:
    return as_list(value) if isinstance(value, list) else [value]


def _concat(*values: Any) -> Any:
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in as_list(value)]
    if all(type(value) in (str, int, bool) for value in values):
        return "".join(text_of(value) for value in values)
    raise ExpressionError(
        "The provided parameters for language function 'concat' are invalid. Either all or none of the parameters must be an "
        "array. Please see https://aka.ms/arm-function-concat for usage details."
    )


def _string(value: Any) -> str:
    if type(value) in (str, int, bool):
        return text_of(value)
    if isinstance(value, list | dict):
        return json_text(value)
    raise none_of("string", "Integer, String, Boolean, Object, Array", value)


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    if not isinstance(value, str):
        raise none_of("int", "Integer, String", value)
    return read_integer(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, int | float):
        return value != 0
    word = lower(trim(value)) if isinstance(value, str) else ""
    if word not in ("true", "false"):
        raise refusal("bool")
    return word == "true"


def _float(value: Any) -> float:
    if type(value) in (int, float):
        return float(value)
    if isinstance(value, str):
        return read_float(value)
    raise refusal("float")


def _whole(name: str, compute: Callable[[int, int], int]) -> Callable[[int, int], int]:
    """Arithmetic of 64 bits."""

    def function(left: int, right: int) -> int:
        result = compute(left, right)
        if -LARGEST - 1 <= result <= LARGEST:
            return result
        if name in ("div", "mod"):
            raise unhandled(name)
        raise refused(name, f"overflowed with the operants '{left}' and '{right}'.")

    return function


def _divided(name: str, left: int, right: int) -> int:
    if right == 0:
        raise refused(name, "tried to divide by zero.")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: int, right: int) -> int:
    quotient = _divided("mod", left, right)
    if quotient > LARGEST:
        raise unhandled("mod")
    return left - quotient * right


def _extreme(name: str, choose: Callable[..., Any]) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        numbers = as_list(values[0]) if len(values) == 1 and isinstance(values[0], list) else list(values)
        if not numbers:
            raise ExpressionError(
                f"Unable to evaluate template language function '{name}'. At least one parameter should be provided. {SEE}"
            )
        if not all(type(each) in (int, float) for each in numbers):
            raise not_valid(name, "function arguments should be of numeric types")
        if len({kind_of(each) for each in numbers}) > 1:
            raise unknown(f"what {name}() makes of whole numbers and floating ones together")
        return choose(numbers)

    return function


def _comparison(name: str, holds: Callable[[int], bool]) -> Callable[[Any, Any], bool]:
    def function(left: Any, right: Any) -> bool:
        if isinstance(left, str) or isinstance(right, str):
            for place, value in enumerate((left, right)):
                if not isinstance(value, str):
                    raise wrong_type(name, place, "String", value)
            return holds(ordering.compare(left, right))
        if not all(type(value) in (int, float) for value in (left, right)):
            raise not_valid(name, "function arguments should be of numeric types")
        return holds((left > right) - (left < right)) and left == left and right == right

    return function


def _base64_to_json(text: str) -> Any:
    inner = of_base64(text)
    try:
        return read_json(inner)
    except Malformed as problem:
        raise refusal("json") from problem


def _fail(message: str) -> Any:
    raise ExpressionError(message, "UserDefinedFailure")


def _named(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """A module's functions that the table names: theirs is its name, with underscores."""
    own = {each.__name__.replace("_", ""): each for each in vars(module).values() if isinstance(each, FunctionType)}
    return {name: each for name, each in own.items() if name in TABLE and each.__module__ == module.__name__}


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **_named(collection_functions),
    **_named(dates),
    **_named(text_functions),
    "add": _whole("add", lambda left, right: left + right),
    "array": _array,
    "base64": base64_text,
    "base64tojson": _base64_to_json,
    "base64tostring": of_base64,
    "bool": _boolean,
    "builduri": uris.built,
    "cidrhost": networks.host,
    "cidrsubnet": networks.subnet,
    "concat": _concat,
    "datetimetoepoch": seconds_of,
    "distinct": distinct,
    "div": _whole("div", lambda left, right: _divided("div", left, right)),
    "endswith": ordering.ends,
    "equals": same,
    "fail": _fail,
    "false": lambda: False,
    "first": partial(collection_functions.end_of, "first", 0),
    "float": _float,
    "format": format_text,
    "greater": _comparison("greater", lambda order: order > 0),
    "greaterorequals": _comparison("greaterOrEquals", lambda order: order >= 0),
    "guid": guid,
    "indexof": partial(text_functions.place_of, "indexOf", False),
    "int": _integer,
    "json": read_json,
    "last": partial(collection_functions.end_of, "last", -1),
    "lastindexof": partial(text_functions.place_of, "lastIndexOf", True),
    "less": _comparison("less", lambda order: order < 0),
    "lessorequals": _comparison("lessOrEquals", lambda order: order <= 0),
    "max": _extreme("max", max),
    "min": _extreme("min", min),
    "mod": _whole("mod", _remainder),
    "mul": _whole("mul", lambda left, right: left * right),
    "not": operator.not_,
    "null": lambda: None,
    "objectkeys": ordering.ordered,
    "parsecidr": networks.parts,
    "parseuri": uris.parts,
    "startswith": ordering.starts,
    "string": _string,
    "sub": _whole("sub", lambda left, right: left - right),
    "tolower": lower,
    "toupper": upper,
    "trim": trim,
    "true": lambda: True,
    "uniquestring": unique_string,
    "uri": uris.resolved,
    "uricomponent": uris.component,
    "uricomponenttostring": uris.component_text,
}

_INVALID = "The template language function '{name}' was invoked with a parameter that is not valid. The value cannot be"
_REFUSALS: Mapping[str, str] = {
    **dict.fromkeys(("base64ToJson", "base64ToString"), f"{_INVALID} decoded from base64 representation."),
    **dict.fromkeys(("bool", "dataUriToString", "float"), f"{_INVALID} converted to the target type."),
    "buildUri": "The input object to the 'buildUri' function is missing the required property '{problem}''.",
    "dateTimeToEpoch": "The template function 'dateTimeToEpoch' has an invalid parameter. The parameter '{0}' is not a valid "
    "ISO8601 DateTime string. Please see https://aka.ms/arm-syntax-functions .",
    "int": "The template language function 'int' cannot convert provided value '{0}' to integer value. Please see "
    "https://aka.ms/arm-function-int for usage details.",
    "format": "Unable to evaluate language function 'format': the format is invalid: '{problem}'. Please see "
    "https://aka.ms/arm-function-format for usage details.",
    "json": "Unable to evaluate the template language function 'json'. The argument provided is not a valid JSON string.",
    "parseUri": "The specified URL '{0}' is not valid '{problem}'.",
    "union": "The template language function 'union' failed to evaluate due to a type mismatch between {problem}. Please see "
    "https://aka.ms/arm-function-union for usage details.",
    "uri": "The template language function 'uri' expects its first argument to be a uri string. The provided value is '{0}'. "
    "Please see https://aka.ms/arm-function-datauri for usage details.",
}
"""The engine's sentence where .NET refuses the arguments; else .NET's own."""


def refusal(name: str, arguments: Sequence[Any] = (), problem: object = "") -> ExpressionError:
    sentence = _REFUSALS.get(name, "{problem}")
    return ExpressionError(sentence.format(*arguments, name=name, problem=problem))
