"""Plans in a terminal: the document on the screen, and the file that `apply` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from sidecar.core.workspace import write_atomically
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

KEYS = ("folder", "cloud", "subscriptionId", "resourceGroup", "digest")
"""Of a plan's file, what applying it needs."""


def save(file: str, document: dict[str, Any]) -> None:
    write_atomically(Path(file).absolute(), json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def taken(file: str) -> dict[str, str]:
    """What `apply` needs of a plan's file. Raises WorkspaceError for a file that holds no plan."""
    try:
        said: object = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise _no_plan(file, str(problem)) from problem
    plan = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    lacking = [key for key in KEYS if not isinstance(plan.get(key), str)]
    if lacking:
        raise _no_plan(file, f"no {', '.join(lacking)}")
    return {key: str(plan[key]) for key in KEYS}


def _no_plan(file: str, problem: str) -> WorkspaceError:
    return WorkspaceError(
        Text("{file} holds no plan ({problem}).", file=file, problem=problem),
        Text("Make one with `plan --output FILE`."),
        code="NoPlan",
    )
