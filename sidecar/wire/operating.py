"""Messages about an app that is there: started and stopped."""

from __future__ import annotations

from typing import Literal

from sidecar.wire.message import Message, Sentence
from sidecar.words.names import CloudName


class OperateParams(Message):
    folder: str
    cloud: CloudName
    operation: str


class Switched(Message):
    """`changed`: False where it was so already. `awake`: replicas that run now, each of which is billed."""

    app: str
    running: Literal["started", "stopped"]
    changed: bool
    awake: int
    sentence: Sentence
