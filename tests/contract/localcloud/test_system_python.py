"""A replica's Python, as the default image's: pip is refused, ensurepip is absent, only PyTorch is there before the start."""

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from sidecar.localcloud.image import image_for, shipped_requirements
from tests.contract.localcloud.conftest import World, cloud_with_environment, eventually

TIMES = {"poll": 0, "tick": 0.05, "scale": 0.02, "bounds": 0.2}
REQUIREMENTS = shipped_requirements()
INSTALL = f"python3 -m pip install --quiet --disable-pip-version-check -r '{REQUIREMENTS}'"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """In a folder whose name has a space and no Latin letters: scripts name their interpreter by it."""
    with cloud_with_environment(tmp_path_factory.mktemp("a python 模型"), {"times": TIMES}) as world:
        yield world


def console(world: World, name: str, script: str) -> str:
    """All that a replica prints which runs `script` and then stays."""
    container = {"name": "main", "image": "example/any:1", "command": ["/bin/bash", "-c"]}
    container["args"] = [f"{{ {script}\n}} 2>&1; echo THE END; exec sleep 600"]
    body: dict[str, Any] = {
        "location": "westus3",
        "properties": {
            "managedEnvironmentId": world.apps.managed_environments.get("g", "env").id,
            "configuration": {},
            "template": {"containers": [container], "scale": {"minReplicas": 1, "maxReplicas": 1}},
        },
    }
    world.apps.container_apps.begin_create_or_update("g", name, body).result()

    def printed() -> str:
        found = "".join(each.read_text() for each in world.state.glob(f"apps/*/console/{name}--*.main.log"))
        return found if "THE END" in found else ""

    return eventually(printed, 120, f"{name} has run its script")


@pytest.mark.parametrize("program", ["python3 -m pip", "pip"])
def test_pip_refuses_in_a_replica_until_it_is_allowed_as_the_bootstrap_allows_it(cloud: World, program: str):
    name = "pip-module" if " " in program else "pip-script"
    said = console(
        cloud,
        name,
        f"""{program} install --disable-pip-version-check starlette; echo "refused $?"
        python3 -c 'import starlette'
        export PIP_BREAK_SYSTEM_PACKAGES=1
        {program} install --disable-pip-version-check --no-index starlette; echo "allowed $?"
        python3 -c 'import starlette; print("from", starlette.__file__)'""",
    )
    assert "error: externally-managed-environment" in said
    assert "refused 1" in said
    assert "No module named 'starlette'" in said, "what pip refused to install must not be there"
    assert "allowed 0" in said
    assert "site-packages/starlette/__init__.py" in said.split("allowed 0")[1]


def test_a_virtual_environment_can_not_be_made_in_a_replica_for_want_of_ensurepip(cloud: World):
    said = console(cloud, "venv", "python3 -m venv x; echo \"ended $?\"; python3 -c 'import ensurepip'")
    assert "'-m', 'ensurepip'" in said
    assert "ended 1" in said
    assert "No module named 'ensurepip'" in said


def test_only_pytorch_is_there_before_the_start_commands_have_installed_the_rest(cloud: World):
    names = "starlette uvicorn uvloop transformers orjson pydantic"
    said = console(
        cloud,
        "bare",
        f"""python3 -c 'import torch; print("torch adds to", int(torch.ones(2).sum()))'
        for name in {names}; do python3 -c "import $name" 2>/dev/null && echo "there: $name"; done
        python3 -c 'import sys; print("prefixes", sys.prefix == sys.base_prefix)'
        export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_INDEX=1
        {INSTALL}; echo "installed $?"
        for name in {names}; do python3 -c "import $name" && echo "now: $name"; done
        uvicorn --version
        python3 -m pip check""",
    )
    assert "torch adds to 2" in said
    assert "there: " not in said, "the default image has PyTorch only"
    assert "prefixes True" in said, "pip looks for the marker outside virtual environments alone"
    assert "installed 0" in said
    assert [name for name in names.split() if f"now: {name}\n" in said] == names.split()
    assert "Running uvicorn" in said
    assert "No broken requirements found" in said


def test_what_a_replica_removes_or_replaces_stays_in_the_image(cloud: World):
    """Links are recorded as the packages' files: pip removes them, and nothing of the image that other replicas share."""
    image = image_for(REQUIREMENTS, os.environ).python
    said = console(
        cloud,
        "removing",
        f"""export PIP_BREAK_SYSTEM_PACKAGES=1
        {INSTALL}
        python3 -m pip uninstall --yes starlette typing_extensions jinja2 transformers; echo "removed $?"
        python3 -c 'import starlette'
        python3 -c 'import transformers'""",
    )
    assert "removed 0" in said
    assert "No module named 'starlette'" in said
    assert "No module named 'transformers'" in said
    program = "import starlette, typing_extensions, jinja2, transformers; print('whole')"
    assert subprocess.run([image, "-c", program], capture_output=True, text=True, check=False).stdout == "whole\n"
