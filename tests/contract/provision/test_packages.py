"""Packages on their way from a package index to a container: fetched by a Deploy, once, and put on the share, once."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.localcloud.conftest import start_cloud
from tests.faults.deploying.ground import Ground
from tests.support.wheels import pinned, wheel

PIP = "python3 -m pip install --quiet --disable-pip-version-check -r inference/requirements.txt"
TIMES = {"poll": 1, "tick": 0.05, "scale": 0.02, "cooldown_scale": 1}
SEEN = """\
import os, slipway_probe
with open(os.environ["SLIPWAY_MOUNT"] + "/seen.txt", "a") as file:
    file.write(slipway_probe.__file__ + " " + slipway_probe.VERSION + "\\n")
"""


@dataclass
class Packed(Ground):
    """A project whose server needs a package, on a cloud whose image does not have it. The person's pip, and the container's,
    know one folder of wheels and no index."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = f"export PIP_NO_INDEX=1 PIP_CONFIG_FILE={os.devnull} PIP_FIND_LINKS={self.wheels}"
        self.project.state(defaultCommands=[known, PIP, "python3 -m inference"])
        self.project.provision()

    @property
    def wheels(self) -> Path:
        return self.folder / "wheels"

    @property
    def environ(self) -> dict[str, str]:
        none = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(self.wheels)}
        return {**super().environ, **none}

    def need(self, version: str) -> None:
        file = wheel(self.wheels, "slipway_probe", version, {"slipway_probe.py": f"VERSION = {version!r}\n"})
        (self.code / "requirements.txt").write_text(f"torch==2.13.0\nslipway-probe=={version}\n")
        (self.code / "requirements.lock").write_text(f"{pinned(file)}\n")

    def release(self, note: str) -> str:
        self.write("serves", note)
        (self.code / "__init__.py").write_text(SEEN)
        return note

    def deployed(self) -> str:
        done = self.deploy()
        assert done.code == 0, f"{done.out}\n{done.err}"
        return done.err

    def archives(self) -> dict[str, str]:
        """By name, with the sha256 of their bytes."""
        with self.share() as share:
            names = [each.name for each in share.list(f"{self.home}/packages")]
            return {each: hashlib.sha256(share.read(f"{self.home}/packages/{each}")).hexdigest() for each in names}

    def seen(self) -> tuple[str, str]:
        """Where the server that started last has the package from, and in which version."""
        with self.share() as share:
            place, version = share.read("seen.txt").decode().splitlines()[-1].split()
        return place, version


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Packed]:
    world = start_cloud(tmp_path / "cloud", "--throwaway", settings={"times": TIMES, "bare_image": True})
    world.register()
    ground = Packed(world, tmp_path, "packed")
    yield ground
    assert world.stop() == 0


@pytest.mark.timeout(1200)
def test_a_release_brings_its_packages_along_and_what_is_damaged_is_sent_again(ground: Packed) -> None:
    """The container asks no index, imports nothing from the mount, and starts all the same where the archive is damaged; then the
    next Deploy sends it again, and fetches nothing for that."""
    ground.release("first")
    ground.need("1.0")
    ground.deployed()
    archives = ground.archives()
    (archive,) = archives
    assert archives == {archive: archive}
    assert ground.seen()[1] == "1.0"
    assert f"slipway-packages/{archive}/" in ground.seen()[0]

    with ground.share() as share:
        share.replace(f"{ground.home}/packages/{archive}", b"x" * 1000)
    ground.release("second")
    assert "pip installs them from the package index" in ground.deployed(), "the container's warning is shown"
    assert "slipway-packages" not in ground.seen()[0]

    kept = ground.state / "packages" / archive
    good = kept.read_bytes()
    kept.write_bytes(bytes(len(good)))
    ground.release("third")
    assert ground.deploy().error["code"] == "DamagedCache", "what is sent is what its name says"
    assert not kept.exists()
    kept.write_bytes(good)

    shutil.rmtree(ground.wheels)
    said = ground.deployed()
    assert "are damaged: they are replaced" in said
    assert ground.archives() == {archive: archive}
    assert f"slipway-packages/{archive}/" in ground.seen()[0]
    with ground.share() as share:
        assert not [each.name for each in share.list(f"{ground.home}/generations") if each.name.endswith(".damaged")]
