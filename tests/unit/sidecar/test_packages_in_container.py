"""The container's start and a release's own packages: read once from the share, laid out as pip does, on the local disk."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from infra.provision.packages import Depot, Packages, equipped, place_of, unpacked_wheels, without_pip
from sidecar.core.releases import Packages as Named
from sidecar.core.releases import manifest_json
from tests.support.wheels import packages, wheel

PROBE = {
    "probe/__init__.py": "from importlib.resources import files\ntext = (files(__name__) / 'data.txt').read_text()\n"
    "def main():\n    print(text)\n    return 3\n",
    "probe/data.txt": "with data",
    "probe/run.sh": "#!/bin/sh\necho ran\n",
    "probe-1.0.data/scripts/old-script": "#!python\nimport probe; print('script', probe.text)\n",
    "probe-1.0.data/purelib/pure.py": "",
    "probe-1.0.data/data/share/probe.txt": "shared",
    "probe-1.0.data/headers/probe.h": "",
    "probe-1.0.dist-info/entry_points.txt": "[console_scripts]\nprobe-it = probe:main\n\n[gradio.extra]\na = probe:main\n",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "disk"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("SLIPWAY_PACKAGES_SECONDS", "0.2")
    (tmp_path / "disk").mkdir()
    for name in ("packages", "generations"):
        (tmp_path / "home" / name).mkdir(parents=True)
    return tmp_path / "home"


def released(home: Path, named: Named, *, sent: bool = True) -> str:
    """An unpacked release that names an archive, which lies on the share."""
    place = home.parent / f"release-{named.archive[:6]}"
    place.mkdir(exist_ok=True)
    (place / ".slipway-manifest.json").write_bytes(manifest_json({}, named))
    assert named.file is not None
    if sent:
        (home / "packages" / named.archive).write_bytes(named.file.read_bytes())
    return str(place)


def probe(home: Path, version: str = "1.0") -> Named:
    folder = home.parent / f"wheels-{version}"
    wheel(folder, "probe", version, {name.replace("1.0", version): text for name, text in PROBE.items()})
    return packages(home.parent / "cache", folder, "inference/requirements.txt", complete=True)


def run(found: Packages, *command: str) -> subprocess.CompletedProcess[str]:
    environ = equipped({"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}, found)
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_what_is_unpacked_works_as_what_pip_installs(home: Path, capsys: pytest.CaptureFixture[str]):
    """Modules, data beside them, scripts, entry points and what may be run."""
    found = Depot(home).packages(released(home, probe(home)))
    folder = Path(found.folder)
    assert not folder.is_relative_to(home)
    assert found.requirements == "inference/requirements.txt"
    assert "packages" in capsys.readouterr().out
    assert (run(found, "probe-it").returncode, run(found, "probe-it").stdout) == (3, "with data\n")
    assert run(found, "old-script").stdout == "script with data\n"
    assert run(found, str(folder / "probe" / "run.sh")).stdout == "ran\n"
    assert (folder / "share" / "probe.txt").read_text() == "shared"
    assert not list(folder.rglob("probe.h"))
    asks = (
        "from importlib.metadata import entry_points, version\n"
        "print(version('probe'), *(each.name for each in entry_points(group='gradio.extra')))"
    )
    assert run(found, "python3", "-c", asks).stdout == "1.0 a\n"


def test_a_second_start_reads_nothing_of_the_share_and_others_have_folders_of_their_own(home: Path):
    depot = Depot(home)
    one, other = released(home, probe(home, "1.0")), released(home, probe(home, "2.0"))
    first = depot.packages(one)
    (home / "packages" / first.digest).unlink()
    assert Depot(home).packages(one) == first
    second = depot.packages(other)
    assert first.folder != second.folder
    versions = [
        run(each, "python3", "-c", "import importlib.metadata as m; print(m.version('probe'))")
        for each in (first, second)
    ]
    assert [each.stdout for each in versions] == ["1.0\n", "2.0\n"]
    depot.keep_only({second.digest})
    assert (Path(first.folder).exists(), Path(second.folder).exists()) == (False, True)


@pytest.mark.parametrize("fault", ["missing", "cut", "changed"])
def test_packages_that_are_not_intact_are_told_and_left_to_pip(
    home: Path, fault: str, capsys: pytest.CaptureFixture[str]
):
    """The note beside the generations is what the next Deploy goes by; nothing half is left to be imported."""
    named = probe(home)
    file = home / "packages" / named.archive
    place = released(home, named, sent=fault != "missing")
    if fault == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    if fault == "changed":
        file.write_bytes(file.read_bytes().replace(b"probe", b"prove", 1))
    assert Depot(home).packages(place) == Packages()
    assert "slipway: warning: packages" in capsys.readouterr().out
    assert [each.name for each in (home / "generations").iterdir()] == [f"{named.archive}.damaged"]
    assert list((home.parent / "disk" / "slipway-packages").iterdir()) == []


def test_a_full_disk_is_no_damage_and_a_strange_wheel_ends_no_start(home: Path):
    """What is wrong here is not sent again; whatever is wrong, pip can install."""
    place = released(home, probe(home))
    (home.parent / "disk" / "slipway-packages").write_text("no folder can be made here")
    assert Depot(home).packages(place) == Packages()
    assert list((home / "generations").iterdir()) == []
    (home.parent / "disk" / "slipway-packages").unlink()
    odd = {"odd.py": "", "odd-1.0.dist-info/entry_points.txt": "no section\n"}
    wheel(home.parent / "odd", "odd", "1.0", odd)
    assert Depot(home).packages(released(home, packages(home.parent / "cache", home.parent / "odd"))) == Packages()
    assert len(list((home / "generations").iterdir())) == 1


def test_packages_for_another_python_are_left_to_pip(home: Path, capsys: pytest.CaptureFixture[str]):
    """An image may be another than its name says; what is compiled would not load."""
    named = replace(probe(home), platform="2.7 x86_64")
    assert Depot(home).packages(released(home, named)) == Packages()
    assert "are for Python 2.7 x86_64, and this is" in capsys.readouterr().out
    assert list((home / "generations").iterdir()) == []
    here = replace(named, platform=f"{sys.version_info[0]}.{sys.version_info[1]} {platform.machine()}")
    assert Depot(home).packages(released(home, here)).digest == named.archive


def test_an_archive_that_shows_late_on_the_mount_is_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLIPWAY_PACKAGES_SECONDS", "120")
    named = probe(home)
    place, depot = released(home, named, sent=False), Depot(home)
    threading.Timer(0.3, released, (home, named)).start()
    assert depot.packages(place).digest == named.archive


def test_a_start_that_is_told_to_end_does_not_finish_unpacking(home: Path):
    depot, place = Depot(home), released(home, probe(home))
    depot.stop.set()
    with pytest.raises(EOFError):
        depot.packages(place)
    assert list((home.parent / "disk" / "slipway-packages").iterdir()) == []


def test_a_release_without_packages_starts_as_ever(home: Path):
    assert Depot(home).packages(str(home)) == Packages()
    (home / ".slipway-manifest.json").write_text(json.dumps({"files": {}, "packages": {"archive": "../../etc"}}))
    assert Depot(home).packages(str(home)) == Packages()
    assert equipped({"PATH": "/bin"}, Packages()) == {"PATH": "/bin"}
    assert equipped({"PYTHONPATH": "/mine"}, Packages("d", "/p"))["PYTHONPATH"] == f"/mine{os.pathsep}/p"


def test_no_wheel_writes_outside_of_its_folder(tmp_path: Path):
    wheel(tmp_path / "wheels", "evil", "1.0", {"../../evil.py": ""})
    named = packages(tmp_path / "cache", tmp_path / "wheels")
    assert named.file is not None
    with pytest.raises(Exception, match="leads out"):
        unpacked_wheels(named.file, tmp_path / "deep" / "tree", threading.Event())
    assert place_of("a/b.py") == "a/b.py"


DEFAULT = "set -e\npython3 -m pip install --quiet --disable-pip-version-check -r inference/requirements.txt\npython3 -m inference"


@pytest.mark.parametrize(
    ("script", "requirements", "left"),
    [
        (DEFAULT, "inference/requirements.txt", "set -e\npython3 -m inference"),
        (DEFAULT, "", DEFAULT),
        (DEFAULT, "inference/other.txt", DEFAULT),
        ("pip install -r a.txt more", "a.txt", "pip install -r a.txt more"),
        ("pip install -r a.txt -r b.txt", "a.txt", "pip install -r a.txt -r b.txt"),
        ("pip install --target /x -r a.txt", "a.txt", "pip install --target /x -r a.txt"),
        ("pip install -r a.txt && echo done", "a.txt", "pip install -r a.txt && echo done"),
    ],
)
def test_only_a_line_that_installs_these_and_nothing_else_is_left_out(script: str, requirements: str, left: str):
    """Whatever else a person has pip do is done: it finds what is there."""
    assert without_pip(script, requirements) == left
