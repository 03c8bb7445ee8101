"""`$filter`, `$top` and `$expand` as far as lists here understand them; what they don't is refused, never passed over. Pure."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sidecar.localcloud.core.errors import ArmError, invalid

Test = Callable[[Any], bool]
_TEXT = r"'((?:[^']|'')*)'"
_COMPARED = re.compile(rf"([\w/]+)\s+(eq|ne)\s+(?:{_TEXT}|(true|false))", re.IGNORECASE)
_WITHIN = re.compile(
    rf"(substringof|startswith)\(\s*(?:{_TEXT}|([\w/]+))\s*,\s*(?:{_TEXT}|([\w/]+))\s*\)", re.IGNORECASE
)
_JOIN = re.compile(rf"\s+(and|or)\s+(?=(?:[^']|{_TEXT})*$)", re.IGNORECASE)
_ODATA = ("$filter", "$top", "$expand", "$maxpagesize", "$skiptoken")


def refused_filter(text: str) -> ArmError:
    return invalid(f"Invalid $filter '{text}' specified in the query string.", "InvalidFilterInQueryString")


def require_known(query: Mapping[str, str], known: Collection[str]) -> None:
    """ArmError where one of OData's options is asked of a request that does not understand it."""
    for name, value in query.items():
        option = name.lower()
        if option not in _ODATA or option in known:
            continue
        if option == "$filter":
            raise refused_filter(value)
        raise invalid(
            f"The query option '{name}' with the value '{value}' is not supported here.", "InvalidQueryOption"
        )


def top(query: Mapping[str, str]) -> int | None:
    """How many entries `$top` asks for; None: all."""
    text = query.get("$top")
    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise invalid(f"Invalid $top '{text}' specified in the query string.", "InvalidTopInQueryString")
    return int(text)


def parsed_filter(text: str, known: Collection[str]) -> Sequence[Sequence[Mapping[str, str]]]:
    """Alternatives of conditions that hold together. Each has `name`, `kind` (eq, ne, substringof, startswith), `value`."""
    if not text.strip():
        return []
    alternatives: list[list[Mapping[str, str]]] = [[]]
    parts = _JOIN.split(text.strip())
    # The pattern's own group of a text stands between the joints.
    for number, part in enumerate(parts[::3]):
        joint = parts[number * 3 - 2].lower() if number else "and"
        if joint == "or":
            alternatives.append([])
        alternatives[-1].append(_condition(part, text, {each.lower(): each for each in known}))
    return alternatives


def _condition(part: str, whole: str, known: Mapping[str, str]) -> Mapping[str, str]:
    if found := _COMPARED.fullmatch(part.strip()):
        name, kind, value, truth = found.groups()
        stated = truth.lower() if truth else (value or "").replace("''", "'")
    elif found := _WITHIN.fullmatch(part.strip()):
        kind, first, first_name, second, second_name = found.groups()
        name = first_name or second_name or ""
        stated = (first if first is not None else second or "").replace("''", "'")
        if (kind.lower() == "substringof") != (first is not None) or not name:
            raise refused_filter(whole)
    else:
        raise refused_filter(whole)
    if name.lower() not in known:
        raise refused_filter(whole)
    return {"name": known[name.lower()], "kind": kind.lower(), "value": stated}


def holds(condition: Mapping[str, str], actual: str) -> bool:
    """Whether what there is fits a condition; texts are compared whatever their case."""
    have, want = actual.lower(), condition["value"].lower()
    tests: Mapping[str, bool] = {
        "eq": have == want,
        "ne": have != want,
        "substringof": want in have,
        "startswith": have.startswith(want),
    }
    return tests[condition["kind"]]
