"""Habits that no other tool holds. Whoever in a test patches a module of ours, or sleeps, says why in the same statement, and
those that do are listed. A late import says why. No file is longer than 400 lines. Which cloud answers is asked in one
place, and decisions take values from the gateway, nothing that asks."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = ("sidecar", "inference")
REASON = re.compile(r"# (patched|sleeps): *(\S.*)")


ROOMS = ("extension", "inference", "infra", "sidecar", "tests")
WRITTEN = ("*.py", "*.ts", "*.mjs")
MOST_LINES = 400
LONGER: dict[str, str] = {"extension/protocol.ts": "written from the wire's messages, a subject each on that side"}
"""Files that may be longer, each with its reason."""
IF_LOCAL = "sidecar/gateway/session.py"
"""Alone asks whether the local cloud answers; doors may word it."""
BELOW_THE_DOORS = ("sidecar/workflows/", "sidecar/decisions/", "sidecar/gateway/", "sidecar/core/")
LATE = re.compile(r"# noqa: [A-Z0-9, ]*PLC0415(?! {2}\(\S.*\))")


def main() -> int:
    files = written()
    problems = long_files({name: text.count("\n") for name, text in files.items()})
    for name, text in files.items():
        problems += late_imports(name, text)
        if name.startswith(BELOW_THE_DOORS) and name.endswith(".py") and name != IF_LOCAL:
            problems += asks_which_cloud(name, text)
        if name.startswith("sidecar/decisions/"):
            problems += takes_more_than_values(name, text)
        if name.startswith("tests/") and name.endswith(".py"):
            problems += without_reason(name, text)
    print("\n".join(problems) or "habits: kept")
    return 1 if problems else 0


def written() -> dict[str, str]:
    """Every file that is written by hand, by its path in the repository."""
    files = [each for room in ROOMS for kind in WRITTEN for each in (ROOT / room).rglob(kind)]
    files += [each for kind in WRITTEN for each in ROOT.glob(kind)]
    made = ("node_modules", "__pycache__")
    names = {each.relative_to(ROOT).as_posix(): each for each in files if not set(made) & set(each.parts)}
    return {name: names[name].read_text(encoding="utf-8") for name in sorted(names)}


def long_files(lines: Mapping[str, int]) -> list[str]:
    """Files that are too long, and exceptions that nobody needs any more."""
    long = [name for name, count in lines.items() if count > MOST_LINES]
    return [
        *(f"{name} has more than {MOST_LINES} lines: split it by subject" for name in long if name not in LONGER),
        *(f"{name} is no longer too long: strike it from LONGER" for name in LONGER if name not in long),
    ]


def late_imports(name: str, text: str) -> list[str]:
    lines = enumerate(text.splitlines(), start=1)
    return [
        f"{name}:{number} needs a reason behind its noqa: PLC0415  (…)" for number, line in lines if LATE.search(line)
    ]


def asks_which_cloud(name: str, text: str) -> list[str]:
    """Comparisons with the local cloud's name, and looks at a session's `local`."""
    return [
        f"{name}:{node.lineno} asks whether the cloud is local: give the session a property that says what differs"
        for node in ast.walk(ast.parse(text))
        if (isinstance(node, ast.Compare) and any(_says_local(each) for each in (node.left, *node.comparators)))
        or (isinstance(node, ast.Attribute) and node.attr == "local" and "session" in ast.unparse(node.value))
    ]


PURE = ("moment",)
"""Functions of the gateway that decisions may call: they read what they are given."""


def takes_more_than_values(name: str, text: str) -> list[str]:
    """What a decision imports from the gateway beside classes and constants."""
    return [
        f"{name}:{node.lineno} takes {alias.name} from the gateway: a decision asks nobody"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sidecar.gateway")
        for alias in node.names
        if not alias.name[0].isupper() and alias.name not in PURE
    ]


def _says_local(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "local"


def without_reason(name: str, text: str) -> list[str]:
    """Patches and sleeps that give none; those that do are printed."""
    problems: list[str] = []
    lines = text.splitlines()
    for node, kind in found(ast.parse(text)):
        said = REASON.search("\n".join(lines[node.lineno - 1 : node.end_lineno]))
        if said is None or said[1] != kind:
            problems.append(f"{name}:{node.lineno} needs a reason in its line: # {kind}: …")
        else:
            print(f"{name}:{node.lineno} {kind}: {said[2]}")
    return problems


def found(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    """Calls that patch something imported from our packages, and calls that sleep for longer than a turn of the loop."""
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        target = ast.unparse(node.args[0]) if node.args else ""
        if node.func.attr in ("setattr", "object") and target.split(".")[0].strip("'\"") in ours | set(OURS):
            yield node, "patched"
        if node.func.attr == "sleep" and target != "0":
            yield node, "sleeps"


if __name__ == "__main__":
    sys.exit(main())
