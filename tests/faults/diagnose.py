"""`npm run faults -- diagnose`: causes for which an endpoint is not ready, played on the local cloud, as a table.

A row counts when *Why is it not ready?* names the cause as expected, and what it advises makes the model answer."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sidecar.words.errors import SlipwayError
from sidecar.workflows.diagnose import Diagnosis, why_not_ready
from tests.contract.localcloud.conftest import World, eventually
from tests.faults.azure import AT_ONCE, clouded
from tests.faults.situations.causes import ROWS, Row
from tests.faults.situations.stage import Stage

TOLD_SECONDS = 120


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Play causes for which an endpoint is not ready, and what helps.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(each.name for each in ROWS)}; all when none is given")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.names) - {each.name for each in ROWS}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    rows = [each for each in ROWS if not asked.names or each.name in asked.names]
    began = time.monotonic()
    good = 0
    for quota in sorted({each.quota for each in rows}):
        with clouded(quota) as (world, folder), ThreadPoolExecutor(AT_ONCE) as pool:
            mine = [each for each in rows if each.quota == quota]
            good += sum(pool.map(lambda each: shown(each, world, folder), mine))
    print(f"faults diagnose: {good} of {len(rows)} as expected ({time.monotonic() - began:.0f} s)")
    return 0 if good == len(rows) else 1


def shown(row: Row, world: World, folder: Path) -> bool:
    """Plays a row and prints it."""
    began = time.monotonic()
    try:
        told = play(row, world, folder)
    except (AssertionError, SlipwayError, OSError, KeyError, IndexError) as error:
        print(f"{row.name} | NOT AS EXPECTED: {type(error).__name__}: {error}", flush=True)
        return False
    code = told.cause.code if told.cause is not None else ""
    print(
        f"{row.name} | {told.state} | {code} | {told.sentence} | mended ({time.monotonic() - began:.0f} s)", flush=True
    )
    return True


def play(row: Row, world: World, folder: Path) -> Diagnosis:
    """What was told; raises AssertionError where that is not as expected, or what was advised does not help."""
    stage = Stage(world, folder, f"why-{row.name}")
    try:
        row.play(stage)
        told = until(stage, lambda found: named(found, row))
        assert row.words in str(told.sentence), told
        assert next(iter(told.remedies), None) == row.first, told.remedies
        row.check(stage, told)
        row.mend(stage)
        until(stage, lambda found: found.cause is None and found.state == "ready")
        return told
    finally:
        stage.end()


def until(stage: Stage, right: Callable[[Diagnosis], bool]) -> Diagnosis:
    found: list[Diagnosis] = []

    def looked() -> Diagnosis | None:
        found.append(asked(stage))
        return found[-1] if right(found[-1]) else None

    try:
        return eventually(looked, TOLD_SECONDS)
    except AssertionError as late:
        raise AssertionError(f"it says {found[-1]}") from late


def asked(stage: Stage) -> Diagnosis:
    return why_not_ready(stage.project.workspace, stage.project.session)


def named(found: Diagnosis, row: Row) -> bool:
    return found.state == row.state and found.cause is not None and found.cause.code == row.code


if __name__ == "__main__":
    sys.exit(main())
