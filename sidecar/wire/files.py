"""Messages about the files that a project has got from Slipway."""

from __future__ import annotations

from sidecar.wire.message import Message, Sentence
from sidecar.words.names import CiFate, FileFate


class InitParams(Message):
    """`beside`: ours goes into `inference/` also where that holds a server of somebody's own."""

    folder: str
    beside: bool


class Created(Message):
    """`own`: the files of a server of somebody's own, beside which ours was not put."""

    created: list[str]
    own: list[str]


class UpdateFilesParams(Message):
    """`plan`: only tell. `mine`, `theirs`: files in conflict that the person has decided, by path."""

    folder: str
    plan: bool
    mine: list[str]
    theirs: list[str]


class UpdatedFile(Message):
    path: str
    kind: FileFate


class FilesUpdate(Message):
    """`before`: the version that the files were of; None where nobody wrote it down. `files`: of which something is to be said.
    `shipped`: the folder in which the new ones lie."""

    before: str | None
    version: str
    done: bool
    files: list[UpdatedFile]
    shipped: str
    sentence: Sentence


class CiInitParams(Message):
    """`branch`: the one whose pushes deploy."""

    folder: str
    branch: str


class CiVariable(Message):
    """Of the pipeline. `value`: as the project's files have it; None: the person's to find."""

    name: str
    value: str | None
    about: str


class CiInit(Message):
    """`file`: from the repository's `top`. `environment`: GitHub's, that has the variables. `commands`: of Azure's CLI, by which
    the pipeline is allowed to sign in; `credential`: a file that the last one reads. `repository`: GitHub's; None: not known."""

    top: str
    file: str
    fate: CiFate
    environment: str
    variables: list[CiVariable]
    credential: str
    repository: str | None
    commands: list[str]
