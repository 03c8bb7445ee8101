"""Where this machine remembers what the commands have read and done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def state_folder(environ: Mapping[str, str]) -> Path:
    """$SLIPWAY_STATE, or in the XDG data folder."""
    data = Path(environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "share")
    return Path(environ.get("SLIPWAY_STATE") or data / "slipway")
