"""`npm run contract -- bicep-mutations [COUNT] [SEED]`: changed files of the corpus, compiled.

Each of COUNT (10,000) Bicep files of the corpus, changed at one to four places, has to compile or be refused: a traceback,
or more than a second, is a failure. What failed is written to build/contract/mutations, and the seed says how to make it again.
"""

from __future__ import annotations

import random
import re
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from sidecar.armlang.bicep import compile_file
from sidecar.core.bicep_files import Folder
from sidecar.words.refused import Refused
from tests.support.bicep_corpus import CORPUS

KEPT = Path("build/contract/mutations")
SLOW = 1.0
_PARTS = re.compile(r"\w+|'[^'\n]*'|\s+|.")
_STRANGE = [
    *"'{}[](),!#@\n\0é\u2028",
    "${",
    "'''",
    ".?",
    "/*",
    "//",
    "=>",
    "...",
    "for",
    "if",
    "existing",
    "null",
    "9" * 20,
]


def mutated(text: str, others: list[str], chance: random.Random) -> str:
    """The text with parts taken out, doubled, exchanged, cut, or brought from another file."""
    parts = _PARTS.findall(text)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if not parts:
            break
        one, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        match chance.randrange(7):
            case 0:
                del parts[one]
            case 1:
                parts.insert(one, parts[other])
            case 2:
                parts[one], parts[other] = parts[other], parts[one]
            case 3:
                parts[one] = chance.choice(_STRANGE)
            case 4:
                parts[one] = parts[one][: len(parts[one]) // 2]
            case 5:
                brought = _PARTS.findall(chance.choice(others))
                start = chance.randrange(len(brought))
                parts[one:one] = brought[start : start + chance.randrange(1, 30)]
            case _:
                parts = parts[:one] + parts[other:] if one < other else parts[:one]
    return "".join(parts)


def main(count: int = 10_000, seed: int = 1) -> int:
    if not CORPUS.exists():
        print("unverified: the Bicep corpus is not beside the project (../shared/bicep)")
        return 0
    files = sorted(each for part in ("ok", "bad", "templates") for each in (CORPUS / part).glob("*.bicep"))
    texts = [each.read_text(encoding="utf-8") for each in files]
    chance = random.Random(seed)
    ended: Counter[str] = Counter()
    for number in range(count):
        file = chance.choice(files)
        source = mutated(texts[files.index(file)], texts, chance)
        began = time.perf_counter()
        try:
            compile_file(file.name, source, Folder(file.parent, file.parent))
            how = "compiled"
        except Refused:
            how = "refused"
        except Exception:  # noqa: BLE001  (a failure of any kind is what is looked for)
            how = "traceback"
            traceback.print_exc()
        how = "slow" if time.perf_counter() - began > SLOW else how
        ended[how] += 1
        if how in ("traceback", "slow"):
            KEPT.mkdir(parents=True, exist_ok=True)
            kept = KEPT / f"{seed}-{number}.bicep"
            kept.write_text(source, encoding="utf-8")
            print(f"{how}: {kept}, made of {file.name}")
    print(", ".join(f"{how} {many}" for how, many in sorted(ended.items())), f"(seed {seed})")
    return int(bool(ended["traceback"] or ended["slow"]))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
