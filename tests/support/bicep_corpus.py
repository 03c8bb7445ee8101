"""What Microsoft's Bicep makes of a corpus, beside the project (../shared/bicep): read, and skipped where it is not there."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "bicep"


def corpus() -> Path:
    """The corpus's folder; a test that needs it is skipped, saying so, where it is not beside the project."""
    if not CORPUS.exists():
        pytest.skip("the Bicep corpus is not beside the project (../shared/bicep)")
    return CORPUS


@cache
def function_cases() -> tuple[dict[str, Any], ...]:
    """Expressions with what the official compiler and engine make of each."""
    return tuple(json.loads((corpus() / "functions.json").read_text(encoding="utf-8")))
