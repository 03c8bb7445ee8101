"""Where a person chose to provision a project last: kept in the state folder; flag, environment and files go before it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from sidecar.core.workspace import write_atomically


@dataclass(frozen=True)
class Choice:
    subscription_id: str
    resource_group: str


def project_key(folder: Path) -> str:
    """What a project's files in the state folder are called by."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def kept_choice(state: Path, folder: Path) -> Choice | None:
    """None where there is none that can be read: it is a convenience, and is made anew by the next choice."""
    try:
        found = json.loads(_file(state, folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    kept = cast("dict[str, object]", found)
    subscription, group = kept.get("subscription_id"), kept.get("resource_group")
    if not (isinstance(subscription, str) and isinstance(group, str)):
        return None
    return Choice(subscription, group)


def keep_choice(state: Path, folder: Path, choice: Choice) -> None:
    file = _file(state, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(asdict(choice), indent=2) + "\n")


def _file(state: Path, folder: Path) -> Path:
    return state / "choices" / f"{project_key(folder)}.json"
