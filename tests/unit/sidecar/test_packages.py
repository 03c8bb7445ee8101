"""Which packages a release carries: of the lock, for the container's platform, from wherever they can be had."""

from __future__ import annotations

import json
import os
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.codefiles import Tree, read_tree
from sidecar.core.journal import Event, Journal
from sidecar.core.lock import read
from sidecar.core.platforms import DEFAULT_IMAGE
from sidecar.core.releases import Generation, Packages, unused_archives
from sidecar.core.scaffold import shipped, shipped_template
from sidecar.core.sync import beginning, pack
from sidecar.gateway.apps import App
from sidecar.gateway.package_index import NotFetched, PackageIndex
from sidecar.gateway.session import AZURE_PROFILES, Session
from sidecar.workflows.packages import Wanted, at_hand, wanted
from tests.support.wheels import pinned, wheel

PIP = "set -e\npython3 -m pip install --quiet --disable-pip-version-check -r inference/requirements.txt\npython3 -m inference"
LINUX = "cp312-cp312-manylinux_2_28_x86_64"


class Heard:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.journal = Journal(None, "", self.hear, threading.Event())

    def hear(self, event: Event) -> None:
        self.lines.append(str(event.text))


def session_of(folder: Path) -> Session:
    """Whose pip knows one folder of wheels and no index."""
    none = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(folder / "wheels")}
    index = PackageIndex(folder / "cache", {**os.environ, **none})
    nobody: Any = object()
    return Session(AZURE_PROFILES["azure"], nobody, verify=True, index=index)


def app(script: str = PIP, image: str = DEFAULT_IMAGE, start: str | None = None) -> App:
    bootstrap = start or str(shipped_template()["variables"]["bootstrap"])  # pyright: ignore[reportIndexIssue, reportArgumentType]
    made = App("app", None, None, "Single", (), {"SLIPWAY_RELEASE": "current", "SLIPWAY_APP": "app"}, {}, {})
    return replace(made, command=("python3", "-c", bootstrap), args=(script,), image=image)


def tree(folder: Path, requirements: str, lock: str | None = None) -> Tree:
    code = folder / "inference"
    code.mkdir(exist_ok=True)
    (code / "__main__.py").write_text("")
    (code / "requirements.txt").write_text(requirements)
    if lock is not None:
        (code / "requirements.lock").write_text(lock)
    return read_tree(code)


def asked(folder: Path, found: Tree, of: App | None = None) -> tuple[Wanted | None, list[str]]:
    heard = Heard()
    return wanted(found, of or app(), session_of(folder), heard.journal), heard.lines


def test_wheels_are_the_containers_whatever_this_machine_is(tmp_path: Path):
    """Of the same version there is one for this machine's Python too: the container's is taken, and only with the right hash."""
    theirs = wheel(tmp_path / "wheels", "probe", "1.0", {"probe.py": "theirs"}, tag=LINUX)
    for tag in ("cp311-cp311-manylinux_2_28_x86_64", "cp312-cp312-win_amd64", "cp312-cp312-macosx_11_0_arm64"):
        wheel(tmp_path / "wheels", "probe", "1.0", {"probe.py": tag}, tag=tag)
    needed, _ = asked(tmp_path, tree(tmp_path, "torch==2.13.0\nprobe==1.0\n", pinned(theirs)))
    assert needed is not None
    assert needed.complete
    session = session_of(tmp_path)
    assert session.index is not None
    (tmp_path / "to").mkdir()
    got = session.index.fetch(needed.covered.lines, needed.platform, tmp_path / "to", session.patience)
    assert [each.name for each in got.iterdir()] == [theirs.name]
    assert at_hand(needed, session) is None
    wrong = [line.replace("sha256:", "sha256:0")[:-1] for line in needed.covered.lines]
    (tmp_path / "other").mkdir()
    with pytest.raises(NotFetched) as refused:
        session.index.fetch(wrong, needed.platform, tmp_path / "other", session.patience)
    assert "HASHES" in (refused.value.detail or "").upper()


