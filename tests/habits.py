"""Habits that tests keep: whoever patches a module of ours, or sleeps, says why in the same statement. Lists those that do."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = ("sidecar", "inference")
REASON = re.compile(r"# (patched|sleeps): *(\S.*)")


def main() -> int:
    without: list[str] = []
    for file in sorted((ROOT / "tests").rglob("*.py")):
        if "node_modules" in file.parts:
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        for node, kind in found(ast.parse("\n".join(lines))):
            said = REASON.search("\n".join(lines[node.lineno - 1 : node.end_lineno]))
            place = f"{file.relative_to(ROOT)}:{node.lineno}"
            if said is None or said[1] != kind:
                without.append(f"{place} needs a reason in its line: # {kind}: …")
            else:
                print(f"{place} {kind}: {said[2]}")
    print("\n".join(without) or "habits: kept")
    return 1 if without else 0


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
