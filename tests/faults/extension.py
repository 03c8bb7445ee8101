"""`npm run faults -- extension`: fault 42 in a real VS Code, as a table: the sidecar crashes, hangs, or writes what it must not.

A row counts when the person reads what is expected, the process is another one where it has to be, the operation is gone on with,
and view, status bar and commands are there as before. Driven by `tests/faults/extension.ts`; about ten minutes."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.rolling.table import Told, shown

ROOT = Path(__file__).resolve().parents[2]
DRIVE = ["node", "build/tests/faults/extension.cjs"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Play what may happen to the extension's background process.")
    parser.add_argument("names", nargs="*", help="of the rows; all when none is given")
    asked: list[str] = parser.parse_args(arguments).names
    for build in ("--package", "--tests"):
        subprocess.run(["node", "esbuild.mjs", build], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    listed: list[str] = json.loads(subprocess.check_output([*DRIVE, "--list"], cwd=ROOT))
    if unknown := set(asked) - set(listed):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(listed)}")
    wanted = [each for each in listed if not asked or each in asked]
    began = time.monotonic()
    rows = played(wanted)
    held = sum(each.held for each in rows)
    print(f"faults extension: {held} of {len(wanted)} as expected ({time.monotonic() - began:.0f} s)")
    return 0 if held == len(wanted) else 1


def played(wanted: Sequence[str]) -> list[Told]:
    """Each is printed as it ends. What the drive did not come to is not there."""
    rows: list[Told] = []
    with subprocess.Popen([*DRIVE, *wanted], cwd=ROOT, stdout=subprocess.PIPE, text=True) as drive:
        assert drive.stdout is not None
        for line in drive.stdout:
            row = json.loads(line)
            rows.append(shown(Told(row["expected"], row["seen"], row["held"], row["name"], row["seconds"])))
    return rows


if __name__ == "__main__":
    sys.exit(main())
