"""Where a Bicep CLI lies on this machine: the one that is named, else the one that a person, az, azd or Slipway put there."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sidecar.core.state_folder import state_folder
from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

NAMING = ("SLIPWAY_BICEP_PATH", "AZD_BICEP_TOOL_PATH")
"""Variables that name one; the first is VS Code's setting slipway.bicep.path."""
SETTING = "slipway.bicep.path"


def program(system: str) -> str:
    """What the CLI is called on a system (as `sys.platform` names it). Another's may be on `PATH` too, and does not run."""
    return "bicep.exe" if system == "win32" else "bicep"


def bicep_cli(environ: Mapping[str, str], system: str = sys.platform) -> Path | None:
    """None where there is none. Raises TemplateError for a named one that is not there: another is not taken in its place."""
    for variable in NAMING:
        named = environ.get(variable, "").strip()
        if not named:
            continue
        found = Path(named).expanduser()
        if found.is_file():
            return found
        told = SETTING if variable == NAMING[0] else variable
        raise TemplateError(
            Text("{name} names the Bicep CLI {path}, which is not there.", name=told, path=named),
            Text("Correct {name}, or empty it.", name=told),
            code="BicepCliMissing",
        )
    return next((each for each in _places(environ, program(system)) if each.is_file()), None)


def _places(environ: Mapping[str, str], name: str) -> Iterator[Path]:
    for folder in environ.get("PATH", "").split(os.pathsep):
        if os.path.isabs(folder) and _runs(
            Path(folder) / name
        ):  # not what lies in the folder that the command was begun in
            yield Path(folder) / name
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or os.devnull)
    for variable, own in (("AZURE_CONFIG_DIR", ".azure"), ("AZD_CONFIG_DIR", ".azd")):
        folder = environ.get(variable)
        yield (Path(folder) if folder else home / own) / "bin" / name
    yield from (each / name for each in reversed(kept(environ)))


def kept(environ: Mapping[str, str]) -> list[Path]:
    """The folders of the versions that Slipway has installed, the newest last."""
    numbered = [each for each in cache(environ).glob("*") if re.fullmatch(r"\d+\.\d+\.\d+", each.name)]
    return sorted(numbered, key=lambda each: [int(part) for part in each.name.split(".")])


def cache(environ: Mapping[str, str]) -> Path:
    return state_folder(environ) / "bicep"


def _runs(file: Path) -> bool:
    return os.access(file, os.X_OK)
