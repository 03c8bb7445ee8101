"""The steps of `npm test`: every file of tests is in exactly one of them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONG = "pytest.mark." + "long"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_every_file_of_tests_is_in_exactly_one_step() -> None:
    said = subprocess.run(["node", "dev.mjs", "steps"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    steps: dict[str, dict[str, list[str]]] = json.loads(said)
    files = [each.relative_to(ROOT) for each in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in each.parts]
    assert files

    def runs(step: dict[str, list[str]], file: Path) -> bool:
        return any(file.is_relative_to(each) for each in step["of"]) and not any(
            file.is_relative_to(each) for each in step["without"]
        )

    wrong = {
        str(file): found for file in files if len(found := [name for name in steps if runs(steps[name], file)]) != 1
    }
    assert wrong == {}
    assert all(any(runs(step, file) for file in files) for step in steps.values())


def test_what_is_left_to_the_long_tests_is_listed_for_people() -> None:
    """`npm test` leaves out what is marked long; CONTRIBUTING says which files have such tests."""
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    marked = [each for each in (ROOT / "tests").rglob("test_*.py") if LONG in each.read_text(encoding="utf-8")]
    assert marked
    assert [each.name for each in marked if f"`{each.name}`" not in told and f"/{each.name}`" not in told] == []
