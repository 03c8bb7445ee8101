"""What an app's commands start, and what of the model check is then said: another server may serve what ours can't."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.armlang.deployment import Planned, Template
from sidecar.decisions.model_check import model_checks
from sidecar.decisions.server_start import starts_our_server
from sidecar.gateway.apps import App
from sidecar.gateway.resources import Group
from sidecar.workflows.beforehand import facts_for
from sidecar.workflows.preflight import server_of
from sidecar.workflows.resolve import Plan
from tests.support.model_folders import LocalFiles, base_in

OURS = "set -e\npython3 -m pip install -r inference/requirements.txt\npython3 -m inference"
VLLM = Path(__file__).parents[3] / "inference" / "VLLM.md"
T4 = "Consumption-GPU-NC8as-T4"


def documented() -> str:
    """The start of vLLM, as its page says it."""
    block = re.search(r"```json\n(.*?)```", VLLM.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return "\n".join(["set -e", *json.loads(block[1])["defaultCommands"]["value"]])


def app(script: str, **env: str) -> App:
    known = {"SLIPWAY_MOUNT": "/mount", **env}
    return App("app", "f", "r", "Single", ((None, 100),), known, {}, {}, args=(script,))


def plan(script: str, values: dict[str, object] | None = None, **env: str) -> Plan:
    named: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in env.items()]
    container = {"args": [script], "env": [{"name": "SLIPWAY_MOUNT", "value": "/mount"}, *named]}
    group = Group("g", "westeurope", "/g")
    template: Template = {}
    return Plan(template, values or {}, {}, Planned({}, {"containers": [container]}), "p", group, "n")


@pytest.mark.parametrize(
    ("last", "ours"),
    [
        ("python3 -m inference", True),
        ("python -m inference  # serve", True),
        ("exec python3 -u -m inference", True),
        ("SLIPWAY_WEIGHTS=nf4 A='b c' exec python3 -m inference", True),
        ("cd /mount && python3 -m inference", True),
        ("SLIPWAY_WEIGHTS=nf4 \\\n  python3 -m inference", True),
        ("python3 -m inference\n\n# that was it", True),
        ("python3 -m inference.tools", False),
        ("python3 -m inference\nexec python3 -m vllm", False),
        ("echo python3 -m inference", False),
        ('bash -c "python3 -m inference', False),
        ("exec", False),
        ("", False),
    ],
)
def test_our_server_is_what_the_last_command_starts(last: str, ours: bool) -> None:
    assert starts_our_server(last) is ours


def test_a_model_that_the_documented_vllm_serves_is_not_judged_as_ours(tmp_path: Path) -> None:
    """Weights that are no safetensors: our server would refuse them."""
    folder = base_in(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    share, named = LocalFiles(tmp_path), {"SLIPWAY_BASE_MODEL": "org/tiny"}
    assert "FAIL" in {each.verdict for each in model_checks(facts_for(share, "", app(OURS, **named), T4), needed=True)}
    assert model_checks(facts_for(share, "", app(documented(), **named), T4), needed=True) == ()
    other = app(documented(), SLIPWAY_BASE_MODEL="org/other")
    assert [each.code for each in model_checks(facts_for(share, "", other, T4), needed=True)] == ["NoBaseModel"]


def test_a_set_up_is_judged_by_the_commands_that_will_run() -> None:
    """Stated ones, else those that the app has."""
    stated: dict[str, object] = {"defaultCommands": []}
    cases = (
        (plan(OURS), None, True),
        (plan(documented()), None, False),
        (plan(OURS), app(documented()), False),
        (plan(documented(), stated), app(OURS), False),
        (plan(OURS, stated), app(documented()), True),
    )
    for planned, there, ours in cases:
        server = server_of(planned, there)
        assert server is not None
        assert server.ours is ours
