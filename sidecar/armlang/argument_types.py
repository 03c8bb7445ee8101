"""What the engine says of arguments of a wrong type, from the table's rows."""

from collections.abc import Sequence
from typing import Any

from sidecar.armlang.function_table import Function
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.json_values import as_list, kind_of

_KINDS = {"string": "String", "int": "Integer", "bool": "Boolean", "array": "Array", "object": "Object"}
_PLACES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
# They look at their arguments themselves, and say what is wrong in other words.
_OWN_WORDS = frozenset(("padleft", "datetimefromepoch", "max", "min"))
SEE = "Please see https://aka.ms/arm-functions for usage details."


def check_arguments(row: Function, values: Sequence[Any]) -> None:
    """ExpressionError for a value of another type than the one that the row states at its place."""
    if row.name.lower() in _OWN_WORDS:
        return
    for place, value in enumerate(values):
        types = row.types_at(place)
        if len(types) == 1:
            _check(row, place, types[0], value)


def _check(row: Function, place: int, wanted: str, value: Any) -> None:
    outer = "array" if wanted.endswith("[]") else wanted
    if outer in _KINDS and kind_of(value) != _KINDS[outer]:
        raise wrong_type(row.name, place if row.arity[1] != 1 else None, _KINDS[outer], value)
    if not wanted.endswith("[]"):
        return
    allowed = [_KINDS[each] for each in wanted.removesuffix("[]").strip("()").split("|")]
    strange = [(at, kind) for at, each in enumerate(as_list(value)) if (kind := kind_of(each)) not in allowed]
    if strange:
        kinds = ", ".join(f"'{kind}'" for kind in dict.fromkeys(kind for _, kind in strange))
        raise refused(
            row.name,
            f"expects its {_PLACES[place]} parameter to be an array only containing elements of type(s) '{', '.join(allowed)}'. "
            f"The provided value contains elements with disallowed type(s) {kinds} in index(es) "
            f"{', '.join(str(at) for at, _ in strange)}.",
        )


def refused(name: str, what: str, see: str = "arm-functions") -> ExpressionError:
    more = f"Please see https://aka.ms/{see} for usage details."
    return ExpressionError(f"The template language function '{name}' {what} {more}")


def wrong_type(name: str, place: int | None, wanted: str, value: Any) -> ExpressionError:
    """`place` counts from 0; None: its only parameter."""
    which = "its" if place is None else f"its {_PLACES[place]}" if place < len(_PLACES) else f"its {place + 1}th"
    return refused(name, f"expects {which} parameter to be of type '{wanted}'. {_given(value)}")


def none_of(name: str, wanted: str, value: Any) -> ExpressionError:
    return refused(name, f"expects its first parameter to be one of the following types '{wanted}'. {_given(value)}")


def no_collection(name: str, wanted: str, value: Any) -> ExpressionError:
    return refused(name, f"expects its {wanted}. {_given(value)}", f"arm-function-{name}")


def _given(value: Any) -> str:
    return f"The provided value is of type '{kind_of(value)}'."


def not_valid(name: str, all_of: str) -> ExpressionError:
    return ExpressionError(
        f"The provided arguments for template language function '{name}' is not valid: all {all_of}. Please see "
        f"https://aka.ms/arm-functions#{name} for usage details."
    )


def unhandled(name: str) -> ExpressionError:
    return ExpressionError(f"Unhandled exception during evaluating template language function '{name}' is not handled.")


def small(number: int) -> int:
    """A count or an index: the engine holds it in 32 bits."""
    if not -(2**31) <= number < 2**31:
        raise ExpressionError(
            f"The value '{number}' cannot be used as a number because it is either too large or too small. The value must be "
            "between -2147483648 and 2147483647."
        )
    return number
