"""Texts that others rely on, kept as files: the messages of the wire, the terminal's help. `npm run fix` writes them anew."""

from __future__ import annotations

import argparse
import json
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from sidecar.doors.cli import parser_of
from sidecar.wire.protocol import CALLBACKS, METHODS, NOTIFICATIONS, Failure, Message

FOLDER = Path(__file__).resolve().parents[1] / "unit" / "sidecar" / "snapshots"


def wire() -> str:
    """Every message as it is sent, each field with a value that says what it is."""
    tables = {**METHODS, **CALLBACKS, **NOTIFICATIONS}
    sent: dict[str, dict[str, object]] = {
        name: {"params": example(each.params), **({"result": example(each.result)} if each.result else {})}
        for name, each in tables.items()
    }
    return json.dumps({**sent, "a failure's data": example(Failure)}, indent=2) + "\n"


def example(message: type[Message]) -> object:
    values = {name: _value(name, field.annotation) for name, field in message.model_fields.items()}
    return message.model_validate(values).model_dump(by_alias=True, mode="json")


def _value(name: str, kind: Any) -> object:
    scalars: dict[object, object] = {str: f"<{name}>", int: 1, float: 0.5, bool: True, object: f"<{name}>"}
    if kind in scalars:
        return scalars[kind]
    if isinstance(kind, type) and issubclass(kind, Message):
        return {each: _value(each, field.annotation) for each, field in kind.model_fields.items()}
    parts = typing.get_args(kind)
    match typing.get_origin(kind):
        case types.UnionType | typing.Union:
            return _value(name, parts[0])
        case origin if origin is Literal:
            return parts[0]
        case origin if origin is dict:
            return {f"<{name}>": _value(name, parts[1])}
        case _:
            return [_value(name, parts[0])]


class _Wide(argparse.HelpFormatter):
    """As in a terminal of one width, wherever it is made."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


def terminal_help() -> str:
    """The help of the program and of each verb."""
    whole = parser_of("slipway")
    (verbs,) = [each.choices for each in whole._actions if isinstance(each, argparse._SubParsersAction)]
    parsers: list[argparse.ArgumentParser] = [whole, *verbs.values()]
    for each in parsers:
        each.formatter_class = _Wide
    return "\n\n".join(f"$ {each.prog} --help\n{each.format_help()}" for each in parsers)


SNAPSHOTS: dict[str, Callable[[], str]] = {"wire.json": wire, "help.txt": terminal_help}


def write() -> None:
    for name, made in SNAPSHOTS.items():
        (FOLDER / name).write_text(made(), encoding="utf-8")
