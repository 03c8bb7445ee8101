"""Asks rows of models at one address, as many at a time as the server takes, and has each answer stored as it comes."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar.core.dataset import Answer, Case
from sidecar.core.journal import Journal
from sidecar.decisions.pace import left
from sidecar.gateway.rows import Answering, Busy, Lost, NotAnswered
from sidecar.words.errors import EndpointError, SlipwayError
from sidecar.words.text import Text

LOST_SECONDS = 600.0
"""For which answers may be lost: a lid is closed, a network changes, a replica is replaced."""

LOST_PAUSE = 2.0

TRIES = 4
"""Of a row at which the server fails (500): after that it is the row's own fault, and counts as refused."""

BUSY, UNREACHABLE = "EndpointBusy", "EndpointUnreachable"
"""Codes where no row is answered for so long."""

LATE_TRIES = 2
"""Of a row whose answer takes longer than anybody waits: the second time it is asked by itself, or nearly so."""

TELL_SECONDS = 1.0
"""Between two lines of progress."""

LOOK_SECONDS = 0.1
"""After which a cancel is heard."""

Todo = tuple[Case, str]
"""A row, and the model that is asked."""


@dataclass(frozen=True)
class Way:
    """How the models are asked. `at_once`: what the server computes at a time."""

    at_once: int
    max_tokens: int
    temperature: float
    seed: int


def ask_all(
    todo: Sequence[Todo],
    ask: Callable[[Case, str], Answer],
    put: Callable[[str, str, Answer], bool],
    journal: Journal,
    at_once: int,
    *,
    done_before: int = 0,
    look: Callable[[int], None] | None = None,
) -> None:
    """`look`: called again and again while no answer comes, with how many have. Raises Cancelled, or EndpointError where the
    others would not be answered either; what came before is stored."""
    asking = _Asking(todo, ask, put, at_once)
    workers = [
        threading.Thread(target=asking.run, name="evaluate", daemon=True) for _ in range(min(at_once, len(todo)))
    ]
    for each in workers:
        each.start()
    began, told = time.monotonic(), 0.0
    try:
        while not asking.ended.wait(LOOK_SECONDS):
            journal.check()
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                waits = asking.instead
                told_now = _progress(asking.done, len(todo), done_before, told - began)
                journal.progress(told_now if waits is None else _waiting(waits, asking.done + done_before))
                if look is not None and waits is not None:
                    look(asking.done)
    finally:
        asking.stop()  # a request under way ends by itself; its answer is not stored any more
    if asking.failed is not None:
        raise asking.failed
    if asking.broken:
        raise RuntimeError("a thread that asks ended before its time")


def _progress(done: int, count: int, before: int, seconds: float) -> Text:
    told = {"done": done + before, "all": count + before}
    if done == 0:
        return Text("Evaluating: {done} of {all} answers…", **told)
    return Text("Evaluating: {done} of {all} answers, {left} left…", **told, left=left((count - done) * seconds / done))


def _waiting(instead: NotAnswered, done: int) -> Text:
    return Text(
        "Evaluating: {done} answers; just now none comes ({problem}), asking again…", done=done, problem=instead.problem
    )


def asked_by(answering: Answering, way: Way) -> Callable[[Case, str], Answer]:
    def ask(case: Case, model: str) -> Answer:
        tokens = case.max_tokens or way.max_tokens
        return answering.ask(case, model, max_tokens=tokens, temperature=way.temperature, seed=way.seed)

    return ask


