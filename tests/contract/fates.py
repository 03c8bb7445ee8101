"""`npm run contract -- fates`: what becomes of everything that Microsoft's OpenAPI files let a request state, a service a line.

The tables are `sidecar/localcloud/fates/*.md`. Exits non-zero while something has no fate, an operation has a route and is said
to be refused or the reverse, or more is kept and ignored than is agreed. `--prove` runs the test of each honoured row against a
cloud that does not hear what the row is about (tests/support/deaf_cloud.py): each has to be red.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

from sidecar.localcloud.resources.providers import is_known
from tests.contract.localcloud.replay import ROOT, SPECS
from tests.contract.spec_items import SERVICES, Operation, items, operations
from tests.contract.spec_types import TYPES, newer_items
from tests.support import fates

MOST = 120
"""Kept and ignored in all."""


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] == "--prove":
        return prove(arguments[1:])
    if arguments:
        print("npm run contract -- fates [--prove [WORD …]]")
        return 2
    if not SPECS.exists():
        print("Microsoft's OpenAPI files are not beside the project (../shared/azure-specs)")
        return 1
    table = fates.rows()
    have = {_plain(each) for each in fates.routes()}
    wrong = fates.problems()
    used: set[str] = set()
    total: Counter[str] = Counter()
    for service in SERVICES:
        counts: Counter[str] = Counter()
        taken: set[str] = set()
        for operation in operations(service):
            row = fates.row_of(table, service, operation.name, "operation", "")
            alike = fates.row_of(table, service, operation.name, "same as", "")
            here = _plain(key_of(service, operation)) in have
            if row:
                counts[row.fate] += row.place not in used
                used.add(row.place)
                wrong += [f"{row.place}: {operation.name} has a route"] if here else []
            elif alike:
                used.add(alike.place)
            elif here:
                taken.add(operation.name)
            else:
                wrong.append(
                    f"{operation.name} of {service} ({key_of(service, operation)}) has neither a route nor a fate"
                )
        for item in (*items(service, taken), *newer_items(service)):
            row = fates.row_of(table, service, item.what, item.where, item.name)
            if row is None:
                wrong.append(f"no fate: {service} | {item.what} | {item.where} | {item.name} ({item.operations[0]})")
            else:
                counts[row.fate] += 1
                used.add(row.place)
        print(
            f"{service:14} {len(taken):3} operations here  "
            + "  ".join(f"{fate} {counts[fate]}" for fate in fates.FATES)
        )
        total += counts
    if not TYPES.is_dir():
        print(
            "Microsoft's Bicep types are not beside the project (../shared/azure-specs): newer members are not looked at"
        )
    idle = [
        row
        for row in table
        if row.where not in ("route", *([] if TYPES.is_dir() else ["newer"])) and row.place not in used
    ]
    wrong += [f"{row.place} is about nothing: {row.what}, {row.name}" for row in idle]
    little = total["kept"] + total["ignored"]
    wrong += [f"{little} are kept or ignored: {MOST} at most"] if little > MOST else []
    print("\n".join(wrong))
    print(f"newer: {sum(row.where == 'newer' for row in table)} members of newer versions, not proven")
    print(f"fates: {sum(total.values())} rows met, {little} kept or ignored of {MOST} at most, {len(wrong)} problems")
    return 1 if wrong else 0


def prove(words: list[str]) -> int:
    """Each honoured row's test against a cloud that is deaf to it: red, or nobody would miss it. `words`: parts of rows."""
    began = time.monotonic()
    chosen = [
        row for row in provable() if not words or any(word in f"{row.what} {row.name} {row.why}" for word in words)
    ]
    with ThreadPoolExecutor(3) as pool:
        red = pool.submit(red_without, sorted({row.why for row in chosen}))
        missed = unproven(chosen, pool)
    broken = [f"{test} is red on the cloud as it is" for test in red.result()]
    print("\n".join(broken))
    told = f"{len(chosen) - len(missed)} missed by their tests, {len(missed)} by nobody"
    print(f"honoured: {len(chosen)} rows, {told} ({time.monotonic() - began:.0f} s)")
    print(f"not proven: {len(_honoured()) - len(provable())} honoured members of newer versions")
    return 1 if broken or missed else 0


