"""A project's files: infra/ and inference/ from the shipped ones, never over what is there."""

from __future__ import annotations

import shutil
from pathlib import Path

from sidecar.sync import IGNORED
from sidecar.workspace import Workspace


def shipped() -> Path:
    """The folder that holds sidecar/, inference/ and infra/: the extension, or a checkout."""
    return Path(__file__).resolve().parent.parent


def scaffold(workspace: Workspace) -> list[str]:
    """Copies what is missing; returns the paths made, relative to the workspace. A file that exists is left alone."""
    made: list[str] = []
    for top in ("infra", "inference"):
        for source in sorted((shipped() / top).rglob("*")):
            relative = source.relative_to(shipped())
            target = workspace.folder / relative
            if not source.is_file() or IGNORED & set(relative.parts) or source.suffix == ".pyc" or target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            made.append(relative.as_posix())
    return made
