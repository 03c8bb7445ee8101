"""Microsoft's Bicep CLI, spoken to through one warm process; older ones by a process for each file. Never through a shell.

The process ends with this one: its input ends then. It is ended before that when somebody cancels, or it does not answer."""

from __future__ import annotations

import atexit
import itertools
import json
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO, Literal, cast

from sidecar.core.bicep_words import Diagnostic, GarbledError, framed, next_message, of_answer, of_sarif, version_in
from sidecar.words.errors import SlipwayError, TemplateError
from sidecar.words.text import Text

LOOK = 0.1
"""Seconds between two looks at whether somebody cancels."""
METHOD_NOT_FOUND = -32601
_REPAIR = Text("Name another Bicep CLI ({setting}), or install this one anew.", setting="slipway.bicep.path")
END = 2.0
"""Seconds that one has to end by itself."""


@dataclass(frozen=True)
class Limits:
    """Seconds: until the first answer, until a file is compiled, and until one is whose modules come from a registry."""

    start: float = 60.0
    file: float = 120.0
    registry: float = 900.0

    def times(self, scale: float) -> Limits:
        return Limits(self.start * scale, self.file * scale, self.registry * scale)


@dataclass(frozen=True)
class Answer:
    """`template`: None where it refuses the file."""

    template: dict[str, object] | None
    diagnostics: tuple[Diagnostic, ...]


class EndedError(Exception):
    """The process has ended, by itself, before it answered; its last words."""


