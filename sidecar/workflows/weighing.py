"""Has answers weighed by a process of its own, which is ended where it takes too long or somebody cancels: whatever a data set's
expressions do, this process answers its editor."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from sidecar.core.dataset import Answer, Case
from sidecar.decisions.weighing import Part, Weighed, stated_by, weighed
from sidecar.gateway.local import PACKAGES
from sidecar.words.errors import SlipwayError
from sidecar.words.text import Text

LIMITS: Mapping[Part, float] = {"regex": 3.0, "schema": 3.0, "texts": 60.0}
"""Seconds for one answer. An expression that comes to an end needs milliseconds; the longest texts a few seconds."""

ALONE = 5.0
"""More than that: a process whose asker was killed ends itself."""

TRIES = 3
"""Of the same expression or schema, until it is not tried any more."""

LOOK = 0.1
"""Seconds after which a cancel is heard."""

START_SECONDS = 60.0

START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from sidecar.doors.weigher import main; sys.exit(main())"
"""Found wherever this one lies, whatever the environment says of paths."""


class Weigher:
    """`check`: called while something is waited for; what it raises ends the process. Close it after use."""

    def __init__(self, check: Callable[[], None], limits: Mapping[Part, float] = LIMITS) -> None:
        self._check = check
        self._limits = limits
        self._process: _Process | None = None
        self._ended: Counter[str] = Counter()
        """How often it was ended over an expression, a schema or a text."""
        self._whys: dict[str, Text] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def weigh(self, case: Case, answer: Answer) -> Weighed:
        """Raises what `check` raises, and SlipwayError where no process can be had."""
        self._check()
        return weighed(
            {part: self._asked(part, stated, answer.text or "") for part, stated in stated_by(case, answer).items()}
        )

    def _asked(self, part: Part, stated: str, text: str) -> Mapping[str, Any] | Text:
        if self._ended[stated] >= TRIES:
            return self._whys[stated]
        limit = self._limits[part]
        if self._process is None:
            self._process = _Process(self._check)
        try:
            return self._process.ask({"part": part, "stated": stated, "text": text, "seconds": limit + ALONE}, limit)
        except _Late:
            why = _late(part, stated, limit)
        except _Ended as ended:
            why = Text("The process that judges ended over it ({problem}).", problem=str(ended) or "?")
        self._end()
        self._ended[stated] += 1
        self._whys[stated] = why
        return why

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


SHOWN = 120
"""Characters of an expression in a sentence."""


def _late(part: Part, stated: str, limit: float) -> Text:
    if part == "regex":
        shown = stated if len(stated) <= SHOWN else stated[:SHOWN] + "…"
        return Text(
            "The regular expression {pattern} had not come to an end after {seconds} s: repeat nothing in it that repeats "
            "something itself.",
            pattern=shown,
            seconds=f"{limit:g}",
        )
    if part == "schema":
        return Text(
            "Its schema had not come to an end after {seconds} s: repeat nothing in a pattern of it that repeats something "
            "itself.",
            seconds=f"{limit:g}",
        )
    return Text("Its texts are so long that they were not compared after {seconds} s.", seconds=f"{limit:g}")


class _Late(Exception):
    """It takes longer than it may."""


class _Ended(Exception):
    """The process has ended over it; by which kind of error."""


class _Process:
    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        command = [sys.executable, "-P", "-c", START, str(PACKAGES)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=PACKAGES,
                start_new_session=True,  # Ctrl-C is ours to hear
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise _not_to_be_had(str(error)) from error
        self._said: SimpleQueue[bytes | None] = SimpleQueue()
        self._wrong: list[bytes] = []
        self._fresh = True
        reads = (
            lambda: _each(cast("BinaryIO", self._process.stdout), self._said),
            lambda: self._wrong.append(cast("BinaryIO", self._process.stderr).read()),
        )
        self._readers = [threading.Thread(target=read, daemon=True) for read in reads]
        for each in self._readers:
            each.start()

    def ask(self, question: Mapping[str, Any], limit: float) -> dict[str, Any]:
        """Raises _Late, _Ended, and what `check` raises."""
        if self._fresh:  # what it needs to begin counts apart
            self._fresh = False
            self._sent({"part": "regex", "stated": "", "text": "", "seconds": START_SECONDS})
            try:
                self._heard(START_SECONDS)
            except (_Late, _Ended) as problem:
                raise _not_to_be_had(str(problem)) from problem
        self._sent(question)
        return self._heard(limit)

    def _sent(self, question: Mapping[str, Any]) -> None:
        stdin = cast("BinaryIO", self._process.stdin)
        try:
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
        except OSError:  # it has ended: who reads its output says so
            return

    def _heard(self, limit: float) -> dict[str, Any]:
        """Counted in looks: over a computer's sleep some clocks run on."""
        looks = 0
        while True:
            try:
                said = self._said.get(timeout=LOOK)
            except Empty:
                self._check()
                looks += 1
                if looks * LOOK >= limit:
                    raise _Late from None
                continue
            if said is None:
                for each in self._readers:
                    each.join()
                raise _Ended(b"".join(self._wrong).decode(errors="replace").strip()[-200:])
            return cast("dict[str, Any]", json.loads(said))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for each in self._readers:
            each.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            try:
                cast("BinaryIO", stream).close()
            except OSError:  # what it had not read yet
                continue


def _each(out: BinaryIO, said: SimpleQueue[bytes | None]) -> None:
    for line in out:
        said.put(line)
    said.put(None)


def _not_to_be_had(problem: str) -> SlipwayError:
    return SlipwayError(
        Text("The process that judges the answers could not be started."),
        Text("Run the command again: no answer is asked again. The detail holds what it said."),
        code="JudgeFailed",
        detail=problem or None,
    )
