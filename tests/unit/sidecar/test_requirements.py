"""The sidecar's lock holds all that its packages ask for, also on the systems that it was not made on: pip refuses the whole lock
where something without a hash is asked for."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).parents[3] / "sidecar/requirements.txt"
SYSTEMS = {
    "linux": ("posix", "Linux", "x86_64"),
    "darwin": ("posix", "Darwin", "arm64"),
    "win32": ("nt", "Windows", "AMD64"),
}


def locked() -> list[Requirement]:
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return [Requirement(line.removesuffix("\\").strip()) for line in lines if re.match(r"\w", line)]


def around(system: str, python: str) -> dict[str, str]:
    os_name, named, machine = SYSTEMS[system]
    found = {name: str(value) for name, value in default_environment().items()}
    found.update(
        sys_platform=system,
        os_name=os_name,
        platform_system=named,
        platform_machine=machine,
        python_version=python,
        python_full_version=f"{python}.1",
    )
    return found


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_lock_is_whole_on_every_system(system: str, python: str) -> None:
    here = around(system, python)
    there = {
        canonicalize_name(each.name): each for each in locked() if each.marker is None or each.marker.evaluate(here)
    }
    foreign = {canonicalize_name(each.name) for each in locked() if each.marker is not None}
    asked = [(name, Requirement(each)) for name in there if name not in foreign for each in requires(name) or []]
    assert len(asked) > 50
    wanted = [(name, each) for name, each in asked if each.marker is None or each.marker.evaluate(here)]
    lacking = [f"{name} asks for {each}" for name, each in wanted if canonicalize_name(each.name) not in there]
    assert lacking == []
    for name, each in wanted:
        (version,) = [given.version for given in there[canonicalize_name(each.name)].specifier]
        assert each.specifier.contains(version, prereleases=True), f"{name} asks for {each}, the lock has {version}"
