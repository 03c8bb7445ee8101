"""Releases that do not serve: what is changed in their code, and what is said of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.contained import edit, shouting


@dataclass(frozen=True)
class Defect:
    name: str
    change: Callable[[Path], None]
    reason: str


def crashing(code: Path) -> None:
    edit(code / "__main__.py", '"""`python3', 'raise RuntimeError("the code is broken")\n"""`python3')


def never_ready(code: Path) -> None:
    load = "                self.served = load(self)\n"
    edit(
        code / "service.py",
        load,
        load.replace("self.served = load(self)", "load(self)") + "                threading.Event().wait()\n",
    )


def misnamed(code: Path) -> None:
    edit(code / "service.py", '"release": settings.release', '"release": "0" * 64')


def torn(code: Path) -> None:
    find = "    name, path = patiently(lambda: find_base("
    edit(code / "loading.py", find, f'    raise RuntimeError("the weights are torn")\n{find}')


DEFECTS = (
    Defect("crashing", crashing, "it ended with exit code 1"),
    Defect("never-ready", never_ready, "it was not ready within 15 s"),
    Defect("misnamed", misnamed, "it says that it is release 000000000000"),
    Defect("torn", torn, "the weights are torn"),
    Defect("otherwise", shouting, "question 1 was answered otherwise than expected"),
)
