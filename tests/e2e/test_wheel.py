"""The wheel as people get it: built, installed into an environment of its own, used from an empty folder as `slipway`."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.core.codefiles import read_tree
from sidecar.core.sync import pack

from .conftest import ROOT, Home, Place, Sample, delete_apps
from .dialogue import Dialogue


@dataclass(frozen=True)
class Installed(Home):
    """A person whose `slipway` is the wheel's."""

    program: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.program), *arguments],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def installed(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    built = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(built), str(ROOT)], check=True, timeout=800)
    (wheel,) = built.glob("*.whl")
    place = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(place, with_pip=False)
    subprocess.run([*pip, "--python", str(place), "install", str(wheel)], check=True, timeout=800)
    return Installed(home.folder, place / "bin" / "slipway")


@pytest.mark.timeout(1800)
def test_the_main_job_from_an_empty_folder(installed: Installed, sample: Sample, tmp_path: Path) -> None:
    with Dialogue([str(installed.program), "provision"], tmp_path, installed.environ) as person:
        person.expect("Create them? [Y/n] ")
        person.type("")
        person.expect("Select the subscription to provision in")
        person.expect(": ")
        person.type("Local cloud")
        person.expect("Select the resource group to provision in")
        person.expect(": ")
        person.type("Create new…")
        person.expect(f"Name of the new resource group [rg-{tmp_path.name}]: ")
        person.type("wheel")
        person.expect("Number [1]: ")
        person.type("westeurope")
        person.expect("Apply this plan? [y/N] ", 240)
        person.type("y")
        person.expect("next       `slipway deploy`", 120)
        assert person.ended() == 0
    ours, theirs = (pack(read_tree(folder / "inference"), tmp_path / "bundle.tar") for folder in (ROOT, tmp_path))
    assert theirs.digest == ours.digest
    config = json.loads((tmp_path / "infra" / "inference.config.json").read_text())
    place = Place(installed, tmp_path, config["SUBSCRIPTION_ID"], "wheel")
    place.upload_models(sample[0])
    done = place.deploy()
    assert done["verified"]
    assert done["adapters"] == ["gpu_model"]
    assert place.status()["state"] == "ready"
    delete_apps(place)


def test_the_program_calls_itself_by_its_name(installed: Installed, tmp_path: Path) -> None:
    out, _ = installed.start("--version").communicate(timeout=240)
    assert out == "slipway 0.1.0\n"
    out, _ = installed.start("--help").communicate(timeout=240)
    assert out.startswith("usage: slipway ")
    refused = installed.start("deploy", str(tmp_path))
    _, err = refused.communicate(timeout=240)
    assert refused.returncode == 1
    assert "Run `slipway provision`, or fill the keys in by hand." in err


def test_a_module_in_the_persons_folder_is_not_taken_for_the_products(installed: Installed, tmp_path: Path) -> None:
    """Whatever lies in a project that somebody sent: nothing of it is run before the person asks for it."""
    project = tmp_path / "project"
    project.mkdir()
    marker = project / "was-run"
    for name in ("sidecar", "psutil", "httpx", "json"):
        (project / f"{name}.py").write_text(f"open({str(marker)!r}, 'w')\nraise SystemExit('taken')\n")
    own = Installed(tmp_path, installed.program)  # so that a local cloud is started from there, too
    try:
        done = subprocess.run(
            [
                str(own.program),
                "provision",
                str(project),
                "--cloud",
                "local",
                "--subscription",
                "00000000-0000-0000-0000-000000000000",
                "--group",
                "g",
                "--yes",
            ],
            cwd=project,
            env=own.environ,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    finally:
        own.stop_cloud()
    assert "Starting the local cloud" in done.stderr
    assert done.returncode == 1, done.stderr
    assert not marker.exists()
