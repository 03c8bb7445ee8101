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
        return (
            "KeyVaultReference",
            Text(
                "{name} refers to a secret of a key vault (reference): such parameters are not read here. Write the value, "
                "or deploy this file with az deployment group create.",
                name=name,
            ),
        )
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
    found = re.search(rf'"{re.escape(key)}"\s*:', text)
    start = 0 if found is None else found.start()
    line = text.count("\n", 0, start) + 1
    return Problem(str(file), shown, line, start - text.rfind("\n", 0, start), sentence)
