"""What was last read of the cloud for a project: kept in the state folder, so that the editor can tell of it without asking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.core.choice import project_key
from sidecar.core.workspace import write_atomically
from sidecar.words.text import Text


@dataclass(frozen=True)
class Doubt:
    """What was said of the value of a parameter, or of a key of infra/inference.config.json. `value`: the one that was judged;
    None where the default was."""

    parameter: str
    value: object
    code: str
    sentence: Text
    certain: bool


@dataclass(frozen=True)
class LastRead:
    """`moment`: when, as people read it (UTC). `profiles`: types offered, by region; `gpus`: of these, with how many GPUs.
    `quota`: GPUs in use and allowed in `location`, by type. `names`: what exists, by the parameter that would state it."""

    moment: str
    location: str
    regions: tuple[str, ...] = ()
    profiles: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    gpus: Mapping[str, int] = field(default_factory=dict[str, int])
    quota: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    doubts: tuple[Doubt, ...] = ()


class _Sentence(BaseModel):
    model_config = ConfigDict(extra="forbid")
    message: str
    args: dict[str, object]


class _Doubt(BaseModel):
    model_config = ConfigDict(extra="forbid")
    parameter: str
    value: object
    code: str
    sentence: _Sentence
    certain: bool


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")
    moment: str
    location: str
    regions: tuple[str, ...]
    profiles: dict[str, tuple[str, ...]]
    gpus: dict[str, int]
    quota: dict[str, tuple[int, int]]
    names: dict[str, tuple[str, ...]]
    doubts: tuple[_Doubt, ...]


def keep_last_read(state: Path, folder: Path, last: LastRead) -> None:
    doubts = [
        {
            "parameter": each.parameter,
            "value": each.value,
            "code": each.code,
            "sentence": each.sentence.written(),
            "certain": each.certain,
        }
        for each in last.doubts
    ]
    known = {name: getattr(last, name) for name in _Kept.model_fields if name != "doubts"}
    file = _file(state, folder)
    write_atomically(file, json.dumps({**known, "doubts": doubts}, indent=1) + "\n")


def kept_last_read(state: Path, folder: Path) -> LastRead | None:
    """None where nothing was read yet, and where what is kept is another version's: the next look keeps it anew."""
    try:
        text = _file(state, folder).read_text(encoding="utf-8")
        found = _Kept.model_validate(json.loads(text))
    except (OSError, ValueError, ValidationError):
        return None
    doubts = tuple(
        Doubt(
            each.parameter, each.value, each.code, Text.again(each.sentence.message, each.sentence.args), each.certain
        )
        for each in found.doubts
    )
    known = cast("dict[str, object]", {name: getattr(found, name) for name in _Kept.model_fields if name != "doubts"})
    return LastRead(**known, doubts=doubts)  # pyright: ignore[reportArgumentType]  (the form has checked each)


def _file(state: Path, folder: Path) -> Path:
    return state / "read" / f"{project_key(folder)}.json"
