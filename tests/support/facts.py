"""A plugin of pytest: which facts of real Azure the passed tests reproduce, and which captures they were compared with.

`pytest -p tests.support.facts --facts FILE` writes it as JSON. A fact is claimed with `@pytest.mark.fact(4, 23)`, by the
numbers of ../shared/design/azure-observed.md.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.evidence import USED

# Facts that ask nothing of us: what others' platforms or single runs did, from which nothing follows that a test could see.
NOT_COUNTED = frozenset((39, 85, 130, 132))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--facts", help="write the facts that passed tests claim, and the captures that they read, to a file"
    )


def pytest_configure(config: pytest.Config) -> None:
    if file := config.getoption("--facts"):
        config.pluginmanager.register(_Claims(Path(file)), "facts of real Azure")


class _Claims:
    """What the run's tests claim; only those that passed count."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._claimed: dict[str, list[int]] = {}
        self._passed: set[str] = set()
        self._failed: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            self._claimed[item.nodeid] = [number for mark in item.iter_markers("fact") for number in mark.args]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self._passed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        good = self._passed - self._failed
        facts: dict[int, list[str]] = {}
        for test in sorted(good):
            for number in self._claimed.get(test, []):
                facts.setdefault(number, []).append(test)
        captures = sorted({name for test, names in USED.items() if test in good for name in names})
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"facts": facts, "captures": captures}, indent=1), encoding="utf-8")


def read_claims(file: Path) -> tuple[dict[int, list[str]], list[str]]:
    """(the tests that passed, by the fact that they reproduce; the captures that they read)"""
    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return {int(number): tests for number, tests in written["facts"].items()}, written["captures"]


def listed_facts(text: str) -> set[int]:
    """The numbers of a list of facts, without its last part: what nobody saw, which nothing may reproduce."""
    seen = text.partition("\n## Not seen")[0]
    return {int(number) for number in re.findall(r"^(\d+)\. ", seen, re.MULTILINE)}
