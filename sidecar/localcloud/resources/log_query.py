"""The part of Log Analytics' query language (KQL) that Slipway sends, over the rows of one table. All else is refused."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sidecar.localcloud.core.fields import Json

Rows = Sequence[Json]
ColumnType = str

_NAME = r"[A-Za-z_]\w*"
_LITERAL = r"'((?:[^'\\\n\r]|\\[\\'nrt])*)'"
_TABLE = re.compile(_NAME)
_SINCE = re.compile(rf"where ({_NAME}) >= datetime\(([0-9T:.Z-]+)\)")
_EQUAL = re.compile(rf"where ({_NAME}) == {_LITERAL}")
_TEXT = re.compile(rf"extend ({_NAME}) = tostring\(column_ifexists\('({_NAME})', ''\)\)")
_NUMBER = re.compile(rf"extend ({_NAME}) = todouble\(column_ifexists\('({_NAME})', real\(null\)\)\)")
_ORDER = re.compile(rf"order by ({_NAME} desc(?:, {_NAME} desc)*)")
_TAKE = re.compile(r"take (\d{1,6})")
_PROJECT = re.compile(rf"project ({_NAME}(?:, {_NAME})*)")
_PARTS = re.compile(rf"((?:{_LITERAL}|[^|'])+)(?:\||$)")
_ESCAPES = {"\\\\": "\\", "\\'": "'", "\\n": "\n", "\\r": "\r", "\\t": "\t"}


class QueryRefused(Exception):
    """`code`: of the inner error, as the query engine has it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Answer:
    columns: Sequence[tuple[str, ColumnType]]
    rows: Sequence[Sequence[Any]]


def answered(query: str, table: Callable[[str], Rows]) -> Answer:
    """`table`: the rows of a table by its name; none at all means that nothing has come, and that the table is not there."""
    name, *operators = _parts(query)
    if not _TABLE.fullmatch(name):
        raise _not_understood(name)
    rows = table(name)
    if not rows:
        raise QueryRefused("SEM0100", f"Failed to resolve table or column expression named '{name}'")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    for operator in operators:
        rows, columns = _apply(operator, rows, columns)
    types = [(column, _type_of(column, rows)) for column in columns]
    return Answer(types, [[row.get(column) for column in columns] for row in rows])


def _parts(query: str) -> list[str]:
    found = list(_PARTS.finditer(query.strip()))
    if not found or "".join(each[0] for each in found) != query.strip():
        raise _not_understood(query)
    return [each[1].strip() for each in found]


def _apply(operator: str, rows: Rows, columns: list[str]) -> tuple[Rows, list[str]]:
    if found := _SINCE.fullmatch(operator):
        begin = _time(found[2])
        return [row for row in rows if _time(str(row[_known(found[1], columns)])) >= begin], columns
    if found := _EQUAL.fullmatch(operator):
        wanted = re.sub(r"\\[\\'nrt]", lambda escape: _ESCAPES[escape[0]], found[2])
        return [row for row in rows if row.get(_known(found[1], columns)) == wanted], columns
    if found := _TEXT.fullmatch(operator):
        name, column = found[1], found[2]
        return _extended(rows, name, lambda row: str(row.get(column) or "")), _with(columns, name)
    if found := _NUMBER.fullmatch(operator):
        name, column = found[1], found[2]
        return _extended(rows, name, lambda row: row.get(column)), _with(columns, name)
    if found := _ORDER.fullmatch(operator):
        for part in reversed(found[1].split(", ")):
            column = _known(part.removesuffix(" desc"), columns)
            rows = sorted(rows, key=lambda row, by=column: _place(row.get(by)), reverse=True)
        return rows, columns
    if found := _TAKE.fullmatch(operator):
        return rows[: int(found[1])], columns
    if found := _PROJECT.fullmatch(operator):
        return rows, [_known(each, columns) for each in found[1].split(", ")]
    raise _not_understood(operator)


def _extended(rows: Rows, name: str, value: Callable[[Mapping[str, Any]], Any]) -> Rows:
    return [{**row, name: value(row)} for row in rows]


def _with(columns: list[str], name: str) -> list[str]:
    return [*(each for each in columns if each != name), name]


def _known(column: str, columns: list[str]) -> str:
    if column not in columns:
        raise QueryRefused("SEM0100", f"Failed to resolve scalar expression named '{column}'")
    return column


def _place(value: Any) -> tuple[bool, Any]:
    """Nulls come last in a descending order."""
    return (value is not None, value)


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as problem:
        raise _not_understood(f"datetime({text})") from problem


def _type_of(column: str, rows: Rows) -> ColumnType:
    if column == "TimeGenerated":
        return "datetime"
    numbers = any(isinstance(row.get(column), int | float) for row in rows)
    return "real" if numbers or column.endswith("_d") else "string"


def _not_understood(part: str) -> QueryRefused:
    said = f"the local cloud answers the queries that Slipway sends, and does not understand: {part[:200]}"
    return QueryRefused("SyntaxError", said)
