"""What an app's commands start: our server, or another one in its place (inference/VLLM.md). Pure, over shell text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
JOINS = frozenset((";", "&&", "||", "|", "&"))
"""Words between two commands of a line."""

_PYTHON = re.compile(r"(?:\S*/)?python(?:3(?:\.\d+)?)?")
_OPTIONS = ("-u", "-B", "-E", "-s")
"""Of Python, which may stand before `-m`."""


def lines_of(script: str) -> list[str]:
    return [line for each in script.replace("\\\n", " ").splitlines() if (line := each.strip())]


def words_of(line: str) -> list[str] | None:
    """As the shell splits a line; None for one that is no whole command, as its quotes end in another line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return None


def is_our_start(words: Sequence[str]) -> bool:
    """`python3 -m inference`, with what may stand before it and after it."""
    rest = list(words)
    while rest and (ASSIGNED.match(rest[0]) or rest[0] == "exec"):
        rest.pop(0)
    if not rest or _PYTHON.fullmatch(rest.pop(0)) is None:
        return False
    while rest and rest[0] in _OPTIONS:
        rest.pop(0)
    return rest[:2] == ["-m", "inference"]


def commands_of(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The commands of a line, each with what joins it to the one before; empty for the first."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for word in words:
        if word in JOINS:
            found.append((word, []))
        else:
            found[-1][1].append(word)
    return [each for each in found if each[1]]


def starts_our_server(script: str) -> bool:
    """Whether the last command does: what stands before it ends, what it starts serves."""
    last = next((found for line in reversed(lines_of(script)) if (found := words_of(line)) != []), None)
    commands = commands_of(last or ())
    return bool(commands) and is_our_start(commands[-1][1])
