"""What the server is at the moment: how far it has loaded, the engine and its adapters, and who is admitted."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from inference.engine.adapters.table import Adapters, InstalledAdapter
from inference.engine.adapters.watch import Watch
from inference.engine.engine import Delta, Engine, Sink
from inference.engine.files.adapter import BASE_SLOT
from inference.engine.files.generation_config import API_DEFAULTS, SamplingDefaults
from inference.engine.files.patience import passes
from inference.engine.text.tokenizer import Tokenizer
from inference.engine.text.tokenizer_grammars import TokenizerGrammars
from inference.gpu_metrics import Gpu
from inference.messages import ApiError
from inference.metrics import Metrics
from inference.progress import Progress
from inference.settings import Settings

log = logging.getLogger(__name__)

Phase = Literal[
    "dependencies", "checking", "fetching-base", "loading-base", "loading-adapters", "warming-up", "ready", "failed"
]
Note = Callable[[Phase, float | None, str], None]
VERSION = "0.1.0"


@dataclass(frozen=True)
class Readiness:
    """How far the start has come; progress from 0 to 1 where it is known."""

    phase: Phase
    progress: float | None = None
    detail: str = ""

    @property
    def status(self) -> Literal["loading", "ready", "failed"]:
        return "ready" if self.phase == "ready" else "failed" if self.phase == "failed" else "loading"

    def body(self) -> dict[str, Any]:
        return {"status": self.status, "phase": self.phase, "progress": self.progress, "detail": self.detail}


@dataclass(frozen=True)
class RunsOn:
    """What the model runs with, for people: the kind of device, a GPU's own name, the format of its numbers and weights.
    `notes`: what of it is not as one would expect."""

    device: str = ""
    gpu: str | None = None
    dtype: str = ""
    weights: str = "full"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Served:
    """A loaded base model with its engine and adapters."""

    base: str
    engine: Engine
    adapters: Adapters
    grammars: TokenizerGrammars
    watch: Watch
    runs_on: RunsOn = RunsOn()
    sampling: SamplingDefaults = API_DEFAULTS
    """What counts where a request leaves it open."""
    digest: str = ""
    """Of the base, as `base_digest` makes it; empty where nobody has."""

    def names(self) -> list[str]:
        return [self.base, *sorted(self.adapters.installed)]

    def tokenizer(self, adapter: InstalledAdapter) -> Tokenizer:
        """The one that it reads and writes with."""
        return adapter.tokenizer or self.engine.tokenizer


@dataclass(eq=False)
class Service:
    """Shared by the API and the chat page; lives as long as the process. Only the event loop changes its counters."""

    settings: Settings
    loop: asyncio.AbstractEventLoop
    readiness: Readiness = Readiness("dependencies")
    served: Served | None = None
    gpu: Gpu | None = None
    draining: bool = False
    leaving: bool = False
    """Whether another release has taken over: what is here is answered, and each answer closes its connection."""
    in_flight: int = 0
    before_loading: Callable[[], None] = lambda: None
    """Called on the loader's thread once everything is imported; the model is read when it returns."""
    metrics: Metrics = field(default_factory=Metrics)
    progress: Progress = field(default_factory=Progress)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = field(default_factory=time.monotonic)
    ready_after: float | None = None
    """Seconds from the start of the process until the model answered."""
    may_pass: bool = False
    """Whether what the start failed of may be over for a new process."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def start_loading(
        self, load: Callable[["Service"], Served], afterwards: Callable[[], None], give_up: Callable[[], None]
    ) -> None:
        """Loads in the background; `afterwards` runs on that thread once the model answers, `give_up` when it never will."""

        def run() -> None:
            try:
                self.served = load(self)
            except Exception as error:
                log.exception("the model cannot be served")
                self.may_pass = passes(error)
                log.error(
                    "a restart may mend this" if self.may_pass else "no restart mends this: it has to be put right"
                )
                # The last word: the end of a log is what a person is shown.
                self.note("failed", None, f"{error}" or type(error).__name__)
                give_up()
                return
            self.ready_after = time.monotonic() - self.began
            self.note("ready", 1.0, "")
            log.info("ready after %.1f s: %s", self.ready_after, ", ".join(self.served.names()))
            afterwards()

        threading.Thread(target=run, name="loader", daemon=True).start()

    @property
    def answers(self) -> bool:
        """Whether a request would be taken now."""
        try:
            self.model()
        except ApiError:
            return False
        return True

    def note(self, phase: Phase, progress: float | None, detail: str) -> None:
        if phase != self.readiness.phase:
            log.info("phase: %s%s", phase, f" ({detail})" if detail else "")
        if phase == "failed":
            self.progress.failed(detail or "no reason given")
        else:
            self.progress.phase(phase, progress)
        self.readiness = Readiness(phase, progress, detail)

    def deliver(self, events: list[tuple[Sink, Delta]]) -> None:
        """Hands a step's deltas to the event loop: one wake-up a step."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(hand_out, events)

    def model(self) -> Served:
        """The loaded model; 503 with the phase until there is one, and while the server drains."""
        if self.draining:
            raise ApiError(503, "the server is stopping", code="draining", retry_after=5)
        if self.served is not None and self.served.engine.failure:
            self.note("failed", None, f"the engine has failed: {self.served.engine.failure}")
        if self.served is None or self.readiness.status != "ready":
            said = self.readiness.phase + (f": {self.readiness.detail}" if self.readiness.detail else "")
            raise ApiError(503, f"the model is not ready ({said})", code="not_ready", retry_after=5)
        return self.served

    @contextmanager
    def holding(self, name: str | None) -> Generator[InstalledAdapter]:
        """The base (also for None) or adapter of that name, as it is now: from before its prompt is encoded on, for the next
        one under the name may read other tokens. 404 with the list when there is none; never another one in its place."""
        served = self.model()
        if name is None or name == served.base:
            yield InstalledAdapter(served.base, BASE_SLOT, 0, "", None)
            return
        found = served.adapters.hold(name)
        if found is None:
            raise self.unknown(name)
        try:
            yield found
        finally:
            served.adapters.let_go(found)

    def unknown(self, name: str, param: str = "model") -> ApiError:
        """404 with the list."""
        served = self.model()
        why = served.adapters.refused.get(name)
        reason = f"was refused: {why}" if why else "does not exist"
        there = ", ".join(served.names())
        return ApiError(404, f"the model {name!r} {reason}; there are: {there}", code="model_not_found", param=param)

    def check_queue(self, number: int) -> None:
        """429 when the queue has no room for so many answers; 400 when it never has."""
        most = self.settings.max_running + self.settings.max_waiting
        if number > most:
            message = f"this call asks for {number} answers (prompts times n); at most {most} fit at a time"
            raise ApiError(400, message, code="invalid_value", param="n")
        if self.in_flight + number > most:
            self.metrics.refused.inc()
            message = f"{self.in_flight} requests are running or waiting; at most {most} may"
            raise ApiError(429, message, code="rate_limit_exceeded", retry_after=2)

    def admit(self, number: int) -> None:
        """Counts requests in, or refuses them as `check_queue` does."""
        self.check_queue(number)
        self.in_flight += number
        self.idle.clear()

    def dismiss(self, number: int) -> None:
        self.in_flight -= number
        if self.in_flight == 0:
            self.idle.set()

    def below_mount(self, path: Path | None) -> str | None:
        """A folder as people know it, who see the share and not where it is mounted."""
        mount = self.settings.mount
        return path.relative_to(mount).as_posix() if path is not None and path.is_relative_to(mount) else None

    def version(self) -> dict[str, Any]:
        served, settings = self.served, self.settings
        adapters = served.adapters.installed.values() if served else ()
        refused: Mapping[str, str] = served.adapters.refused if served else {}
        return {
            "version": VERSION,
            "release": settings.release,
            "generation": settings.generation,
            "revision": settings.revision,
            "replica": settings.replica,
            "base": served.base if served else None,
            "baseHash": (served.digest or None) if served else None,
            "adapters": [
                {"name": a.name, "hash": a.digest, "folder": self.below_mount(a.path)}
                for a in sorted(adapters, key=lambda a: a.name)
            ],
            "refused": [{"name": name, "reason": reason} for name, reason in sorted(refused.items())],
            "startedAt": self.started.isoformat(timespec="seconds"),
            "readyAfter": None if self.ready_after is None else round(self.ready_after, 1),
            "engine": served.engine.kind if served else None,
            "limits": {"running": settings.max_running, "waiting": settings.max_waiting},
            "keys": len({settings.api_key, settings.previous_key} - {""}),
            "device": served.runs_on.device if served else None,
            "gpu": served.runs_on.gpu if served else None,
            "dtype": served.runs_on.dtype if served else None,
            "weights": served.runs_on.weights if served else None,
            "attention": served.engine.attention if served else None,
            "notes": [*served.runs_on.notes, *served.engine.notes] if served else [],
        }


def hand_out(events: list[tuple[Sink, Delta]]) -> None:
    for sink, delta in events:
        sink(delta)
