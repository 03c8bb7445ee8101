"""What is kept of evaluations, under infra/evaluations/: a folder each, with every answer from the moment at which it came.

`answers.jsonl` begins with what the run is of, and has a line for each answer: what a kill leaves is a file that is gone on with.
`report.json` is written last: a run without one is not finished. Answers stay on this machine: the folder is left out of git."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from sidecar.core.dataset import Answer
from sidecar.core.held_file import taken
from sidecar.core.workspace import Workspace
from sidecar.words.errors import Conflict, WorkspaceError
from sidecar.words.text import Text

FOLDER = "infra/evaluations"
ANSWERS = "answers.jsonl"
REPORT = "report.json"
DOCUMENT = "report.md"

SYNC_SECONDS = 1.0
"""A kill loses nothing that was written; a power cut loses at most so much, and it is asked again."""

HALVES = "backslashreplace"
"""A model may give half of a character, which UTF-8 can't hold: it is written as JSON writes it."""

Answers = dict[tuple[str, str], Answer]
"""By row and model."""


@dataclass(frozen=True)
class Run:
    """`key`: of the same rows, models and settings; `head`: what the run is of, as it stands in its file."""

    folder: Path
    key: str
    head: Mapping[str, Any]
    finished: bool

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def dataset(self) -> str:
        return str(self.head.get("digest"))


def runs(workspace: Workspace) -> list[Run]:
    """The newest first. What is no run, or can't be read, is none."""
    around = workspace.folder / FOLDER
    found = [_run(each) for each in sorted(around.iterdir(), reverse=True)] if around.is_dir() else []
    return [each for each in found if each is not None]


def _run(folder: Path) -> Run | None:
    head = next(_lines(folder / ANSWERS), None)
    stated = cast("dict[str, Any]", head.get("run")) if head is not None and isinstance(head.get("run"), dict) else None
    if stated is None:
        return None
    return Run(folder, str(stated.get("key")), stated, (folder / REPORT).exists())


def earlier(workspace: Workspace, name: str) -> Run:
    """A finished run by its name. Raises WorkspaceError that names those that there are."""
    known = [each for each in runs(workspace) if each.finished]
    for each in known:
        if each.name == name:
            return each
    raise WorkspaceError(
        Text("There is no finished evaluation {name} under {folder}.", name=name, folder=FOLDER),
        Text("There are: {names}", names=", ".join(each.name for each in known) or "-"),
        code="NoSuchRun",
    )


def last_over(workspace: Workspace, dataset: str, but: str = "") -> Run | None:
    """The newest finished run over the same rows. One that a gate has not let pass is no measure for what comes after it."""
    others = (each for each in runs(workspace) if each.name != but and each.finished and each.dataset == dataset)
    return next((each for each in others if _stands(each)), None)


def _stands(run: Run) -> bool:
    if "gate" not in run.head:
        return True
    try:
        said = json.loads((run.folder / REPORT).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and cast("dict[str, Any]", said).get("met") is True


def begun(workspace: Workspace, key: str, head: Mapping[str, Any], *, anew: bool, passed: bool = False) -> Run:
    """The run of this key that was cut off, or a new one. `anew`: a new one in any case. `passed`: also the last one, by which a
    gate has let pass: what asked was cut off after that."""
    mine = [] if anew else [each for each in runs(workspace) if each.key == key]
    for each in mine:
        if not each.finished:
            return each
    if passed and mine and "gate" in mine[0].head and _stands(mine[0]):
        return mine[0]
    around = workspace.folder / FOLDER
    around.mkdir(parents=True, exist_ok=True)
    if not (around / ".gitignore").exists():
        (around / ".gitignore").write_text("*\n", encoding="utf-8")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:19]
    folder = around / f"{stamp}-{key[:8]}"
    folder.mkdir()
    stated = {"key": key, **head}
    _put(folder / ANSWERS, json.dumps({"run": stated}, ensure_ascii=False) + "\n")
    return Run(folder, key, stated, finished=False)


def answers_of(run: Run) -> Answers:
    """Those that are stored. A line that a kill cut short, or that is damaged, is no answer: its row is asked again."""
    found: Answers = {}
    for each in _lines(run.folder / ANSWERS):
        try:
            row, model = str(each.pop("row")), str(each.pop("model"))
            found[row, model] = Answer(**each)
        except (KeyError, TypeError):
            continue
    return found


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if not file.is_file():
        return
    for line in file.read_bytes().split(b"\n"):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            yield cast("dict[str, Any]", said)


def finish(run: Run, document: str, report: Mapping[str, Any]) -> None:
    """The report that programs read comes last: with it the run is finished."""
    _put(run.folder / DOCUMENT, document)
    _put(run.folder / REPORT, json.dumps(report, ensure_ascii=False, indent=1) + "\n")


def _put(file: Path, text: str) -> None:
    """Whole or not at all."""
    handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(handle, "wb") as stream:
        stream.write(text.encode(errors=HALVES))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(beside, file)


class Store:
    """Takes the answers of a run, by many threads; no other process may take them at the same time."""

    def __init__(self, run: Run) -> None:
        self._file = run.folder / ANSWERS
        self._name = run.name
        self._lock = threading.Lock()
        self._stream: BinaryIO | None = None
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        stream = self._file.open("r+b")
        if not taken(stream):
            stream.close()
            raise Conflict(
                Text("Another process of this machine is at the evaluation {name}.", name=self._name),
                Text("Wait for it, or cancel it there."),
                code="EvaluationUnderWay",
            )
        if stream.seek(0, os.SEEK_END) and (stream.seek(-1, os.SEEK_END), stream.read(1))[1] != b"\n":
            stream.write(b"\n")  # a kill in mid-write left half a line: it stays a line of its own
        self._stream = stream
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._stream is not None:
                os.fsync(self._stream.fileno())
                self._stream.close()  # and lets go of the file
                self._stream = None

    def put(self, row: str, model: str, answer: Answer) -> bool:
        """Whether it was taken: after a cancel nothing is."""
        line = (
            json.dumps({"row": row, "model": model, **asdict(answer)}, ensure_ascii=False).encode(errors=HALVES) + b"\n"
        )
        with self._lock:
            if self._stream is None:
                return False
            self._stream.write(line)
            self._stream.flush()
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._stream.fileno())
                self._synced = time.monotonic()
            return True
