"""A project's files: infra/ and inference/ from the shipped ones, never over what is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import cast

from sidecar.core.sync import IGNORED
from sidecar.core.workspace import CONFIG_KEYS, Workspace, write_atomically

PACKAGE = Path(__file__).resolve().parents[1]


def shipped() -> Path:
    """The folder that holds inference/ and infra/: inside the package in the wheel, beside it in the extension and a checkout."""
    inside = PACKAGE / "shipped"
    return inside if inside.is_dir() else PACKAGE.parent


def shipped_template() -> dict[str, object]:
    """The compiled template as it is shipped now, whatever copy a project holds."""
    file = shipped() / "infra" / "provision" / "inference.json"
    return cast("dict[str, object]", json.loads(file.read_text(encoding="utf-8")))


def in_checkout() -> bool:
    """Whether this runs from the project's own repository, where build/ is nobody's but its developers'."""
    return (PACKAGE.parent / "pyproject.toml").is_file() and (PACKAGE.parent / "tests").is_dir()


def scaffold(workspace: Workspace) -> list[str]:
    """Copies what is missing; returns the paths made, relative to the workspace. A file that exists is left alone.

    What a project keeps of its own (its id, its endpoint) is never copied: the configuration begins with nulls."""
    made: list[str] = []
    for pattern in ("infra/provision/inference.*", "inference/**/*"):
        for source in sorted(shipped().glob(pattern)):
            relative = source.relative_to(shipped())
            target = workspace.folder / relative
            if not source.is_file() or IGNORED & set(relative.parts) or source.suffix == ".pyc" or target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            made.append(relative.as_posix())
    if not workspace.config_file.exists():
        write_atomically(workspace.config_file, json.dumps(dict.fromkeys(CONFIG_KEYS), indent=2) + "\n")
        made.append(workspace.config_file.relative_to(workspace.folder).as_posix())
    return made
