"""`npm run contract -- fates`: what becomes of everything that Microsoft's OpenAPI files let a request state, a service a line.

The tables are `sidecar/localcloud/fates/*.md`. Exits non-zero while something has no fate, an operation has a route and is said
to be refused or the reverse, or more is kept and ignored than is agreed.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from urllib.parse import parse_qsl

from sidecar.localcloud.resources.providers import is_known
from tests.contract.localcloud.replay import SPECS
from tests.contract.spec_items import SERVICES, Operation, items, operations
from tests.support import fates

MOST = 120
"""Kept and ignored in all."""


def main(arguments: list[str]) -> int:
    if arguments:
        print("npm run contract -- fates takes nothing more")
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
        for item in items(service, taken):
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
    idle = [row for row in table if row.where != "route" and row.place not in used]
    wrong += [f"{row.place} is about nothing: {row.what}, {row.name}" for row in idle]
    little = total["kept"] + total["ignored"]
    wrong += [f"{little} are kept or ignored: {MOST} at most"] if little > MOST else []
    print("\n".join(wrong))
    print(f"fates: {sum(total.values())} rows met, {little} kept or ignored of {MOST} at most, {len(wrong)} problems")
    return 1 if wrong else 0


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
