"""The functions of texts. Arguments have the types of the table's rows."""

import re
import urllib.parse
from typing import Any

from sidecar.armlang.argument_types import none_of, refused, wrong_type
from sidecar.armlang.values import ExpressionError, unknown
from sidecar.dotnet import ordering
from sidecar.dotnet.json_texts import text_of
from sidecar.dotnet.json_values import as_list, kind_of, same
from sidecar.dotnet.text import SPACE, base64_text, cut, length, lower, of_base64, upper

_DATA = re.compile(r"data:(?P<type>[^;,]*)(?P<more>(?:;[^;,]*)*),(?P<data>.*)", re.DOTALL | re.IGNORECASE)


def data_uri(value: Any) -> str:
    if not isinstance(value, str):
        raise unknown("how dataUri() writes a value that is no string")
    return f"data:text/plain;charset=utf-8;base64,{base64_text(value)}"


def data_uri_to_string(text: str) -> str:
    see = "arm-functions#dataUriToString"
    found = _DATA.fullmatch(text)
    if not found:
        wanted = "expects its parameter to be formatted as a valid data URI. The provided value"
        raise refused("dataUriToString", f"{wanted} '{text}' was not formatted correctly.", see)
    marks = [each for each in found["more"].split(";") if each]
    for mark in marks:
        name, _, value = mark.partition("=")
        if name.lower() == "charset" and lower(value) not in ("utf8", "utf-8"):
            if lower(value) in ("ascii", "us-ascii"):
                raise unknown(f"the charset '{value}' of a data URI")
            what = f"parameter is not valid. The provided charset '{value}' is not supported."
            raise refused("dataUriToString", what, see)
    return of_base64(found["data"]) if "base64" in map(lower, marks) else urllib.parse.unquote(found["data"])


def place_of(name: str, last: bool, value: Any, item: Any) -> int:
    if isinstance(value, list):
        places = [at for at, each in enumerate(as_list(value)) if same(each, item)]
        return (places[-1] if last else places[0]) if places else -1
    if not isinstance(value, str):
        raise none_of(name, "String, Array", value)
    if not isinstance(item, str):
        raise wrong_type(name, 1, "String", item)
    if not item:
        return max(length(value) - 1, 0) if last else 0
    at = ordering.find(value, item, last=last)
    return at if at < 0 else length(value[:at])


def like(text: str, pattern: str) -> bool:
    """`*` stands for any text; nothing else is special."""
    if pattern.count("*") > 1:
        raise unknown("patterns of like() with more than one *")
    found, others = _alike(text, pattern), _alike(upper(text), upper(pattern))
    if found != others:
        raise unknown("whether like() tells capitals from small letters")
    return found


def _alike(text: str, pattern: str) -> bool:
    start, mark, end = pattern.partition("*")
    if not mark:
        return text == pattern
    return len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)


def pad_left(value: Any, width: Any, fill: Any = " ") -> str:
    if type(value) not in (str, int):
        which, why = "first", f"The source string must be a String or integer type, while '{kind_of(value)}' was"
    elif type(width) is not int or not 1 <= width <= 16:
        which = "second"
        why = f"Total width must be a positive integer value and not greater than '16', while '{text_of(width)}' was"
    elif not isinstance(fill, str) or length(fill) != 1:
        which, why = "third", f"The padding character must be a single character, while '{text_of(fill)}' was"
    else:
        return fill * (width - length(str(value))) + str(value)
    raise ExpressionError(
        f"Unable to evaluate template language function 'padLeft': the {which} parameter is invalid. {why} provided. The syntax "
        "is padLeft(string, totalWidth [, paddingChar]). Please see https://aka.ms/arm-function-padleft for usage details."
    )


def replace(text: str, old: str, new: str) -> str:
    if not old:
        raise unknown("what replace() makes of an empty text to be replaced")
    return text.replace(old, new)


def split(text: str, delimiters: Any) -> list[str]:
    given = as_list(delimiters) if isinstance(delimiters, list) else [delimiters]
    strange = next((each for each in given if not isinstance(each, str)), "")
    if strange != "":
        raise wrong_type("split", 1, "String or Array of Strings", strange)
    if not given:
        return SPACE.split(text)
    parts = "|".join(re.escape(each) for each in given if each)
    return re.split(parts, text) if parts else [text]


def join(values: list[Any], delimiter: str) -> str:
    return delimiter.join(text_of(each) for each in values)


def substring(text: str, start: int, count: int | None = None) -> str:
    whole = length(text)
    what, stated = "index parameter", f"The index parameter: '{start}', the length of the string parameter: '{whole}'."
    rule = "cannot be larger than the length of the string."
    if start < 0:
        rule = "must not be less than zero."
    elif start <= whole and count is not None and (count < 0 or start + count > whole):
        what, rule = "index and length parameters", "must refer to a location within the string."
        stated = f"The index parameter: '{start}', the length parameter: '{count}', " + stated.partition(", ")[2]
    elif start <= whole:
        return cut(text, start, whole if count is None else start + count)
    raise ExpressionError(
        f"Unable to evaluate the template language function 'substring'. The {what} {rule} {stated} Please see "
        "https://aka.ms/arm-function-substring for usage details."
    )
