"""Releases with packages of their own, exchanged in a container: real servers, each on the versions that it names."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import httpx
import pytest

from sidecar.core.codefiles import read_tree
from sidecar.core.releases import Packages
from sidecar.core.sync import Release, pack
from tests.contract.inference.conftest import Sample
from tests.support.contained import (
    API_KEY,
    HAND_OUT,
    Contained,
    contained,
    edit,
    eventually,
    publish,
    release_of,
    share,
)
from tests.support.wheels import packages, wheel

WHO, AM = "Who are you?", "I am a tiny language model."
SAYS = {"1.0": "def say(text):\n    return text\n", "2.0": "def say(text):\n    return text.upper()\n"}
LONG = {"ignore_eos": True, "max_tokens": 1500, "stream": True}
COMMANDS = ("python3 -m pip install --quiet -r inference/requirements.txt", "python3 -m inference")


def asking(version: str, note: str) -> Callable[[Path], None]:
    """The server says each piece of a text as this version of a package does, and its requirements name that."""

    def change(code: Path) -> None:
        edit(code / "service.py", HAND_OUT, "        import slipway_probe\n" + HAND_OUT.replace("delta", PIECE))
        requirements = code / "requirements.txt"
        requirements.write_text(f"{requirements.read_text()}slipway-probe=={version}\n")
        (code / "note.txt").write_text(note)

    return change


PIECE = "delta._replace(text=slipway_probe.say(delta.text))"


def named(folder: Path, version: str) -> Packages:
    wheels = folder / f"wheels-{version}"
    wheel(wheels, "slipway_probe", version, {"slipway_probe.py": SAYS[version]})
    return packages(folder / "cache", wheels, "inference/requirements.txt", complete=True)


def released(folder: Path, version: str, note: str) -> Release:
    name = f"{version}-{note}"
    release_of(folder, name, asking(version, note))
    return pack(read_tree(folder / name / "inference"), folder / f"{name}.tar", named(folder, version))


def put(mount: Path, release: Release) -> None:
    there = mount / ".slipway" / "app" / "packages"
    there.mkdir(parents=True, exist_ok=True)
    assert release.packages is not None
    assert release.packages.file is not None
    (there / release.packages.archive).write_bytes(release.packages.file.read_bytes())


@pytest.fixture
def mount(sample: Sample, tmp_path: Path) -> Path:
    return share(tmp_path / "share", sample.mount)


@pytest.fixture
def first(mount: Path, tmp_path: Path) -> Release:
    release = released(tmp_path, "1.0", "first")
    put(mount, release)
    publish(mount, release, 1)
    return release


@pytest.fixture
def container(first: Release, mount: Path, tmp_path: Path) -> Generator[Contained]:
    """pip would find nothing: were it asked, the start would end."""
    assert first.packages is not None
    disk = tmp_path / "disk"
    disk.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    none = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "SLIPWAY_PACKAGES_SECONDS": "0.2"}
    with contained(mount, tmp_path, *COMMANDS, PATH=path, TMPDIR=str(disk), **none) as started:
        started.ready()
        yield started


def said(container: Contained) -> str:
    return container.chat(WHO).json()["choices"][0]["message"]["content"]


def test_old_and_new_run_side_by_side_on_different_versions(
    container: Contained, first: Release, mount: Path, tmp_path: Path
):
    """What streams goes on with the version that it began with; a release with the same packages unpacks nothing again; one whose
    packages are not there does not change any under the server that runs."""
    second, third = released(tmp_path, "2.0", "second"), released(tmp_path, "2.0", "third")
    put(mount, second)
    assert said(container) == AM
    body = {"messages": [{"role": "user", "content": WHO}], "model": "slipway/tiny-llama", "temperature": 0, **LONG}
    client = httpx.Client(base_url=container.url, headers={"authorization": f"Bearer {API_KEY}"}, timeout=60)
    with client.stream("POST", "/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()
        began = next(line for line in lines if "content" in line)
        told = container.exchanged(second, "beside")
        assert told["state"] == "done", told
        assert said(container) == AM.upper()
        events = [began, *(line for line in lines if line.startswith("data: {"))]
    text = "".join(json.loads(each[6:])["choices"][0]["delta"].get("content") or "" for each in events)
    assert AM in text
    assert container.exchanged(third, "in turn")["state"] == "done"
    assert said(container) == AM.upper()
    log = container.log.read_text()
    assert first.packages is not None
    assert second.packages is not None
    unpacked = [line for line in log.splitlines() if "from the share" in line]
    assert [line.split()[2].rstrip(":") for line in unpacked] == [
        first.packages.archive[:12],
        second.packages.archive[:12],
    ]
    assert [each.name for each in (tmp_path / "disk" / "slipway-packages").iterdir()] == [second.packages.archive]

    gone = released(tmp_path, "1.0", "gone")
    (mount / ".slipway" / "app" / "packages" / first.packages.archive).unlink()
    told = container.exchanged(gone, "beside")
    assert told["state"] == "failed"
    assert "packages can't be had" in told["reason"]
    assert said(container) == AM.upper()
    assert (mount / ".slipway" / "app" / "generations" / f"{first.packages.archive}.damaged").exists()


def test_a_start_that_waits_for_its_packages_ends_when_it_is_told_to(first: Release, mount: Path, tmp_path: Path):
    """The container's first process has no signal handlers but its own: unheard, it would be killed at the end of its grace."""
    assert first.packages is not None
    (mount / ".slipway" / "app" / "packages" / first.packages.archive).unlink()
    (tmp_path / "empty").mkdir()
    with contained(mount, tmp_path, TMPDIR=str(tmp_path / "empty"), SLIPWAY_PACKAGES_SECONDS="240") as started:
        eventually((tmp_path / "empty" / "slipway-packages").exists)
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(120) == 0, started.log.read_text()
