"""Messages about a model's or an adapter's folder that goes from this machine to the share."""

from __future__ import annotations

from typing import Literal

from sidecar.wire.message import Message, Operation, Sentence
from sidecar.words.names import CloudName, ModelKind


class FolderHeldParams(Message):
    """`source`: a folder of this machine."""

    source: str


class FolderHeld(Message):
    """What is in it, before anything is asked of a cloud. `name`: what it could be called; None where nothing says it.
    `weights`: files of them. `size`: bytes that would travel. `stays`: files that would not."""

    kind: ModelKind
    name: str | None
    files: int
    weights: int
    size: int
    stays: list[str]


class UploadParams(Operation):
    """`name`: None: as suggested. `shards`: files that a base's weights are spread over, where it has fewer; 0: as they are."""

    folder: str
    cloud: CloudName
    source: str
    name: str | None
    shards: int
    consents: list[str]


class Uploaded(Message):
    """`place`: the folder on the share, below the app's mount. `sent`: bytes that travelled. `there`: bytes that were there
    already. `live`: whether it answers now; `asleep`: no replica runs, and the next one that starts takes it; `partly`: not every
    replica has told of it in time; `stored`: it answers only after a Deploy. `taken` of `replicas` have told of it. `hash`: of an
    adapter."""

    kind: ModelKind
    name: str
    place: str
    files: int
    sent: int
    there: int
    live: Literal["live", "asleep", "partly", "stored"]
    replicas: list[str]
    taken: list[str]
    hash: str | None
    sentence: Sentence
    notes: list[Sentence]


class SampleParams(Operation):
    folder: str
    cloud: CloudName
    consents: list[str]


class Sampled(Message):
    """`question`: one that the base and the adapter answer differently; `answer`: the adapter's. `live`: as of an upload."""

    base: str
    adapter: str
    question: str
    answer: str
    live: Literal["live", "asleep", "partly", "stored"]
    sent: int
    sentence: Sentence
