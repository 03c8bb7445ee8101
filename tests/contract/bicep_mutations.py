"""`npm run contract -- bicep-mutations [SEED]`: 10,000 changed corpus files through the compiler, what it takes through planning.

Nothing may end in a traceback, and nothing take longer than a second. Not 0 where something does."""

import sys
import time
from collections import Counter

from tests.support.bicep_compiling import compiled
from tests.support.bicep_corpus import CORPUS
from tests.support.bicep_meaning import variations
from tests.support.bicep_mutations import mutations
from tests.support.bicep_snapshots import Refused, planned_whole

NUMBER = 10_000
SEED = 22
LONGEST = 1.0
"""Seconds for one file."""


def main(arguments: list[str]) -> int:
    if not CORPUS.exists():
        print("unverified: the Bicep corpus is not beside the project (../shared/bicep)")
        return 2
    seed = int(arguments[0]) if arguments else SEED
    count, wrong = measure(NUMBER, seed)
    print(", ".join(f"{number} {kind}" for kind, number in count.most_common()) + f" (seed {seed})")
    print("\n".join(wrong) or f"no traceback, and nothing slower than {LONGEST:.0f} s")
    return 1 if wrong else 0


def measure(number: int, seed: int) -> tuple[Counter[str], list[str]]:
    """What became of each, and what went wrong: the file's name and its number among the mutations of that seed."""
    count: Counter[str] = Counter()
    wrong: list[str] = []
    for place, (file, text) in enumerate(mutations(number, seed)):
        began = time.thread_time()  # of this thread alone: others may be at work too
        made = compiled(text, file.parent, file.name)
        crash = made.crash
        if made.template is not None:
            crash = _planning_crash(made.template)
        seconds = time.thread_time() - began
        count[made.kind] += 1
        if crash:
            wrong.append(f"mutation {place} of {file.name}: {crash}")
        if seconds > LONGEST:
            wrong.append(f"mutation {place} of {file.name}: {seconds:.1f} s")
    return count, wrong


def _planning_crash(template: dict[str, object]) -> str:
    _, given = next(variations(template))
    try:
        planned_whole(template, given)
    except Refused:
        return ""
    except Exception as crash:  # noqa: BLE001  (that nothing else comes out is what is measured)
        return f"planning: {crash!r}"[:300]
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
