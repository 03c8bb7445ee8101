"""Prints the templates of the sidecar's sentences as JSON, `found`, and the sentences that are no literal, `problems`."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

NEVER_IN_VSCODE = ("cli.py", "demo.py", "questions.py", "terminal.py", "verbs.py")


def main(root: Path) -> None:
    found: list[str] = []
    problems: list[str] = []
    for file in sorted(root.rglob("*.py")):
        if "localcloud" in file.parts or file.name in NEVER_IN_VSCODE:
            continue
        module = ast.parse(file.read_text("utf-8"))
        tables = templates_by_name(module)
        if file.parent.name == "armlang" and file.name.startswith("bicep"):
            found.extend(phrases(module))
        for node in ast.walk(module):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Text" and node.args
            ):
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append(first.value)
            elif isinstance(first, ast.Subscript) and isinstance(first.value, ast.Name) and first.value.id in tables:
                found.extend(tables[first.value.id])
            elif file.name != "text.py":
                problems.append(f"{file.relative_to(root.parent)}:{node.lineno}: Text(…) needs a literal")
    sys.stdout.write(json.dumps({"found": found, "problems": problems}))


def phrases(module: ast.Module) -> list[str]:
    """What the compiler tells by a key, where it puts a phrase into the sentence (`message_of` in words/bicep_codes.py)."""
    said: list[ast.expr] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            said += [each.value for each in node.keywords if each.arg in ("what", "place")]
            said += node.args[2:3] if isinstance(node.func, ast.Attribute) and node.func.attr == "early_only" else []
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "what":
            said.append(node.value)
    parts = [each.value for one in said for each in ast.walk(one) if isinstance(each, ast.Constant)]
    return [each for each in parts if isinstance(each, str) and " " in each]


def templates_by_name(module: ast.Module) -> dict[str, list[str]]:
    """Tables of templates: read as Text(TABLE[key], …) they are as good as literals."""
    tables: dict[str, list[str]] = {}
    for node in module.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Dict):
            continue
        values = [each.value for each in node.value.values if isinstance(each, ast.Constant)]
        texts = [each for each in values if isinstance(each, str)]
        if len(texts) == len(node.value.values):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            tables |= {target.id: texts for target in targets if isinstance(target, ast.Name)}
    return tables


if __name__ == "__main__":
    main(Path(sys.argv[1]))
