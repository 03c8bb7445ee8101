"""One Deploy at Azure's own pace: how long the platform takes with each part, beside what captures and issues say."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from sidecar.gateway.log_lines import moment
from tests.faults.azure import clouded
from tests.faults.situations.stage import Stage

PARTS = ("AssigningReplica", "PullingImage", "PulledImage", "ContainerCreated", "ContainerStarted")


@pytest.mark.long
@pytest.mark.fact(25)
def test_a_deploy_at_azures_pace(tmp_path: Path) -> None:
    with clouded(4, {"scale": 1, "bounds": 1}) as (world, folder):
        stage = Stage(world, folder, "pace")
        began = time.monotonic()
        assert stage.provision().code == "ok"
        provisioned = time.monotonic() - began
        assert stage.deploy("serve").code == "ok"
        deployed = time.monotonic() - began - provisioned
        first = stage.replicas()[0]["name"]
        moments = {
            each["Reason"]: moment(each["TimeStamp"])
            for each in stage.events()
            if each["ReplicaName"] == first and each["Reason"] in PARTS
        }
        pulled = next(each["Msg"] for each in stage.events() if each["Reason"] == "PulledImage")
        began = time.monotonic()
        stage.new_revision(env={"ANOTHER": "1"})
        written = time.monotonic() - began
        stage.end()
    start = moments["AssigningReplica"]
    print(f"\nProvision {provisioned:.1f} s, Deploy {deployed:.1f} s, a change of the app {written:.1f} s")
    print("The new replica: " + ", ".join(f"{part} +{moments[part] - start:.1f} s" for part in PARTS))
    assert set(moments) == set(PARTS)
    assert [*moments] == [part for part in PARTS if part in moments], "in the platform's order"
    assert 15 <= written < 25
    assert re.search(r"in \d+(\.\d+)?m?s\.", pulled)
