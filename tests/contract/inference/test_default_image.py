"""The container's start on the default image as it is published: its system manages the Python, and pip is refused."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.codefiles import read_tree
from sidecar.core.deployment import GroupFacts, merge_parameters, plan_names
from sidecar.core.parameters import read_parameters
from sidecar.core.releases import Generation
from sidecar.core.sync import pack
from sidecar.core.template import load_template
from sidecar.core.workspace import open_workspace
from sidecar.localcloud.core.ports import Promise
from tests.contract.inference.conftest import (
    KEY,
    ROOT,
    Sample,
    Started,
    answers,
    eventually,
    status,
)
from tests.contract.inference.system_python import SystemPython, hindrance, make_system_python

GROUP = GroupFacts("sub", "tenant", "rg", "/subscriptions/sub/resourceGroups/rg", "westeurope")


@pytest.fixture
def python(tmp_path: Path) -> Iterator[SystemPython]:
    reason = hindrance()
    if reason is not None:
        assert "CI" not in os.environ, f"where changes are judged this has to run: {reason}"
        pytest.skip(reason)
    yield make_system_python(tmp_path / "image")
    shutil.rmtree(tmp_path / "image")  # what was installed is larger than what pytest should keep


@pytest.mark.timeout(1800)
def test_the_shipped_commands_install_and_the_model_is_served(
    python: SystemPython, sample: Sample, tmp_path: Path
) -> None:
    check_stand_in(python, tmp_path)
    mount = shutil.copytree(sample.mount, tmp_path / "mount")
    command, variables = container(mount)
    digest = publish(mount, variables["SLIPWAY_APP"])
    promise = Promise("127.0.0.1")
    port = promise.port
    variables |= {"CONTAINER_APP_PORT": str(port), "SLIPWAY_BIND_HOST": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    log = tmp_path / "console.log"
    with log.open("wb") as console:
        process = subprocess.Popen(
            command,
            env=python.environ | variables,
            cwd=python.folder,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
    server = Started(f"http://127.0.0.1:{port}", KEY, process, log)
    try:
        eventually(lambda: answers(server, process, log), 1200)
        eventually(lambda: status(server) in {"ready", "failed"})
        assert status(server) == "ready", log.read_text()
        assert server.http().get("/version").json()["release"] == digest
        assert Path(python.says("import starlette; print(starlette.__file__)")).is_relative_to(python.packages)
        assert (python.packages / "torch" / "__init__.py").is_symlink(), "the image's PyTorch was replaced"
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # pip too, where the test ends while it installs
        process.wait()
        promise.end()


def check_stand_in(python: SystemPython, tmp_path: Path) -> None:
    """That nothing but what the container does itself can make the commands succeed."""
    assert python.says("import sys; print(sys.prefix, sys.base_prefix)") == f"{python.folder} {python.folder}"
    refused = python.run("-m", "pip", "install", "six")
    assert refused.returncode == 1
    assert "error: externally-managed-environment" in refused.stderr
    no_venv = python.run("-m", "venv", str(tmp_path / "venv"))
    assert no_venv.returncode == 1
    assert "ensurepip" in no_venv.stdout + no_venv.stderr
    assert Path(python.says("import torch; print(torch.__file__)")).is_relative_to(python.packages)
    assert "No module named 'starlette'" in python.run("-c", "import starlette").stderr


def container(mount: Path) -> tuple[list[str], dict[str, str]]:
    """The container's command and variables as the shipped template and parameters deploy them, with `mount` as its mount."""
    workspace = open_workspace(ROOT)
    template = load_template(workspace.bicep_file, workspace.template_file, {}).template
    planned = plan_names(template, merge_parameters(template, read_parameters(workspace).values, {}), GROUP)
    deployed: Any = planned.app_template
    [first] = deployed["containers"]
    variables = {each["name"]: each.get("value", KEY) for each in first["env"]}
    return [*first["command"], *first["args"]], variables | {"SLIPWAY_MOUNT": str(mount)}


def publish(mount: Path, app: str) -> str:
    """Puts the model server's code on the share, as Deploy does; returns its digest."""
    release = pack(read_tree(ROOT / "inference"), mount.parent / "bundle.tar")
    home = mount / ".slipway" / app
    for file, content in {
        f"releases/{release.digest}": release.file.read_bytes(),
        "generations/1.json": Generation(1, release.digest).to_json(),
    }.items():
        (home / file).parent.mkdir(parents=True)
        (home / file).write_bytes(content)
    return release.digest
