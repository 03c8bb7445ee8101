"""What a verb of the terminal door is, and what many have in common: the project's folder."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sidecar.wire import protocol as wire

R = TypeVar("R", bound=wire.Message)
Arguments = Callable[[argparse.ArgumentParser], None]
Params = dict[str, Any]


@dataclass(frozen=True)
class Verb(Generic[R]):
    """One verb, whole: help, arguments, request, text and exit code. Nothing has a default, so nothing can be forgotten.

    `title`: the command's in VS Code, by which shared sentences call it; None where it has none there. `place`: what the
    request holds besides the cloud. `failed`: whether what is shown is a failure. `hears_cancel`: while it runs, by itself; one
    that comes after it is done has come too late."""

    what: str
    method: str
    hears_cancel: bool
    result: type[R]
    title: str | None
    arguments: Arguments
    place: Callable[[argparse.Namespace], Params]
    render: Callable[[R], str]
    failed: Callable[[R], bool]


def never(_: wire.Message) -> bool:
    return False


def nothing(_: argparse.ArgumentParser) -> None:
    pass


def in_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", default=".", help="the project's folder (default: this one)")


def folder_of(options: argparse.Namespace) -> Params:
    return {"folder": os.path.abspath(options.folder)}


def operation_of(options: argparse.Namespace) -> Params:
    return {**folder_of(options), "operation": ""}
