"""What was read of the models on a share: configurations and the headers of weights, never the weights. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import cast

from sidecar.decisions.checks import Unread
from sidecar.decisions.models_on_share import Models
from sidecar.decisions.server_start import ASSIGNED, commands_of, is_our_start, lines_of, words_of
from sidecar.words.text import Text

Json = Mapping[str, object]

DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Number formats that our server reads, and the bytes of each number."""


NAMING = ("SLIPWAY_BASE_MODEL", "SLIPWAY_HUB_MODEL")
"""Variables that say which base is served."""

Settings = Mapping[str, str | None]
"""Of the server, as variables; None for one that is set in a way that only the shell can tell."""


@dataclass(frozen=True)
class Broken:
    """A file that our server refuses, and why."""

    reason: Text


@dataclass(frozen=True)
class Tensor:
    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def stored(self) -> int:
        """Bytes in the file."""
        return self.numbers * DTYPES[self.dtype]

    @property
    def is_floating(self) -> bool:
        return self.dtype.startswith(("F", "BF"))


Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Base:
    """A base model's folder. `files`: sizes by name. `index`: the files of weights that the index names; None: there is none.
    `shards`: the headers of those that were to be read. `tokenizer`: the settings of its tokenizer; None: it has none."""

    name: str
    files: Mapping[str, int]
    config: Json | Broken | Unread
    index: tuple[str, ...] | Broken | Unread | None
    shards: Mapping[str, Tensors | Broken | Unread]
    tokenizer: Json | Broken | Unread | None

    @property
    def unread(self) -> Unread | None:
        """Why not all of its tensors are known: of the index, or of a file's header."""
        return next((each for each in (self.index, *self.shards.values()) if isinstance(each, Unread)), None)

    @property
    def tensors(self) -> Tensors:
        """Of all headers that could be read."""
        return {
            name: tensor
            for shard in self.shards.values()
            if not isinstance(shard, (Broken, Unread))
            for name, tensor in shard.items()
        }


@dataclass(frozen=True)
class Adapter:
    """An adapter's folder on the share. `tensors`: None where it has no file of weights that our server reads. `tokenizer`: the
    settings of the one that it brings."""

    folder: str
    files: Mapping[str, int]
    config: Json | Broken | Unread
    tensors: Tensors | Broken | Unread | None
    tokenizer: Json | Broken | Unread | None


@dataclass(frozen=True)
class ModelFacts:
    """`wanted`: the base that the app names. `base`: the one that will be served; None where none can be told. `unread`: adapters
    that were not looked into, for there are many. `settings`: of the server, as variables. `kind`: the app's profile type."""

    models: Models
    wanted: str
    base: Base | None
    adapters: tuple[Adapter, ...]
    unread: int
    settings: Settings
    kind: str | None


_MENTIONED = re.compile(r"\b(SLIPWAY_[A-Z_]+)[:+]?=")
_EXPANDED = re.compile(r"[$`]")
_OPENS, _CLOSES = ("if", "for", "while", "until", "case"), ("fi", "done", "esac")


def wanted_base(settings: Settings) -> str:
    """The base that the server is told to serve: by name, or by the hub's; empty where it takes the only one."""
    return settings.get("SLIPWAY_BASE_MODEL") or settings.get("SLIPWAY_HUB_MODEL") or ""


def template_env(app_template: Json | None) -> Mapping[str, str]:
    """The first container's variables; those from secrets have no value here."""
    env = cast("list[dict[str, object]]", _first_container(app_template).get("env") or [])
    return {str(each.get("name")): str(each["value"]) for each in env if each.get("value") is not None}


def start_script(app_template: Json | None) -> str:
    """The first container's commands."""
    args = cast("list[object]", _first_container(app_template).get("args") or [])
    return str(args[-1]) if args else ""


def _first_container(app_template: Json | None) -> Json:
    containers = (app_template or {}).get("containers")
    return cast("list[Json]", containers)[0] if isinstance(containers, list) and containers else {}


def commanded(script: str) -> Settings:
    """Our server's variables that a start script sets. Known is what a plain `export` says, or what stands before the start of
    our server: all else that sets one may also not be run, or not reach the server."""
    found: dict[str, str | None] = {}
    depth = 0
    for line in lines_of(script):
        words = words_of(line)
        if words is None:
            found |= dict.fromkeys(_MENTIONED.findall(line))
        for join, command in commands_of(words or ()):
            depth += (command[0] in _OPENS) - (command[0] in _CLOSES)
            found |= _set_by(command, plain=depth <= 0 and join in ("", ";"))
    return found


def _set_by(command: Sequence[str], *, plain: bool) -> Settings:
    if command[0] in ("echo", "printf"):
        return {}
    if plain and command[0] == "unset":
        return {name: "" for name in command[1:] if name.startswith("SLIPWAY_")}
    mentioned = dict.fromkeys(name for word in command for name in _MENTIONED.findall(word))
    if is_our_start(command):
        said = list(takewhile(ASSIGNED.match, command))
    elif plain and command[0] == "export":
        said = [word for word in command[1:] if ASSIGNED.match(word)]
    else:
        return mentioned
    pairs = (word.partition("=") for word in said if word.startswith("SLIPWAY_"))
    return {**mentioned, **{name: None if _EXPANDED.search(value) else value for name, _, value in pairs}}


def unknown(settings: Settings, *names: str) -> Unread | None:
    """Why one of these settings can't be told."""
    for name in names:
        if name in settings and settings[name] is None:
            return Unread(Text("{name} is set by the app's commands in a way that only the shell can tell.", name=name))
    return None
