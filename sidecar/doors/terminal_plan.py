"""Plans in a terminal: the document on the screen, and the file that `apply` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from sidecar.core.workspace import write_atomically
from sidecar.words.errors import WorkspaceError
from sidecar.words.names import CLOUDS
from sidecar.words.text import Text

KEYS = ("folder", "cloud", "subscriptionId", "resourceGroup", "digest")
"""Of a plan's file, what applying it needs."""


def save(file: str, document: dict[str, Any]) -> None:
    """Raises WorkspaceError where the file can't be written."""
    try:
        write_atomically(Path(file).absolute(), json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except OSError as problem:
        raise WorkspaceError(
            Text("The plan could not be written to {file} ({problem}).", file=file, problem=problem),
            Text("Name a file that you may write in `plan --output FILE`."),
            code="PlanNotWritten",
        ) from problem


def taken(file: str) -> dict[str, str | None]:
    """What `apply` needs of a plan's file. Raises WorkspaceError for a file that holds no plan."""
    try:
        said: object = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise _no_plan(file, str(problem)) from problem
    plan = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    lacking = [key for key in KEYS if not isinstance(plan.get(key), str)]
    if lacking:
        raise _no_plan(file, f"no {', '.join(lacking)}")
    if plan["cloud"] not in CLOUDS:
        raise _no_plan(file, f"its cloud is {plan['cloud']}, which is none of {', '.join(CLOUDS)}")
    named = {key: each if isinstance(each := plan.get(key), str) else None for key in ("parameters", "app")}
    return {**{key: str(plan[key]) for key in KEYS}, **named}


def _no_plan(file: str, problem: str) -> WorkspaceError:
    return WorkspaceError(
        Text("{file} holds no plan ({problem}).", file=file, problem=problem),
        Text("Make one with `plan --output FILE`."),
        code="NoPlan",
    )
