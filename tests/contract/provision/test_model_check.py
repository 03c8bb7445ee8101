"""The models on a share, judged before a GPU is paid for: over the Files API, in few reads, weights never among them."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.gateway.files import Share, open_share
from sidecar.words.errors import PreflightFailed
from sidecar.workflows.editing import Editing, edited
from tests.contract.provision.conftest import Arm, Project
from tests.contract.provision.test_preflight import checks
from tests.support.model_folders import TINY, adapter_in, base_in, lora_tensors

COUNTED = {"part": "files", "method": "GET", "kind": "delay", "times": None}
"""A rule that does nothing but count."""


@contextmanager
def share_of(project: Project) -> Generator[Share]:
    """The share that the project's configuration names."""
    config = json.loads(project.workspace.config_file.read_text(encoding="utf-8"))
    with open_share(project.place, config["STORAGE_ACCOUNT_NAME"], config["FILE_SHARE_NAME"]) as share:
        yield share


def put(project: Project, mount: Path) -> None:
    with share_of(project) as share:
        for file in sorted(each for each in mount.rglob("*") if each.is_file()):
            share.replace(file.relative_to(mount).as_posix(), file)


def test_base_and_adapters_are_judged_in_twenty_reads_and_what_fails_stops_before_the_first_write(
    project: Project, faults: Arm, tmp_path: Path
) -> None:
    project.provision()
    mount = tmp_path / "mount"
    base = base_in(mount, shards=4)
    adapter_in(mount, "models/fits")
    adapter_in(mount, "models/other", lora_tensors(width=96))
    put(project, mount)
    hits = faults({**COUNTED, "path": "comp=list"}, {**COUNTED, "path": r"\.safetensors(\?|$)"}, COUNTED)
    found = checks(project, tmp_path / "state")
    assert found["base model"].verdict == "PASS", found["base model"]
    assert found["chat template"].verdict == found["memory"].verdict == found["adapter models/fits"].verdict == "PASS"
    assert found["adapter models/other"].verdict == "WARN"
    assert "the base needs (r, 64) and (64, r)" in str(found["adapter models/other"].sentence)
    lists, headers, configurations = hits()
    assert (headers, configurations) == (6, 5), "four shards, two adapters; index and settings of the base with them"
    assert lists + headers + configurations <= 20
    file = edited(project.workspace.config_file)
    assert file is not None
    (told,) = Editing(tmp_path / "state", {}, lambda path: None).findings(
        file, project.workspace.config_file.read_text("utf-8")
    )
    assert "will refuse the adapter models/other" in str(told.sentence), (
        "the editor tells it at the share that is named"
    )
    project.state(cooldownSeconds=400)
    project.provision()
    assert any("will refuse the adapter models/other" in each for each in project.said)

    shard = base / "model-00002-of-00004.safetensors"
    os.truncate(shard, shard.stat().st_size - 1)
    with share_of(project) as share:
        share.replace(shard.relative_to(mount).as_posix(), shard)
    project.state(cooldownSeconds=500)
    before = len(list(project.world.deployments.deployments.list_by_resource_group(project.group)))
    with pytest.raises(PreflightFailed) as stopped:
        project.provision()
    assert stopped.value.code == "BaseModelUnusable"
    assert "model-00002-of-00004.safetensors: it is truncated" in str(stopped.value)
    assert len(list(project.world.deployments.deployments.list_by_resource_group(project.group))) == before


def test_a_model_that_the_gpu_can_not_hold_stops_provision_at_the_stated_profile(
    project: Project, faults: Arm, tmp_path: Path
) -> None:
    """Its header alone is on the share: nobody reads more."""
    project.provision()
    with share_of(project) as share:
        share.replace("numbers", bytes(range(200)))
        hits = faults(COUNTED)
        assert (share.part("numbers", 10, 5), share.part("numbers", 190, 50)) == (
            bytes(range(10, 15)),
            bytes(range(190, 200)),
        )
        assert hits() == [2], "a part of a file is one request, for as many bytes as there are"
    mount = tmp_path / "mount"
    sizes: dict[str, Any] = {**TINY, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 36}
    folder = base_in(mount, **sizes)
    weights = folder / "model.safetensors"
    size = weights.stat().st_size
    os.truncate(weights, 1 << 20)
    put(project, mount)
    config = json.loads(project.workspace.config_file.read_text(encoding="utf-8"))
    names = (config["STORAGE_ACCOUNT_NAME"], config["FILE_SHARE_NAME"])
    with project.world.share(*names, project.group).get_file_client("model-cache/org/tiny/model.safetensors") as file:
        file.resize_file(size)
    project.state(gpuProfileType="Consumption-GPU-NC8as-T4", cooldownSeconds=400)
    with pytest.raises(PreflightFailed) as stopped:
        project.provision()
    assert stopped.value.code == "ModelTooLarge"
    assert "Consumption-GPU-NC24-A100" in str(stopped.value.detail), "what would fit is told with it"
    (problem,) = stopped.value.problems
    assert "GB of GPU memory" in str(problem.message)
    lines = project.workspace.parameters_file.read_text(encoding="utf-8").splitlines()
    assert "gpuProfileType" in lines[problem.line - 1]
