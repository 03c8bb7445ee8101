"""`npm run contract -- bicep`: our compiler and engine against Microsoft's, over the corpus beside the project.

A line for each goal; what does not come out follows by name (all of it with `--all`). Not 0 where a goal does not hold."""

import sys
import time

from tests.support.bicep_corpus import CORPUS
from tests.support.bicep_measures import measured

SHOWN = 5
LONGEST = 90.0
"""Seconds that the whole may take."""


def main(arguments: list[str]) -> int:
    if not CORPUS.exists():
        print("unverified: the Bicep corpus is not beside the project (../shared/bicep)")
        return 2
    began = time.monotonic()
    failed = 0
    for line in measured():
        failed += not line.holds
        print(f"{'ok    ' if line.holds else 'FAILED'} {line.title:20} {line.numbers}", flush=True)
        shown = line.wrong if "--all" in arguments else line.wrong[:SHOWN]
        for each in shown:
            print(f"           {each if '--all' in arguments else each[:300]}")
        if len(line.wrong) > len(shown):
            print(f"           … and {len(line.wrong) - len(shown)} more (--all)")
    seconds = time.monotonic() - began
    failed += seconds > LONGEST
    print(f"{'ok    ' if seconds <= LONGEST else 'FAILED'} {'time':20} {seconds:.1f} s of {LONGEST:.0f}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
