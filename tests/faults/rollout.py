"""`npm run faults -- rollout`: each strategy of a roll-out with its faults and its kills, as a table.

A row counts when its fault struck, its outcome is read outside the code under test, and the callers, who ask nothing twice, have
counted no request that failed or was answered by two releases or with another release's text. Rows `in-place-…-beside` and
`-in-turn` need the model server's sample and no cloud; other rows in place deploy it; the rest has a server that tells its
release. `npm run faults -- rollout-load` is the same under load."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sidecar.words.names import StrategyWish
from tests.faults import serving
from tests.faults.azure import clouded
from tests.faults.ground import World
from tests.faults.rolling import gate_rows, in_place, in_place_rows, kills, restart_rows, revision_rows, upload_kills
from tests.faults.rolling.ground import Rolling
from tests.faults.rolling.table import Group, Play, Told, chosen_from
from tests.faults.rolling.table import main as play
from tests.support.contained import ROOT

TIMES = {"poll": 1, "tick": 0.05, "scale": 0.02, "cooldown_scale": 1, "bounds": 0.5}
GPUS = 8
PARTS = 3
"""Of the sweep of the strategy revision: it takes longest."""

SERVING = {"41-swapped": serving.swapped, "41-memory": serving.out_of_memory}
"""An adapter that is replaced, and a request for which the memory is not enough, while others are answered."""

Rows = Mapping[str, Callable[[Rolling], Told]]


@contextmanager
def on_cloud(rows: Rows, gpus: int = GPUS) -> Generator[Play]:
    """Each row has an app of its own."""
    with clouded(gpus, TIMES) as (world, folder):

        def play_row(name: str) -> Told:
            ground = Rolling(world, folder, name)
            try:
                return rows[name](ground)
            finally:
                ground.end()

        yield play_row


def killing(wish: StrategyWish, part: int = 0, parts: int = 1) -> Callable[[Rolling], Told]:
    return partial(kills.row, wish=wish, part=part, parts=parts)


@contextmanager
def on_servers() -> Generator[Play]:
    command = [sys.executable, "-m", "sidecar.sample", "--cached"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory(prefix="slipway-faults-") as folder:

        def play_row(name: str) -> Told:
            row = SERVING[name](World(Path(done.stdout.strip().splitlines()[-1]), Path(folder)))
            return Told(row.bound, f"{row.outcome}; control: {row.control}", row.held and row.hits > 0)

        yield play_row


def group(rows: Rows, gpus: int = GPUS) -> Group:
    return Group(tuple(rows), partial(on_cloud, rows, gpus))


REVISION_KILLS: Rows = {f"revision-kills-{part + 1}": killing("revision", part, PARTS) for part in range(PARTS)}
ONE_GPU: Rows = {**revision_rows.ONE_GPU, **restart_rows.ONE_GPU}
GROUPS = (
    Group(tuple(in_place_rows.ROWS), in_place_rows.opened),
    *(group({name: row}) for name, row in REVISION_KILLS.items()),
    group({"restart-kills": killing("restart")}),
    group(restart_rows.ROWS),
    group(revision_rows.ROWS),
    group(gate_rows.ROWS),
    Group(tuple(upload_kills.ROWS), upload_kills.opened),
    Group(tuple(in_place.ROWS), in_place.opened),
    Group(tuple(in_place_rows.MORE_GPUS), partial(in_place_rows.opened, 3)),
    group(ONE_GPU, gpus=1),
    Group(tuple(SERVING), on_servers),
)
"""The longest first."""


def main(arguments: Sequence[str] | None = None) -> int:
    description = "Roll releases out with faults and kills, on the local cloud."
    return play("faults rollout", GROUPS, chosen_from(arguments, description, GROUPS))


if __name__ == "__main__":
    sys.exit(main())
