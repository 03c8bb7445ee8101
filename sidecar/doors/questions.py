"""What a terminal asks, where a person sits at it: consents, project files, subscription and resource group."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sidecar.words.errors import Cancelled, ConsentNeeded
from sidecar.words.text import Text

GROUP_NAME = re.compile(r"[\w\-.()]{1,90}(?<!\.)")
"""Azure's rule for resource group names."""


def attended() -> bool:
    """Whether a person can be asked: both what is asked and what is answered go through a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@dataclass(frozen=True)
class Choice:
    """One line of a list: what it stands for, how it is named, and what is said beside it."""

    value: str
    label: str
    detail: str = ""


def agreed(needed: ConsentNeeded) -> bool:
    print(needed.message, file=sys.stderr)
    return yes("Agree?", default=False)


def yes(question: str, *, default: bool) -> bool:
    answer = _read(f"{question} [{'Y/n' if default else 'y/N'}] ").lower()
    return default if answer == "" else answer in ("y", "yes")


def choose(title: str, choices: Sequence[Choice], preferred: str | None) -> str:
    """The value of the line that the person names by number, label or value; Enter takes the preferred one, or the only one."""
    values = [each.value for each in choices]
    default = values.index(preferred) if preferred in values else 0 if len(values) == 1 else None
    width = max(len(each.label) for each in choices)
    print(title, file=sys.stderr)
    for index, each in enumerate(choices):
        mark = "*" if index == default else " "
        print(f"{mark}{index + 1:>3}  {each.label:<{width}}  {each.detail}".rstrip(), file=sys.stderr)
    while True:
        answer = _read("Number" + ("" if default is None else f" [{default + 1}]") + ": ")
        if answer == "" and default is not None:
            return values[default]
        if answer.isdecimal() and 1 <= int(answer) <= len(values):
            return values[int(answer) - 1]
        named = [each.value for each in choices if answer.lower() in (each.label.lower(), each.value.lower())]
        if len(named) == 1:
            return named[0]
        print(f"  Give a number from 1 to {len(values)}.", file=sys.stderr)


def text(question: str, problem: Callable[[str], str | None], proposed: str = "") -> str:
    """A line for which `problem` has nothing to say; Enter takes what is proposed."""
    while True:
        answer = _read(f"{question} [{proposed}]: " if proposed else f"{question}: ") or proposed
        wrong = problem(answer)
        if wrong is None:
            return answer
        print(f"  {wrong}", file=sys.stderr)


def proposed_group(folder: str) -> str:
    """A name for a new resource group, as VS Code proposes one."""
    return ("rg-" + re.sub(r"[^\w\-.()]+", "-", folder))[:90].rstrip(".")


def group_name_problem(name: str) -> str | None:
    if GROUP_NAME.fullmatch(name):
        return None
    return "1 to 90 letters, digits, dots, underscores, hyphens or parentheses, without a dot at the end."


def _read(prompt: str) -> str:
    """A line from the person. Ctrl-C, a request to end, and the end of input cancel at once: nothing is under way while a
    question is open."""
    try:
        with _interruptible():  # from before the prompt on: whoever sees it may press at once
            print(prompt, end="", file=sys.stderr, flush=True)
            line = sys.stdin.readline()
    except KeyboardInterrupt:
        line = ""
    if line == "":
        print(file=sys.stderr)
        raise Cancelled(Text("Cancelled. Nothing more is started."))
    return line.strip()


@contextmanager
def _interruptible() -> Generator[None]:
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