class _Asking:
    """What its workers share. A server that is busy is asked fewer at a time, and one more after each row of answers."""

    def __init__(
        self,
        todo: Sequence[Todo],
        ask: Callable[[Case, str], Answer],
        put: Callable[[str, str, Answer], bool],
        at_once: int,
    ) -> None:
        self.ended = threading.Event()
        self.done = 0
        self.failed: SlipwayError | None = None
        self.broken = False
        self.instead: NotAnswered | None = None
        """What came last, where it was no answer."""
        self._ask, self._put = ask, put
        self._todo, self._count = deque(todo), len(todo)
        self._changed = threading.Condition()
        self._stopped = False
        self._most, self._allowed, self._flying, self._answered = at_once, at_once, 0, 0
        self._not_before = 0.0
        self._tries: Counter[tuple[str, str]] = Counter()
        self._lost_at: float | None = None
        if not todo:
            self.ended.set()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self) -> None:
        """In a thread of its own. One that breaks off does not leave the others waiting for it."""
        whole = False
        try:
            self._work()
            whole = True
        finally:
            if not whole:
                self.broken = True
                self.ended.set()
                self.stop()

    def _work(self) -> None:
        while (each := self._next()) is not None:
            case, model = each
            try:
                answer = self._ask(case, model)
                stored = self._put(case.id, model, answer)
            except Busy as busy:
                if busy.failed is not None and self._tried(each) >= TRIES:
                    if self._put(case.id, model, busy.failed):
                        self._took()
                else:
                    self._again(each, busy.seconds, busy, slower=True)
            except Lost as lost:
                self._again(each, LOST_PAUSE, lost, slower=lost.late)
            except SlipwayError as error:
                self._fail(error)
            except OSError as error:  # of the file that holds the answers
                self._fail(
                    EndpointError(
                        Text("An answer could not be stored: {problem}", problem=error.strerror or error),
                        Text("Make room, then run the command again: what is stored is not asked again."),
                        code="NotStored",
                    )
                )
            else:
                if stored:
                    self._took()

    def _tried(self, each: Todo) -> int:
        with self._changed:
            self._tries[each[0].id, each[1]] += 1
            return self._tries[each[0].id, each[1]]

    def _next(self) -> Todo | None:
        with self._changed:
            while not self._stopped and not self.ended.is_set():
                wait = self._not_before - time.monotonic()
                if wait <= 0 and self._todo and self._flying < self._allowed:
                    self._flying += 1
                    return self._todo.popleft()
                self._changed.wait(wait if wait > 0 else None)
            return None

    def _took(self) -> None:
        with self._changed:
            self._flying -= 1
            self.done += 1
            self._lost_at = self.instead = None
            self._answered += 1
            if self._answered >= self._allowed and self._allowed < self._most:
                self._allowed, self._answered = self._allowed + 1, 0
            if self.done == self._count:
                self.ended.set()
            self._changed.notify_all()

    def _again(self, each: Todo, seconds: float, instead: NotAnswered, *, slower: bool) -> None:
        if instead.late and self._tried(each) >= LATE_TRIES:
            self._fail(_too_slow(each, instead))
            return
        with self._changed:
            self._flying -= 1
            self.instead = instead
            self._todo.appendleft(each)
            now = time.monotonic()
            self._not_before = max(self._not_before, now + seconds)
            if slower:
                self._allowed, self._answered = max(1, min(self._allowed, self._flying)), 0
            self._lost_at = self._lost_at if self._lost_at is not None else now
            too_long = now - self._lost_at > LOST_SECONDS
            self._changed.notify_all()
        if too_long:
            self._fail(_unanswered(instead))

    def _fail(self, error: SlipwayError) -> None:
        with self._changed:
            self.failed = self.failed or error
            self.ended.set()
            self._changed.notify_all()


def _too_slow(each: Todo, instead: NotAnswered) -> EndpointError:
    case, model = each
    return EndpointError(
        Text(
            "{place}: the answer of {model} takes longer than anybody on its way waits ({problem}).",
            place=case.place,
            model=model,
            problem=instead.problem,
        ),
        Text("Ask for fewer tokens (max_tokens), then run the command again: what is stored is not asked again."),
        code="AnswerTooSlow",
        detail=instead.detail or None,
    )


def _unanswered(instead: NotAnswered) -> EndpointError:
    """What it was at the end: that others are answered there is another cause than that nobody is there."""
    told = {"minutes": round(LOST_SECONDS / 60), "problem": instead.problem}
    busy = isinstance(instead, Busy)
    return EndpointError(
        Text("The endpoint has answered no row for {minutes} minutes; at last: {problem}.", **told),
        Text("Look at its status, then run the command again: what is stored is not asked again."),
        code=BUSY if busy else UNREACHABLE,
        detail=instead.detail or None,
    )
