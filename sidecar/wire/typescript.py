"""The TypeScript of the wire: extension/protocol.ts, made from the message models."""

from __future__ import annotations

import types
import typing
from typing import Literal

from pydantic.alias_generators import to_camel

from sidecar.wire import protocol
from sidecar.wire.protocol import CALLBACKS, METHODS, NOTIFICATIONS, USER_ERROR, Message
from sidecar.words.names import (
    ALIVE,
    AzureCloud,
    ChatFinish,
    ChatRole,
    CloudName,
    LogSource,
    Phase,
    PlanAction,
    Remedy,
    State,
    StrategyWish,
    Verdict,
)

NAMED: dict[str, object] = {
    "CloudName": CloudName,
    "AzureCloud": AzureCloud,
    "ChatRole": ChatRole,
    "ChatFinish": ChatFinish,
    "State": State,
    "Phase": Phase,
    "LogSource": LogSource,
    "StrategyWish": StrategyWish,
    "Remedy": Remedy,
    "Verdict": Verdict,
    "PlanAction": PlanAction,
}
"""Unions that the extension must exhaust, by their names there."""


def typescript() -> str:
    """The whole of extension/protocol.ts."""
    messages = [each for each in vars(protocol).values() if isinstance(each, type) and issubclass(each, Message)]
    lines = ["// GENERATED from sidecar/wire/protocol.py by `npm run fix`. Do not edit.", ""]
    lines += [f"export type {name} = {_union(kind)};" for name, kind in NAMED.items()]
    lines.append("")
    for message in messages:
        if message is Message:
            continue
        lines.append(f"export interface {message.__name__} {{")
        for name, field in message.model_fields.items():
            lines.append(f"  readonly {to_camel(name)}: {_typescript_type(field.annotation)};")
        lines.extend(["}", ""])
    for table, entries in (("Methods", METHODS), ("Callbacks", CALLBACKS), ("Notifications", NOTIFICATIONS)):
        lines.append(f"export interface {table} {{")
        for name, method in entries.items():
            result = "void" if method.result is None else method.result.__name__
            lines.append(
                f'  readonly "{name}": {{ readonly params: {method.params.__name__}; readonly result: {result} }};'
            )
        lines.extend(["}", ""])
    names = ", ".join(f'"{name}"' for name in NOTIFICATIONS)
    lines.append(f"export const NOTIFICATIONS = [{names}] as const satisfies readonly (keyof Notifications)[];")
    lines.extend([f"export const USER_ERROR = {USER_ERROR};", f'export const ALIVE = "{ALIVE}";', ""])
    return "\n".join(lines)


def _typescript_type(annotation: object) -> str:
    scalars: dict[object, str] = {
        str: "string",
        int: "number",
        float: "number",
        bool: "boolean",
        type(None): "null",
    }
    if annotation in scalars:
        return scalars[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Message):
        return annotation.__name__
    for name, kind in NAMED.items():
        if annotation == kind:
            return name
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return f"readonly {_typescript_type(args[0])}[]"
    if origin is dict:
        return f"Readonly<Record<string, {_typescript_type(args[1])}>>"
    if origin is Literal:
        return " | ".join(f'"{each}"' for each in args)
    if origin in (types.UnionType, typing.Union):
        return " | ".join(_typescript_type(each) for each in args)
    raise TypeError(f"no TypeScript for {annotation!r}")


def _union(kind: object) -> str:
    return " | ".join(f'"{each}"' for each in typing.get_args(kind))
