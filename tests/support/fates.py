"""The tables of `sidecar/localcloud/fates`: what becomes of everything that a request may state. Read, checked, told."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from sidecar.localcloud.door import arm_app
from sidecar.localcloud.files import door as files_door
from sidecar.localcloud.resources.providers import TYPES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "sidecar" / "localcloud" / "fates"
README = ROOT / "sidecar" / "localcloud" / "README.md"
FATES = ("honoured", "kept", "refused", "inert", "ignored")
PLACES = ("operation", "same as", "path", "query", "header", "body", "newer", "route")
"""`newer`: a member of a body that Microsoft's OpenAPI files here do not have, and its Bicep types of newer versions do."""
BEGIN, END = "<!-- kept and ignored: made by npm run fix -->", "<!-- end of kept and ignored -->"
_SHOWN = re.compile(r"Azure too: \S|test_\w+")
_CODE = re.compile(r"[45]\d\d [A-Z]\w+")


@dataclass(frozen=True)
class Row:
    service: str
    line: int
    what: str
    where: str
    name: str
    fate: str
    why: str

    def is_about(self, what: str, where: str, name: str) -> bool:
        pattern = self.name.replace("[]", "[[]]")
        return (
            self.where == where and fnmatchcase(what, self.what) and (fnmatchcase(name, pattern) or self.name == name)
        )

    @property
    def place(self) -> str:
        return f"sidecar/localcloud/fates/{self.service}.md:{self.line}"


def rows() -> list[Row]:
    found: list[Row] = []
    for file in sorted(FOLDER.glob("*.md")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            cells = [each.strip() for each in line.strip().strip("|").split("|")]
            if line.startswith("| ") and len(cells) == 5 and cells[0] not in ("what", "---"):
                found.append(Row(file.stem, number, *cells))
    return found


def row_of(table: Iterable[Row], service: str, what: str, where: str, name: str) -> Row | None:
    """The first one that is about it."""
    return next((row for row in table if row.service == service and row.is_about(what, where, name)), None)


def routes() -> Mapping[str, str]:
    """Every route that the code has, by how the tables call it: the service that it belongs to."""
    found: dict[str, str] = {}
    for route in arm_app.ROUTES:
        if route.options is not None:
            for path in _spelt_out(route.path):
                found[f"{route.method} {path}"] = "resources"
    for kind in TYPES.values():
        service = {"microsoft.app": "app", "microsoft.storage": "storage"}.get(
            kind.name.split("/")[0].lower(), "loganalytics"
        )
        verbs = ["GET", "LIST", *(["PUT", "DELETE"] if kind.put else []), *(["PATCH"] if kind.patch else [])]
        found |= {f"{verb} {kind.name}": service for verb in verbs}
        found |= {f"POST {kind.name}/{action}": service for action in kind.actions}
    found |= {" ".join(("FILES", *key)).strip(): "files" for key in files_door.ROUTES}
    return found


def _spelt_out(path: str) -> list[str]:
    """A route's path, one for each word that a hole of it may be."""
    words = re.search(r"\{\w+:(\w+(?:\|\w+)+)\}", path)
    if words:
        return [each for word in words[1].split("|") for each in _spelt_out(path.replace(words[0], word))]
    return [re.sub(r":[^}]*}", "}", path)]


def problems() -> list[str]:
    """What is wrong with the tables by themselves, and with what the README tells of them."""
    text = README.read_text(encoding="utf-8")
    stale = "sidecar/localcloud/README.md does not list what is kept and ignored as it is: npm run fix"
    return [*breaches(rows(), routes(), names_of_tests()), *([stale] if with_kept(text) != text else [])]


def breaches(table: Sequence[Row], have: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Routes without a row, rows without a route, proofs that are not there. `known`: the names of all tests."""
    stated = {row.what: row for row in table if row.where == "route"}
    found = [
        f"the route {each} has no row in sidecar/localcloud/fates/{have[each]}.md"
        for each in have
        if each not in stated
    ]
    found += [
        f"{row.place} names a route that is not there: {each}" for each, row in stated.items() if each not in have
    ]
    for row in table:
        if row.where not in PLACES or (
            (row.where in PLACES[2:7] or row.where == "operation") and row.fate not in FATES
        ):
            found.append(f"{row.place} has no place or fate of ours: {row.where}, {row.fate}")
        elif row.where not in ("route", "same as") and (said := _unproven(row, known)):
            found.append(f"{row.place} {said}")
    return found


def _unproven(row: Row, known: Collection[str]) -> str:
    if not row.why:
        return "says no reason"
    if row.fate == "honoured" and not _SHOWN.search(row.why):
        return "names neither a test nor what shows that Azure too only keeps it"
    if row.fate == "honoured" and row.why.startswith("test_") and row.why not in known:
        return f"names a test that is not there: {row.why}"
    if row.fate == "refused" and not _CODE.match(row.why):
        return "names no status and code"
    return ""


@cache
def names_of_tests() -> frozenset[str]:
    texts = (each.read_text(encoding="utf-8") for each in (ROOT / "tests").rglob("test_*.py"))
    return frozenset(name for text in texts for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE))


def with_kept(text: str) -> str:
    """The README with the list of what is kept and ignored."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [
        f"- {row.service}, {row.what}{f' {row.name}' if row.name else ''}: {row.fate}, {row.why}"
        for row in rows()
        if row.fate in ("kept", "ignored")
    ]
    return before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after
