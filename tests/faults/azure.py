"""`npm run faults -- azure`: failures that real Azure was seen to have, played on the local cloud, as a table.

A row counts when the local cloud showed the cause as the row's capture of real Azure has it, the product told the person its
code and sentence in time, and a caller of the endpoint got from the release before what is expected.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sidecar.words.errors import SlipwayError
from tests.contract.localcloud.conftest import World, start_cloud
from tests.faults.situations.row import Came, Situation, wrong
from tests.faults.situations.running import RUNNING
from tests.faults.situations.stage import PASSWORD, REGISTRY, STUCK, Stage, captured
from tests.faults.situations.starts import STARTS
from tests.faults.situations.writes import WRITES
from tests.support.evidence import EVIDENCE

SITUATIONS: tuple[Situation, ...] = (*STARTS, *WRITES, *RUNNING)
AT_ONCE = 2
"""Rows that run side by side: they mostly wait."""

TIMES: Mapping[str, float] = {
    "poll": 0, "tick": 0.05, "scale": 0.02, "cooldown_scale": 1, "bounds": 0.2,
    "port_mismatch": 30, "activation_deadline": 60, "stale_target": 100,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Play failures of real Azure on the local cloud.")
    parser.add_argument(
        "names", nargs="*", help=f"of {', '.join(each.name for each in SITUATIONS)}; all when none is given"
    )
    parser.add_argument("--without", choices=["evidence"], help="compare nothing with the captures of real Azure")
    parser.add_argument(
        "--evidence", type=Path, default=EVIDENCE, help="where the captures are, when not beside the project"
    )
    asked = parser.parse_args(arguments)
    unknown = set(asked.names) - {each.name for each in SITUATIONS}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    evidence: Path | None = None if asked.without else asked.evidence
    if evidence is not None and not evidence.exists():
        print(f"The captures of real Azure are not at {evidence}: no row can be as expected (see --without evidence).")
    rows = [each for each in SITUATIONS if not asked.names or each.name in asked.names]
    began = time.monotonic()
    good = sum(played(rows, evidence))
    took = f"{time.monotonic() - began:.0f} s"
    print(f"faults azure: {good} of {len(rows)} as expected, of {len(causes(rows))} different causes ({took})")
    return 0 if good == len(rows) else 1


def causes(rows: Sequence[Situation]) -> set[str]:
    """No two of the same: a cause that several rows show in other places counts once."""
    return {each.same_cause_as or each.name for each in rows}


def played(rows: Sequence[Situation], evidence: Path | None) -> list[bool]:
    """Whether each row came as expected. Those that need few GPUs have a cloud of their own."""
    results: list[bool] = []
    for quota in sorted({each.quota or 0 for each in rows}):
        with clouded(quota or 40) as (world, folder), ThreadPoolExecutor(AT_ONCE) as pool:
            mine = [each for each in rows if (each.quota or 0) == quota]
            results += pool.map(lambda each: shown(each, world, folder, evidence), mine)
    return results


@contextmanager
def clouded(quota: int, times: Mapping[str, float] = TIMES) -> Generator[tuple[World, Path]]:
    settings = {
        "times": dict(times),
        "default_gpu_quota": quota,
        "environments_quota": 100,
        "registries": {REGISTRY: {"password": PASSWORD, "missing": ["app:gone"], "other_platform": ["app:arm64"]}},
        "stuck_keys": [STUCK],
    }
    with tempfile.TemporaryDirectory(prefix="slipway-faults-", ignore_cleanup_errors=True) as folder:
        world = start_cloud(Path(folder) / "cloud", "--throwaway", settings=settings)
        try:
            world.register()
            yield world, Path(folder)
        finally:
            world.stop()


def shown(situation: Situation, world: World, folder: Path, evidence: Path | None) -> bool:
    """Plays a row and prints it."""
    began = time.monotonic()
    try:
        found, problems = play(situation, world, folder, evidence)
    except (AssertionError, SlipwayError, OSError, KeyError) as error:
        print(f"{situation.name} | {situation.cause} | NOT AS EXPECTED: {type(error).__name__}: {error}", flush=True)
        return False
    verdict = "as expected" if not problems else f"NOT AS EXPECTED: {'; '.join(problems)}"
    calls = f"old release {found.serving} ({found.calls.count('200')} of {len(found.calls)} answered)"
    cells = (
        situation.name,
        situation.cause,
        situation.evidence,
        f"told {found.told.code}: {found.told.sentence}",
        f"after {found.after:.1f} s",
        calls if found.calls else "no old release",
        f"{verdict} ({time.monotonic() - began:.0f} s)",
    )
    print(" | ".join(cells), flush=True)
    return not problems


def play(situation: Situation, world: World, folder: Path, evidence: Path | None) -> tuple[Came, list[str]]:
    """What came of a row, and what of it is not as expected. `evidence`: where the captures are; None: nothing is compared."""
    stage = Stage(world, folder, situation.name)
    try:
        found = situation.play(stage)
        unlike = [] if evidence is None else found.compare(captured(evidence / situation.evidence))
        return found, [*(f"unlike Azure: {each}" for each in unlike), *wrong(situation, found)]
    finally:
        stage.end()


if __name__ == "__main__":
    sys.exit(main())
