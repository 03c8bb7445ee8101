"""All traffic of these tests against Microsoft's Swagger files: the last test, over what the others recorded."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.contract.localcloud.conftest import ROOT, TRAFFIC, World
from tests.contract.localcloud.replay import SPECS

SUMMARY = TRAFFIC.parent / "swagger.json"

pytestmark = [
    pytest.mark.skipif(
        not SPECS.exists(), reason="the Swagger files are not beside the project (../shared/azure-specs)"
    ),
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(not (ROOT / "node_modules" / "oav").exists(), reason="oav is not installed (npm ci)"),
]


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    script = Path(__file__).with_name("validate.mjs")
    command = ["node", str(script), str(SPECS / "specification"), str(TRAFFIC), str(SUMMARY)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    found = json.loads(SUMMARY.read_text())
    if not found["problems"]:
        shutil.rmtree(TRAFFIC)
    for left in TRAFFIC.parent.glob("traffic-[0-9]*"):
        if time.time() - left.stat().st_mtime > 3600:  # of a run that ended before its last test
            shutil.rmtree(left)
    return found


def test_every_pair_that_the_files_know_is_as_they_say(world: World, summary: dict[str, Any]):
    assert summary["problems"] == []


def test_pairs_were_validated_at_all(summary: dict[str, Any]):
    assert summary["validated"] > 0
    assert summary["operations"]