def test_our_own_code_as_it_is_shipped_leaves_nothing_to_pip(tmp_path: Path):
    """A project of before, without the lock beside its requirements, has ours."""
    ours = read_tree(shipped() / "inference")
    needed, lines = asked(tmp_path, ours)
    assert needed is not None
    assert (needed.complete, needed.platform.python, lines) == (True, (3, 12), [])
    names = {line.partition("==")[0] for line in needed.covered.lines}
    assert {"gradio", "orjson", "uvloop", "transformers", "nvidia-ml-py", "setuptools"} <= names
    asked_for = {each.name for each in read((ours.entries[0].source.parent / "requirements.txt").read_text()).pins}
    assert asked_for - names == {"torch"}
    bare = replace(ours, entries=tuple(each for each in ours.entries if each.path != "requirements.lock"))
    again, _ = asked(tmp_path, bare)
    assert again is not None
    assert again.key == needed.key


@pytest.mark.parametrize(
    ("requirements", "of", "said"),
    [
        ("torch==2.12.0\nstarlette==1.10.0", app(), "asks for another torch"),
        ("starlette==1.10.0", app(image="acme.azurecr.io/server:1"), "is not known here"),
        ("starlette==1.10.0", app("python3 -m inference"), ""),
        ("starlette==1.10.0", app(start="somebody's own"), ""),
        ("sentencepiece==0.2.1", app(), "sentencepiece==0.2.1"),
    ],
)
def test_what_is_left_to_pip_is_told_where_somebody_could_change_it(
    tmp_path: Path, requirements: str, of: App, said: str
):
    needed, lines = asked(tmp_path, tree(tmp_path, requirements), of)
    assert needed is None
    assert (said in lines[0]) if said else lines == []


def test_what_a_lock_covers_travels_and_pip_looks_for_the_rest(tmp_path: Path):
    needed, lines = asked(tmp_path, tree(tmp_path, "starlette==1.10.0\nsentencepiece==0.2.1\n"))
    assert needed is not None
    assert not needed.complete
    assert [each.partition("==")[0] for each in needed.covered.lines] == ["starlette"]
    assert "sentencepiece==0.2.1" in lines[0]


def test_archives_go_with_the_last_release_that_names_them():
    """And what nobody names, once nobody can be about to."""
    releases, (p1, p2, p3) = ["a" * 64, "b" * 64, "c" * 64], ["1" * 64, "2" * 64, "3" * 64]
    found = {1: Generation(1, releases[0], packages=p1), 2: Generation(2, releases[1], packages=p2)}
    found |= {3: Generation(3, releases[2], packages=p2)}
    written = {p1: 9000.0, p2: 0.0, "somebody's": 0.0}
    assert unused_archives(found, {releases[2]}, written, 9999) == (p1,)
    assert unused_archives(found, {releases[0], releases[2]}, written, 9999) == ()
    part = f".{p3}.{p3[:16]}.part"
    assert unused_archives(found, set(releases), {p3: 9000.0, part: 9000.0}, 9999) == ()
    assert unused_archives(found, set(releases), {p3: 0.0, part: 0.0}, 9999) == (part, p3)


def test_a_bundle_names_its_packages_and_the_release_is_another_by_that(tmp_path: Path):
    plain, carried = tmp_path / "plain.tar", tmp_path / "carried.tar"
    code = tree(tmp_path, "")
    named = Packages("f" * 64, 7, "key", "inference/requirements.txt", complete=True)
    assert pack(code, plain).digest != pack(code, carried, named).digest
    with tarfile.open(carried) as archive:
        first = archive.next()
        assert first is not None
    content = carried.read_bytes()
    begun = beginning(lambda offset, length: content[offset : offset + length])
    assert begun is not None
    assert json.loads(begun)["packages"]["archive"] == named.archive
