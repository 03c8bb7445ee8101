"""`npm run faults -- provision`: what goes wrong in a Provision, played on the local cloud, as a table.

A row counts when its fault struck and its outcome is read outside the code under test. After each row a Provision without a
fault is the control run. Asserted over all rows: I1 what served answers on, I2 the next run converges, I3 no secret is written,
I4 each failure has code, subject and next step, I5 each row stays under its bound, I6 a cancel and a kill leave what can be gone
on with."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from sidecar.words.errors import SlipwayError
from tests.contract.localcloud.conftest import World
from tests.faults.azure import clouded
from tests.faults.deploying import secrets
from tests.faults.provisioning import sweep
from tests.faults.provisioning.answers_rows import ANSWERS
from tests.faults.provisioning.ground import Ground, Row
from tests.faults.provisioning.plan_rows import PLANS
from tests.faults.provisioning.waits_rows import WAITS

TIMES: Mapping[str, float] = {
    "poll": 0,
    "tick": 0.05,
    "scale": 0.02,
    "cooldown_scale": 1,
    "bounds": 0.2,
    "environment": 120,
}
SLOWER: Mapping[str, float] = {**TIMES, "environment": 1000}
SLOW = frozenset({"18-verb"})
"""What must meet a deployment that runs after another process has begun."""

ROWS: Mapping[str, Callable[[Ground], Row]] = {**ANSWERS, **PLANS, **WAITS}
SWEEP = "17"
SECRETS = "secrets"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Play what goes wrong in a Provision on the local cloud.")
    names = [*ROWS, SWEEP, SECRETS]
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names)}; all when none is given")
    parser.add_argument("--every", type=int, default=1, help="of the sweep's points, play one in so many")
    parser.add_argument("--lanes", type=int, default=2, help="clouds for the rows, beside two for the sweep")
    asked = parser.parse_args(arguments)
    unknown = set(asked.names) - set(names)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    chosen = asked.names or names
    began = time.monotonic()
    plain = [each for each in chosen if each in ROWS]
    with ThreadPoolExecutor(asked.lanes + 1) as pool:
        lanes = [pool.submit(played, plain[lane :: asked.lanes], SECRETS in chosen) for lane in range(asked.lanes)]
        killed = pool.submit(swept, asked.every) if SWEEP in chosen else None
        rows = [row for lane in lanes for row in lane.result()]
        rows += killed.result() if killed is not None else []
    good = sum(holds(each) for each in rows)
    print(f"faults provision: {good} of {len(rows)} as expected ({time.monotonic() - began:.0f} s)")
    return 0 if good == len(rows) else 1


def swept(every: int) -> list[Row]:
    with clouded(8, TIMES) as one, clouded(8, TIMES) as other:
        return [shown(each) for each in sweep.row([one, other], every)]


def played(names: Sequence[str], also_secrets: bool) -> list[Row]:
    """One lane: its rows one after the other, on clouds of its own; then I3 over all that they wrote."""
    rows: list[Row] = []
    slow = [each for each in names if each in SLOW]
    for times, mine in ((TIMES, [each for each in names if each not in slow]), (SLOWER, slow)):
        if not mine:
            continue
        grounds: list[Ground] = []
        known: dict[str, str] = {}
        with clouded(8, times) as (world, folder):
            for name in mine:
                rows.append(shown(play(name, world, folder, grounds, known)))
            if also_secrets:
                rows.append(shown(without_secrets(known, folder, world, grounds)))
    return rows


def play(name: str, world: World, folder: Path, grounds: list[Ground], known: dict[str, str]) -> Row:
    """A row and, after it, what holds for every row. `known`: the secrets that there were, for the search."""
    number = int(name.partition("-")[0])
    ground = Ground(world, folder, f"row-{name}")
    grounds.append(ground)
    try:
        row = ROWS[name](ground)
        wrong = [*row.wrong, *ground.torn(), *ground.untold(), *ground.converges()]
        if row.seconds > row.bound:
            wrong.append(f"I5: {row.seconds:.1f} s are more than {row.bound:.0f}")
        known |= secrets.secrets_of(world, [ground])
        ground.end()
    except (AssertionError, OSError, KeyError, ValueError, SlipwayError) as error:
        return Row(number, name, "", f"{type(error).__name__}: {error}", 0, 0, 0, as_expected=False)
    return replace(row, wrong=tuple(wrong))


def without_secrets(known: Mapping[str, str], folder: Path, world: World, grounds: Sequence[Ground]) -> Row:
    """I3: keys, secrets and tokens, however they may be spelt, in everything that was written by the product or for it."""
    began = time.monotonic()
    texts = {f"output of {each.name}": "".join(each.written).encode() for each in grounds}
    for file in folder.rglob("*"):
        if file.is_file() and world.state not in file.parents:
            texts[str(file)] = file.read_bytes()
    hits = [
        f"{what} in {where}"
        for what, secret in known.items()
        for where, text in texts.items()
        if any(each in text for each in secrets.spellings(secret))
    ]
    size = sum(map(len, texts.values())) // 1024
    return Row(
        44, "a search for secrets in everything written (I3)", "zero hits",
        f"{len(known)} secrets looked for in {len(texts)} files and outputs, {size} KiB: {'; '.join(hits) or 'no hit'}",
        time.monotonic() - began, 60, len(hits), not hits and bool(known) and size > 0,
    )  # fmt: skip


def holds(row: Row) -> bool:
    return row.as_expected and not row.wrong and (row.hits > 0 or row.number == 44)


def shown(row: Row) -> Row:
    cells = (
        f"{row.number}",
        row.fault,
        f"expected: {row.expected}",
        f"seen: {row.seen}",
        f"{row.seconds:.1f} s of {row.bound:.0f}",
        f"hits {row.hits}",
        *row.wrong,
    )
    print(" | ".join((*cells, "as expected" if holds(row) else "NOT AS EXPECTED")), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
