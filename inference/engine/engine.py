"""The engine: one thread that schedules, runs and samples, and hands out what came of each step in one go."""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, NamedTuple, Protocol

from inference.engine.adapters.table import BASE, InstalledAdapter
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import AdapterFolder
from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.scheduler import Limits, Scheduler, Slice
from inference.engine.schedule.sequence import Choice, FinishReason, SamplingParams, Sequence
from inference.engine.text.tokenizer import Detokenizer, Tokenizer

log = logging.getLogger(__name__)

PRIVATE = 1 << 40  # salts from here on are a sequence's own: nothing is shared
# What one request can make a step fail with, which the others survive. Anything else is the end of the engine.
STEP_ERRORS = (RuntimeError, ValueError, MemoryError, IndexError)


class Runner(Protocol):
    """What turns a batch of slices into tokens; the part that knows tensors."""

    @property
    def kind(self) -> str: ...
    @property
    def shares_prefixes(self) -> bool: ...
    @property
    def short_context(self) -> int:
        """Sequences beyond this many tokens use the second table of rotations."""
        ...

    @property
    def attention(self) -> str:
        """What computes it, in one word."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it computes."""
        ...

    def run(self, slices: list[Slice]) -> list[Choice]:
        """Computes the slices; one choice for each that is its sequence's last, in order."""
        ...

    def warm_up(self) -> None:
        """Makes what steps would have to wait for. To be called while there are no steps."""
        ...

    def forget(self, sequence: Sequence) -> None: ...
    def prepare_adapter(self, folder: AdapterFolder) -> Any: ...
    def install_adapter(self, slot: int, prepared: Any) -> None: ...
    def remove_adapter(self, slot: int) -> None: ...


class Delta(NamedTuple):
    """What a step brought a request: text that is certain, the tokens drawn, and at the end why it ended."""

    text: str
    choices: tuple[Choice, ...]  # only when logprobs were asked for
    drawn: int = 0
    finish: FinishReason | None = None
    cached: int = 0
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Gauges:
    """How full the engine is."""

    running: int
    waiting: int
    blocks_used: int
    blocks: int
    preemptions: int
    steps: int
    prompt_tokens: int
    generated_tokens: int


Sink = Callable[[Delta], None]
Deliver = Callable[[list[tuple[Sink, Delta]]], None]


@dataclass(eq=False)
class Flight:
    """A request under way."""

    sequence: Sequence
    sink: Sink
    tokenizer: Tokenizer
    text: Detokenizer
    unreported: int = 0  # tokens drawn whose text is not certain yet