def unproven(chosen: list[fates.Row], pool: ThreadPoolExecutor) -> list[str]:
    """What is told of each row that its test does not miss, as it is found."""
    found: list[str] = []

    def look(row: fates.Row) -> None:
        if passes(row.why, row):
            found.append(f"{row.place} nobody missed {row.what} {row.where} {row.name}: {row.why} is green without it")
            print(found[-1], flush=True)

    list(pool.map(look, chosen))
    return found


def twentieth() -> list[fates.Row]:
    """One row of twenty, always the same ones: chosen by a hash of what it is about."""
    about = {row: f"{row.service} {row.what} {row.where} {row.name}" for row in provable()}
    return [row for row, text in about.items() if int(hashlib.sha256(text.encode()).hexdigest(), 16) % 20 == 0]


def provable() -> list[fates.Row]:
    """Honoured rows that name a test, but for those of newer members."""
    return [row for row in _honoured() if row.where != "newer"]


def _honoured() -> list[fates.Row]:
    return [row for row in fates.rows() if row.fate == "honoured" and row.why.startswith("test_")]


def red_without(tests: list[str]) -> list[str]:
    """Those that are red on the cloud as it is; all in one run."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rfE",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        *sorted(map(node, tests)),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return sorted(set(re.findall(r"^(?:FAILED|ERROR) \S+::(test_\w+)", done.stdout, re.MULTILINE)))


def passes(test: str, deaf_to: fates.Row) -> bool:
    """Whether the test is green on a cloud that is deaf to what a row is about."""
    stated = [deaf_to.service, deaf_to.what, deaf_to.where, deaf_to.name]
    environment = {**os.environ, "SLIPWAY_DEAF": json.dumps(stated)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-p", "no:cacheprovider", node(test)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{test} did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


def node(test: str) -> str:
    """The id of a test by its name: which file it stands in may change."""
    found = [
        each for each in (ROOT / "tests").rglob("test_*.py") if f"\ndef {test}(" in each.read_text(encoding="utf-8")
    ]
    if len(found) != 1:
        raise SystemExit(f"{test} stands in {len(found)} files")
    return f"{found[0].relative_to(ROOT).as_posix()}::{test}"


def key_of(service: str, operation: Operation) -> str:
    """The route that an operation of the files would have, as the tables call it."""
    if service == "files":
        path, _, query = operation.path.partition("?")
        stated = dict(parse_qsl(query, keep_blank_values=True))
        named = "service" if path == "/" else ("share", "directory", "file")[path.count("/") - 1]
        kind = stated.get("restype") or ("file" if named == "directory" else named)
        further = "" if set(stated) <= {"restype", "comp"} else "?"
        return f"FILES {operation.method} {kind} {stated.get('comp', '')}{further}".strip()
    found = re.search(r"/providers/(Microsoft\.\w+)((?:/[^/]+)*?)/?$", operation.path)
    parts = found[2].strip("/").split("/") if found else []
    kind = "/".join((found[1] if found else "", *parts[::2]))
    if found and len(parts) % 2 == 0 and is_known(kind):
        return f"{operation.method} {kind}"
    owner = "/".join((found[1] if found else "", *parts[:-1][::2]))
    if found and operation.method == "POST" and is_known(owner):
        return f"POST {owner}/{parts[-1].lower()}"
    if found and operation.method == "GET" and is_known(kind):
        return f"LIST {kind}"
    return f"{operation.method} {operation.path.rstrip('/')}"


def _plain(key: str) -> str:
    """Whatever the holes of a path are called, and however it is written."""
    return re.sub(r"\{[^}]*\}", "{}", key).replace(" /{}/", " {}/").lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
