"""What an entry of a parameters file may look like, and what is said of one that can't be used, with its place in the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from sidecar.words.errors import WorkspaceError
from sidecar.words.problems import Problem
from sidecar.words.text import Text

_PLACEHOLDERS = (
    re.compile(r"^<[^<>]+>$"),
    re.compile(r"\$\{[^{}]*\}"),
    re.compile(r"\{\{[^{}]*\}\}"),
    re.compile(r"^\[(your|my|insert|enter)\b[^\[\]]*\]$", re.IGNORECASE),
    re.compile(r"^(\.\.\.|…)$"),
)
"""`<name>`, `${NAME}` (filled in by azd), `{{name}}`, `[your-name]`, `...`: what documents and samples have in a name's place."""

_LEFT_OUT = re.compile(r"^(<[^<>]+>|\.\.\.|…)$")
"""The same among a list's items, which may be shell commands with variables of their own."""


def is_placeholder(value: object) -> bool:
    if isinstance(value, list):
        items = cast("list[object]", value)
        return any(isinstance(each, str) and _LEFT_OUT.match(each.strip()) is not None for each in items)
    return isinstance(value, str) and any(each.search(value.strip()) is not None for each in _PLACEHOLDERS)


def wrong_form(name: str, entry: object) -> tuple[str, Text] | None:
    """Code and sentence for an entry that can't be used; None for `{"value": …}` with a real value, or null."""
    if not isinstance(entry, dict):
        return "InvalidParameter", Text('The parameter {name} needs an object with a "value".', name=name)
    known = cast("dict[str, object]", entry)
    if "reference" in known:
        return _wrong_reference(name, known)
    if "expression" in known:
        return (
            "ParameterExpression",
            Text("{name} is an expression, which only Azure's own tools evaluate: write the value.", name=name),
        )
    if "value" not in known:
        return "InvalidParameter", Text('The parameter {name} needs an object with a "value".', name=name)
    value = known["value"]
    if is_placeholder(value):
        shown = value if isinstance(value, str) else name
        return "Placeholder", Text("{value} is a placeholder: write the real name, or null.", value=shown)
    return None


_VAULT = re.compile(
    r"/subscriptions/[^/<>]+/resourceGroups/[^/<>]+/providers/Microsoft\.KeyVault/vaults/[^/<>]+", re.IGNORECASE
)


def _wrong_reference(name: str, entry: dict[str, object]) -> tuple[str, Text] | None:
    """As ARM takes one to a secret of a key vault, which only ARM reads."""
    reference = _object(entry["reference"])
    vault, secret = _object(reference.get("keyVault")).get("id"), reference.get("secretName")
    for each in (vault, secret):
        if is_placeholder(each):
            return "Placeholder", Text("{value} is a placeholder: write the real name, or null.", value=each)
    version = reference.get("secretVersion", "")
    whole = isinstance(vault, str) and _VAULT.fullmatch(vault) and isinstance(secret, str) and secret
    if whole and isinstance(version, str) and "value" not in entry:
        return None
    sentence = Text(
        "{name} refers to no secret of a key vault: a reference has the vault's id (keyVault.id) and secretName, and no value.",
        name=name,
    )
    return "InvalidParameter", sentence


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def refused(file: Path, shown: str, text: str, found: Sequence[tuple[str, str, Text]]) -> WorkspaceError:
    """What is wrong with keys of a file (key, code, sentence), each with its place; the first is the error's own. `text`: the
    file's, without comments."""
    problems = [_problem(file, shown, text, key, sentence) for key, _, sentence in found]
    return with_problems(problems, found[0][1])


def with_problems(problems: Sequence[Problem], code: str) -> WorkspaceError:
    first = problems[0]
    error = WorkspaceError(
        Text("{file}, line {line}: {problem}", file=first.path, line=first.line, problem=first.message),
        Text("Correct it there and try again; nothing was changed."),
        code=code,
        detail="\n".join(map(str, problems[1:])) or None,
    )
    error.problems = tuple(problems)
    return error


def _problem(file: Path, shown: str, text: str, key: str, sentence: Text) -> Problem:
    line, column = place_of(text, key)
    return Problem(str(file), shown, line, column, sentence)


def place_of(text: str, key: str) -> tuple[int, int]:
    """Line and column of a key, from 1; of the first character where it does not stand there."""
    found = re.search(rf'"{re.escape(key)}"\s*:', text, re.IGNORECASE)
    start = 0 if found is None else found.start()
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
