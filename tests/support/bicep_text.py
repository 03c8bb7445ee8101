"""A text through the compiler, with no file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sidecar.armlang.bicep import compile_file
from sidecar.core.bicep_files import Folder

NOWHERE = Path(__file__).parent / "no-such-folder"


def compile_bicep(source: str) -> Any:
    """Raises Refused."""
    return compile_file("inference.bicep", source, Folder(NOWHERE, NOWHERE))