class RefusedError(Exception):
    """It answers that it can't: its words."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


Check = Callable[[], None]
"""Raises where somebody cancels."""


class BicepCli:
    """One program. Each method may be called from any thread."""

    def __init__(self, path: Path, limits: Limits, environ: Mapping[str, str]) -> None:
        self.path = path
        self._limits, self._environ = limits, dict(environ)
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._spoken: tuple[Literal["rpc", "sarif"], str] | None = None

    def version(self, check: Check) -> str:
        """Raises TemplateError where it does not run, or is no Bicep CLI."""
        return self._speech(check)[1]

    def compile(self, file: Path, check: Check, *, registry: bool = False) -> Answer:
        """Raises TemplateError, in its own words where it has some, and what `check` raises."""
        limit = self._limits.registry if registry else self._limits.file
        if self._speech(check)[0] == "sarif":
            return self._built(file, check, limit)
        try:
            return _answered(self._asked("bicep/compile", {"path": str(file)}, check, limit))
        except RefusedError as error:
            raise self._refused(str(error)) from error
        except GarbledError as error:
            raise self._garbled(error) from error

    def close(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.end()
            self._process = None

    def _speech(self, check: Check) -> tuple[Literal["rpc", "sarif"], str]:
        """How it can be spoken to, and its version; found out once."""
        if self._spoken is None:
            try:
                told = self._asked("bicep/version", {}, check, self._limits.start)
                version = str(cast("Mapping[str, object]", told)["version"])
                self._spoken = "rpc", version
            except (EndedError, GarbledError, RefusedError, KeyError, TypeError) as first:
                self.close()
                self._spoken = "sarif", self._stated(check, str(first))
        return self._spoken

    def _stated(self, check: Check, before: str) -> str:
        code, out, err = self._run(["--version"], check, self._limits.start)
        version = version_in(out)
        if code != 0 or version is None:
            said = (err or out or before).strip()[:300] or "–"
            raise TemplateError(
                Text("{cli} is no Bicep CLI, or does not run here: {problem}", cli=self.path, problem=said),
                _REPAIR,
                code="BicepCliFailed",
            )
        return version

    def _asked(self, method: str, params: Mapping[str, object], check: Check, limit: float) -> object:
        """Where the process has died, or dies over it, one more is started."""
        for attempt in (1, 2):
            process = self._running()
            try:
                return process.ask(method, params, check, limit)
            except EndedError as error:
                self._forget(process)
                if attempt == 2:
                    if method == "bicep/version":
                        raise
                    raise self._gone(str(error)) from error
            except TimeoutError as error:
                self._forget(process)
                raise self._late(limit) from error
            except (GarbledError, SlipwayError):
                self._forget(process)
                raise
        raise AssertionError("two attempts end in an answer or an error")

    def _running(self) -> _Process:
        with self._lock:
            if self._process is None or self._process.ended:
                self._process = _Process(self._started(["jsonrpc", "--stdio"]))
            return self._process

    def _forget(self, process: _Process) -> None:
        with self._lock:
            if self._process is process:
                self._process = None
        process.end()

    def _built(self, file: Path, check: Check, limit: float) -> Answer:
        code, out, err = self._run(["build", str(file), "--stdout", "--diagnostics-format", "sarif"], check, limit)
        try:
            found = tuple(of_sarif(err)) if err.strip() else ()
        except GarbledError as error:
            if "--diagnostics-format" in err:
                raise self._old() from error
            raise self._refused(err.strip()) from error
        if code != 0:
            if any(each.level == "error" for each in found):
                return Answer(None, found)
            raise self._refused(err.strip() or f"exit code {code}")
        try:
            return Answer(_template(out), found)
        except GarbledError as error:
            raise self._garbled(error) from error

    def _run(self, arguments: Sequence[str], check: Check, limit: float) -> tuple[int, str, str]:
        process = self._started(arguments)
        last = time.monotonic() + limit
        try:
            while True:
                try:
                    out, err = process.communicate(timeout=LOOK)
                except subprocess.TimeoutExpired:
                    check()
                    if time.monotonic() > last:
                        raise self._late(limit) from None
                else:
                    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def _started(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [str(self.path), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.path.parent,
                env=self._environ,
                start_new_session=True,  # Ctrl-C is ours to hear
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise TemplateError(
                Text("The Bicep CLI {cli} could not be run: {problem}", cli=self.path, problem=error),
                _REPAIR,
                code="BicepCliFailed",
            ) from error

    def _refused(self, said: str) -> TemplateError:
        return TemplateError(Text("The Bicep CLI says: {problem}", problem=said), code="BicepBuildFailed")

    def _gone(self, said: str) -> TemplateError:
        return TemplateError(
            Text("The Bicep CLI {cli} ended twice before it answered: {problem}", cli=self.path, problem=said or "–"),
            _REPAIR,
            code="BicepCliFailed",
        )

    def _garbled(self, error: GarbledError) -> TemplateError:
        return TemplateError(
            Text("What the Bicep CLI {cli} answered can't be read: {problem}", cli=self.path, problem=str(error)),
            _REPAIR,
            code="BicepCliFailed",
        )

    def _late(self, limit: float) -> TemplateError:
        return TemplateError(
            Text(
                "The Bicep CLI {cli} did not answer within {seconds} s, and was ended.",
                cli=self.path,
                seconds=f"{limit:g}",
            ),
            Text("Run the command again."),
            code="BicepCliSlow",
        )

    def _old(self) -> TemplateError:
        version = self._spoken[1] if self._spoken else "?"
        return TemplateError(
            Text(
                "The Bicep CLI {cli} is version {version}, which is too old to be asked.",
                cli=self.path,
                version=version,
            ),
            Text("Upgrade it (`az bicep upgrade`), or name a newer one ({setting}).", setting="slipway.bicep.path"),
            code="BicepCliOld",
        )


def _answered(told: object) -> Answer:
    """Raises GarbledError."""
    if not isinstance(told, dict):
        raise GarbledError("an answer has another form")
    answer = cast("Mapping[str, object]", told)
    found = tuple(of_answer(answer.get("diagnostics") or []))
    if answer.get("success") is True:
        return Answer(_template(str(answer.get("contents"))), found)
    if not any(each.level == "error" for each in found):
        raise GarbledError("it refuses a file without an error")
    return Answer(None, found)


def _template(text: str) -> dict[str, object]:
    try:
        template: object = json.loads(text)
    except ValueError as error:
        raise GarbledError("the template is no JSON") from error
    if not isinstance(template, dict):
        raise GarbledError("the template is no object")
    return cast("dict[str, object]", template)


class _Process:
    """One that is warm: questions by their number, answers as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, SimpleQueue[Mapping[str, object] | Exception]] = {}
        self._lock = threading.Lock()
        self._over: Exception | None = None
        self._last = deque[bytes](maxlen=20)
        out, err = cast("BinaryIO", process.stdout), cast("BinaryIO", process.stderr)
        self._errors = threading.Thread(target=self._last.extend, args=(err,), daemon=True)
        self._errors.start()
        threading.Thread(target=self._read, args=(out,), daemon=True).start()

    @property
    def ended(self) -> bool:
        return self._over is not None

    def ask(self, method: str, params: Mapping[str, object], check: Check, limit: float) -> object:
        """Raises RefusedError, EndedError, GarbledError, TimeoutError, and what `check` raises."""
        number, answers = next(self._numbers), SimpleQueue[Mapping[str, object] | Exception]()
        with self._lock:
            if self._over is not None:
                raise self._over
            self._waiting[number] = answers
            with suppress(OSError):  # it has ended: whoever reads its output says so
                stdin = cast("BinaryIO", self._process.stdin)
                stdin.write(framed({"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params)}))
                stdin.flush()
        last = time.monotonic() + limit
        while True:
            try:
                answer = answers.get(timeout=LOOK)
                break
            except Empty:
                check()
                if time.monotonic() > last:
                    raise TimeoutError from None
        if isinstance(answer, Exception):
            raise answer
        error = answer.get("error")
        if isinstance(error, dict):
            said = cast("Mapping[str, object]", error)
            raise RefusedError(str(said.get("message")), int(str(said.get("code") or 0)))
        return answer.get("result")

    def end(self) -> None:
        with suppress(OSError):
            cast("BinaryIO", self._process.stdin).close()
        try:
            self._process.wait(0 if self._over is None and self._waiting else END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, out: BinaryIO) -> None:
        over: Exception
        try:
            while (message := next_message(out)) is not None:
                number = message.get("id")
                waiting = self._waiting.pop(number, None) if isinstance(number, int) else None
                if waiting is not None:
                    waiting.put(message)
        except (GarbledError, OSError, ValueError) as error:
            over = error if isinstance(error, GarbledError) else EndedError(str(error))
        else:
            self._errors.join(END)
            over = EndedError(b"".join(self._last).decode(errors="replace").strip()[-300:])
        with self._lock:
            self._over = over
            waiting_still, self._waiting = list(self._waiting.values()), {}
        for each in waiting_still:
            each.put(over)


_ALL: dict[Path, tuple[float, BicepCli]] = {}
_ALL_LOCK = threading.Lock()


def warm(path: Path, environ: Mapping[str, str]) -> BicepCli:
    """The one for a program, as long as it is the same program."""
    changed = path.stat().st_mtime
    with _ALL_LOCK:
        known = _ALL.get(path)
        if known is not None and known[0] == changed:
            return known[1]
        if known is not None:
            known[1].close()
        limits = Limits().times(float(environ.get("SLIPWAY_WAIT_SCALE") or 1))
        made = BicepCli(path, limits, environ)
        _ALL[path] = changed, made
        return made


@atexit.register
def close_all() -> None:
    for _, each in _ALL.values():
        each.close()
