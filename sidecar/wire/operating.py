"""Messages about an app that is there: started, stopped, deleted."""

from __future__ import annotations

from typing import Literal

from sidecar.wire.message import Message, Operation, Sentence
from sidecar.words.names import CloudName, RemovableKind, SnippetLanguage


class OperateParams(Operation):
    folder: str
    cloud: CloudName


class Switched(Message):
    """`changed`: False where it was so already. `awake`: replicas that run now, each of which is billed."""

    app: str
    running: Literal["started", "stopped"]
    changed: bool
    awake: int
    sentence: Sentence


class SnippetParams(Message):
    folder: str
    cloud: CloudName
    language: SnippetLanguage


class Snippet(Message):
    """`model` None: no replica is awake to name one. The key stands in none of it: SLIPWAY_API_KEY holds it."""

    url: str
    model: str | None
    code: str


class DiagnosticsParams(Operation):
    """`file`: where the archive is written to. `overwrite`: the person has agreed to lose a file of this name."""

    folder: str
    cloud: CloudName
    file: str
    overwrite: bool


class Content(Message):
    name: str
    size: int


class Diagnostics(Message):
    """`missing`: what could not be read, and why."""

    file: str
    contents: list[Content]
    missing: list[Sentence]


class RevisionLine(Message):
    """An active revision in Azure's words. `serves`: it is the one that answers."""

    name: str
    state: str
    health: str
    replicas: int
    serves: bool


class WarmParams(Operation):
    """Goes on until it is cancelled. `wake`: an app that sleeps at the beginning is woken."""

    folder: str
    cloud: CloudName
    wake: bool


class Warmed(Message):
    """Why it ended. `left`: it was cancelled."""

    app: str
    ended: Literal["left", "asleep", "stopped"]
    sentence: Sentence


class RotateParams(Operation):
    """`finish`: the old key is refused from then on."""

    folder: str
    cloud: CloudName
    finish: bool
    consents: list[str]


class Rotated(Message):
    """`between`: both keys are accepted, and the rotation is to be finished. `restarted`: a replica was started with it."""

    app: str
    between: bool
    restarted: bool
    sentence: Sentence


class RemoveParams(Operation):
    """`plan`: only list. `name`: what is to be confirmed, as the person wrote it. `also`: kinds that go beside the app, or
    KIND:NAME."""

    folder: str
    cloud: CloudName
    plan: bool
    name: str
    also: list[str]


class Removable(Message):
    """`ours`: this project's record names it as made by it. `holds`: what is lost with it."""

    kind: RemovableKind
    name: str
    ours: bool
    holds: Sentence
    users: list[str]


class Removed(Message):
    """`done`: False where it was only listed. `emptied`: keys of infra/inference.config.json that hold no more. `confirm`: what
    is to be written before anything goes; `app` is empty where that is gone already."""

    app: str
    confirm: str
    done: bool
    goes: list[Removable]
    stays: list[Removable]
    emptied: list[str]