class Engine:
    """Runs requests together. All methods may be called from any thread; the work happens on the engine's own."""

    def __init__(
        self, runner: Runner, tokenizer: Tokenizer, blocks: BlockManager, limits: Limits, context: int, deliver: Deliver
    ) -> None:
        self.tokenizer = tokenizer
        self.context = min(context, blocks.number * blocks.block_size)
        self._runner = runner
        self._scheduler = Scheduler(blocks, limits)
        self._deliver = deliver
        self._flights: dict[int, Flight] = {}
        self._ids = count(1)
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._stopping = False
        self.failure = ""
        self._steps = self._prompt_tokens = self._generated = 0
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)
        self._thread.start()

    @property
    def kind(self) -> str:
        return self._runner.kind

    @property
    def attention(self) -> str:
        return self._runner.attention

    @property
    def notes(self) -> tuple[str, ...]:
        return self._runner.notes

    def submit(self, prompt: list[int], params: SamplingParams, adapter: InstalledAdapter, sink: Sink) -> int:
        """Queues a request and returns its id; the sink gets its deltas through `deliver`."""
        number = next(self._ids)
        rope = int(len(prompt) > self._runner.short_context)
        shares = self._runner.shares_prefixes and params.prompt_logprobs is None  # what is shared is not computed
        salt = 2 * adapter.salt + rope if shares else PRIVATE + number
        chance = Random(params.seed)  # noqa: S311  (a sampler, no secret)
        sequence = Sequence(
            number, list(prompt), len(prompt), params, adapter.slot, salt=salt, random=chance, rope=rope
        )
        sequence.matcher = params.grammar.begin() if params.grammar is not None else None
        tokenizer = adapter.tokenizer or self.tokenizer
        flight = Flight(sequence, sink, tokenizer, Detokenizer(tokenizer, params.stop, params.special))
        self._inbox.put(lambda: self._begin(flight))
        return number

    def cancel(self, request: int) -> None:
        """Ends a request within a step; unknown or finished ones are let be."""
        self._inbox.put(lambda: self._drop(request))

    def install(self, slot: int, folder: AdapterFolder) -> None:
        """Reads an adapter here, and puts it into its slot between two steps."""
        prepared = self._runner.prepare_adapter(folder)
        self._between_steps(lambda: self._runner.install_adapter(slot, prepared))

    def remove(self, slot: int) -> None:
        self._between_steps(lambda: self._runner.remove_adapter(slot))

    def warm_up(self) -> None:
        """Generates two tokens through the whole path; raises when the weights give no numbers."""
        done = threading.Event()
        deltas: list[Delta] = []

        def sink(delta: Delta) -> None:
            deltas.append(delta)
            if delta.finish:
                done.set()

        params = SamplingParams(max_tokens=2, temperature=0.0, ignore_eos=True, logprobs=0)
        self.submit([0, 1, 2], params, BASE, sink)
        done.wait()
        choices = [choice for delta in deltas for choice in delta.choices]
        if deltas[-1].finish != "length" or any(choice.logprob is None or choice.logprob < -1000 for choice in choices):
            raise RuntimeError(f"the model does not compute: {deltas[-1].error or 'its weights give no finite logits'}")

    def gauges(self) -> Gauges:
        scheduler, blocks = self._scheduler, self._scheduler.blocks
        return Gauges(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting),
            blocks_used=blocks.used,
            blocks=blocks.number,
            preemptions=scheduler.preemptions,
            steps=self._steps,
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated,
        )

    def stop(self) -> None:
        """Ends the thread after its step; requests under way end as cancelled."""
        self._inbox.put(None)
        self._thread.join()

    def _between_steps(self, action: Callable[[], None]) -> None:
        done: Future[None] = Future()

        def act() -> None:
            try:
                action()
            except Exception as error:  # noqa: BLE001  (whoever waits for it raises it)
                done.set_exception(error)
            else:
                done.set_result(None)

        self._inbox.put(act)
        while not wait([done], 1.0).done:
            if not self._thread.is_alive() and not done.done():
                raise AdapterError("the server is stopping")
        done.result()

    def _loop(self) -> None:
        try:
            while not self._stopping:
                self._take_inbox()
                if not self._stopping and self._flights:
                    self._step()
        except Exception as error:
            log.exception("the engine has failed")
            self.failure = f"{type(error).__name__}: {error}"
            lost, self._flights = list(self._flights.values()), {}
            self._deliver([(flight.sink, FAILED) for flight in lost])
            while (action := self._inbox.get()) is not None:  # what was asked for meanwhile, and is from now on
                action()
            return
        for number in list(self._flights):
            self._drop(number)

    def _take_inbox(self) -> None:
        """Does what has been asked for; sleeps when there is nothing to generate either."""
        idle = not self._flights
        while True:
            try:
                action = self._inbox.get(block=idle)
            except queue.Empty:
                return
            if action is None:
                self._stopping = True
                return
            action()
            idle = not self._flights and not self._inbox.empty()

    def _begin(self, flight: Flight) -> None:
        if self.failure:
            self._deliver([(flight.sink, FAILED)])
            return
        self._flights[flight.sequence.id] = flight
        self._prompt_tokens += flight.sequence.prompt_length
        self._scheduler.add(flight.sequence)

    def _drop(self, request: int) -> None:
        flight = self._flights.get(request)
        if flight is not None:
            self._end(flight)
            self._deliver([(flight.sink, Delta("", (), finish="cancelled"))])

    def _end(self, flight: Flight) -> None:
        self._flights.pop(flight.sequence.id, None)
        self._scheduler.finish(flight.sequence)
        self._runner.forget(flight.sequence)

    def _step(self) -> None:
        slices = self._scheduler.schedule()
        if not slices:
            return
        events: list[tuple[Sink, Delta]] = []
        try:
            self._compute(slices, events)
        finally:  # who has ended is told so, even when the engine itself ends here
            if events:
                self._deliver(events)

    def _compute(self, slices: list[Slice], events: list[tuple[Sink, Delta]]) -> None:
        slices, choices = self._run(slices, events)
        self._scheduler.computed(slices)
        drawn = [part.sequence for part in slices if part.last]
        for sequence, choice in zip(drawn, choices, strict=True):
            flight = self._flights[sequence.id]
            try:
                delta = self._advance(flight, choice)
            except Exception as error:  # noqa: BLE001  (a tokenizer's error ends its own request only; its text is an answer's)
                log.error("request %d failed: %s while its text was made", sequence.id, type(error).__name__)
                self._end(flight)
                delta = Delta("", (), finish="error", error=f"{type(error).__name__} in the tokenizer")
            if delta is not SILENT:
                events.append((flight.sink, delta))
        self._steps += 1
        self._generated += len(drawn)

    def _run(self, slices: list[Slice], events: list[tuple[Sink, Delta]]) -> tuple[list[Slice], list[Choice]]:
        """Runs the batch; when that fails, each part alone, so that only the guilty request dies."""
        try:
            return slices, self._runner.run(slices)
        except STEP_ERRORS as error:
            log.warning("a step of %d requests failed (%s); running them one by one", len(slices), type(error).__name__)
        done: list[Slice] = []
        choices: list[Choice] = []
        for part in slices:
            try:
                choices.extend(self._runner.run([part]))
                done.append(part)
            except STEP_ERRORS as error:
                log.error("request %d failed: %s: %s", part.sequence.id, type(error).__name__, error)
                flight = self._flights[part.sequence.id]
                self._end(flight)
                events.append(
                    (flight.sink, Delta("", (), finish="error", error=f"{type(error).__name__} in the engine"))
                )
        return done, choices

    def _advance(self, flight: Flight, choice: Choice) -> Delta:
        """Appends a drawn token; the delta says what became certain by it."""
        sequence, params = flight.sequence, flight.sequence.params
        if choice.error:
            self._end(flight)
            return Delta("", (), finish="error", error=choice.error)
        sequence.tokens.append(choice.token)
        ended = choice.token in flight.tokenizer.eos and not params.ignore_eos
        text, stopped = ("", False) if ended else flight.text.push(choice.token)
        complete = not ended and sequence.matcher is not None and sequence.matcher.take(choice.token)
        finish: FinishReason | None = "stop" if ended or stopped or complete else None
        if finish is None and sequence.generated >= params.max_tokens:
            finish = "length"
        if finish is not None:
            self._end(flight)
            if not stopped:
                rest, stopped = flight.text.flush()
                text, finish = text + rest, "stop" if stopped else finish
        elif not sequence.rope and len(sequence.tokens) > self._runner.short_context:
            sequence.rope, sequence.salt = 1, sequence.salt + 1
            self._scheduler.restart(sequence)
            self._runner.forget(sequence)  # what it has of it was turned by the first table
        shown = (choice,) if params.logprobs is not None and not ended else ()
        if params.prompt_logprobs is not None and sequence.generated == 1:
            shown = (*prompt_choices(sequence), *shown)
        if not (text or finish or shown):
            flight.unreported += 1
            return SILENT
        drawn, flight.unreported = flight.unreported + 1, 0
        return Delta(text, shown, drawn, finish, sequence.cached if finish else 0)


def prompt_choices(sequence: Sequence) -> tuple[Choice, ...]:
    """A prompt's tokens as choices; nothing was before the first."""
    return tuple(
        sequence.scores.get(place, Choice(token))
        for place, token in enumerate(sequence.tokens[: sequence.prompt_length])
    )


SILENT = Delta("", ())
FAILED = Delta("", (), finish="error", error="the engine has failed")
