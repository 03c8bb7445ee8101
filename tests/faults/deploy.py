"""`npm run faults -- deploy`: what goes wrong in a Deploy, played on the local cloud, as a table.

A row counts when its fault struck, its outcome is read outside the code under test, and the run without it reads otherwise (each
row deploys a good release first)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from sidecar.words.errors import SlipwayError
from tests.contract.localcloud.conftest import World
from tests.faults.azure import clouded
from tests.faults.deploying import operated, secrets, sweep
from tests.faults.deploying.files_rows import FILES_ROWS
from tests.faults.deploying.ground import Ground, Row
from tests.faults.deploying.rows import ROWS

TIMES: Mapping[str, float] = {"poll": 0, "tick": 0.05, "scale": 0.02, "cooldown_scale": 1, "bounds": 0.2}
SWEEP = "20"
DELETE = "20-delete"
ROTATE = "20-rotate"
SECRETS = "44"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Play what goes wrong in a Deploy on the local cloud.")
    names = [*FILES_ROWS, *ROWS, SWEEP, DELETE, ROTATE, SECRETS]
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names)}; all when none is given")
    parser.add_argument("--every", type=int, default=1, help="of a sweep's points, play one in so many")
    asked = parser.parse_args(arguments)
    unknown = set(asked.names) - set(names)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    chosen = asked.names or names
    began = time.monotonic()
    rows: list[Row] = []
    with clouded(2 * len(ROWS), TIMES) as (world, folder):  # each row leaves its app awake, on a GPU
        grounds: list[Ground] = []
        for name in (each for each in chosen if each in FILES_ROWS):
            rows.append(shown(guarded(name, lambda name=name: FILES_ROWS[name](world, folder))))
        for name in (each for each in chosen if each in ROWS):
            rows.append(shown(play(name, world, folder, grounds)))
        if SWEEP in chosen:
            with clouded(8, TIMES) as (other, elsewhere):
                pair = [Ground(world, folder, "row-20"), Ground(other, elsewhere, "row-20")]
                rows.append(shown(sweep.row(pair, asked.every)))
            grounds.append(pair[0])
        if DELETE in chosen:
            with clouded(8, TIMES) as (other, elsewhere):
                pair = [Ground(world, folder, "deleted"), Ground(other, elsewhere, "deleted")]
                rows.append(shown(guarded(DELETE, lambda pair=pair: operated.delete_row(pair, asked.every))))
        if ROTATE in chosen:
            with ExitStack() as stack:
                clouds = [stack.enter_context(clouded(quota, TIMES)) for quota in (1, 1, 8)]
                several = [Ground(*each, "rotated") for each in clouds]
                rows.append(shown(guarded(ROTATE, lambda several=several: operated.rotate_row(several, asked.every))))
        if SECRETS in chosen:
            rows.append(shown(secrets.row(world, folder, grounds or [Ground(world, folder, "secrets")])))
    good = sum(each.as_expected for each in rows)
    print(f"faults deploy: {good} of {len(rows)} as expected ({time.monotonic() - began:.0f} s)")
    return 0 if good == len(rows) else 1


def play(name: str, world: World, folder: Path, grounds: list[Ground]) -> Row:
    ground = Ground(world, folder, f"row-{name}")
    grounds.append(ground)
    return guarded(name, lambda: ROWS[name](ground))


def guarded(name: str, played: Callable[[], Row]) -> Row:
    """What a row came to; not as expected where it could not be played to its end."""
    try:
        return played()
    except (AssertionError, OSError, KeyError, ValueError, SlipwayError) as error:
        return Row(int(name[:2]), name, "", f"{type(error).__name__}: {error}", 0, 0, as_expected=False)


def shown(row: Row) -> Row:
    verdict = "as expected" if row.as_expected else "NOT AS EXPECTED"
    cells = (
        f"{row.number}",
        row.fault,
        f"expected: {row.expected}",
        f"seen: {row.seen}",
        f"{row.seconds:.0f} s",
        f"hits {row.hits}",
    )
    print(" | ".join((*cells, verdict)), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
