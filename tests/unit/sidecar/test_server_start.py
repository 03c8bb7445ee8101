"""What an app's commands start, and what of the model check is then said: another server may serve what ours can't."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.deployment import Planned, Template
from sidecar.decisions.model_check import model_checks
from sidecar.decisions.model_facts import commanded
from sidecar.decisions.server_start import starts_our_server
from sidecar.gateway.apps import App
from sidecar.gateway.resources import Group
from sidecar.workflows.beforehand import facts_for
from sidecar.workflows.preflight import server_of
from sidecar.workflows.resolve import Plan
from tests.support.model_folders import LocalFiles, adapter_in, base_in, write_weights

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


@pytest.mark.parametrize(
    ("script", "settings"),
    [
        ("export SLIPWAY_WEIGHTS=nf4 SLIPWAY_ENGINE='own'  # SLIPWAY_DEVICE=cpu", ("nf4", "own", "-")),
        ("# export SLIPWAY_WEIGHTS=nf4", ("-", "-", "-")),
        ("echo SLIPWAY_WEIGHTS=nf4; export SLIPWAY_DEVICE=cuda", ("-", "-", "cuda")),
        ('export SLIPWAY_WEIGHTS="$WAY" SLIPWAY_ENGINE=`cat way` SLIPWAY_DEVICE=${D:-cpu}', (None, None, None)),
        ("SLIPWAY_DEVICE=cuda SLIPWAY_ENGINE=$E python3 -m inference", ("-", None, "cuda")),
        ("SLIPWAY_DEVICE=cpu python3 -m other", ("-", "-", None)),
        ("[ -z x ] && export SLIPWAY_WEIGHTS=nf4", (None, "-", "-")),
        ("if true; then\nexport SLIPWAY_WEIGHTS=nf4\nfi\nexport SLIPWAY_ENGINE=own", (None, "own", "-")),
        ('export SLIPWAY_WEIGHTS=nf4\nexport SLIPWAY_WEIGHTS="full', (None, "-", "-")),
        ("export SLIPWAY_WEIGHTS=$W\nexport SLIPWAY_WEIGHTS=nf4", ("nf4", "-", "-")),
        ("export SLIPWAY_WEIGHTS=nf4\nunset SLIPWAY_WEIGHTS", ("", "-", "-")),
    ],
)
def test_a_setting_is_known_only_where_the_commands_plainly_say_it(
    script: str, settings: tuple[str | None, ...]
) -> None:
    found = commanded(script)
    names = ("SLIPWAY_WEIGHTS", "SLIPWAY_ENGINE", "SLIPWAY_DEVICE")
    assert tuple(found.get(name, "-") for name in names) == settings


def test_what_only_the_shell_can_tell_is_unverified_and_no_failure(tmp_path: Path) -> None:
    folder = base_in(tmp_path)
    adapter_in(tmp_path)
    share = LocalFiles(tmp_path)

    def judged(commands: str, **env: str) -> dict[str, str]:
        facts = facts_for(share, "", app(f"{commands}\n{OURS}", **env), T4)
        return {each.name: each.verdict for each in model_checks(facts, needed=True)}

    assert judged('export SLIPWAY_BASE_MODEL="$MODEL"', SLIPWAY_BASE_MODEL="org/none") == {"base model": "UNVERIFIED"}
    assert judged("export SLIPWAY_WEIGHTS=$W")["memory"] == "UNVERIFIED"
    write_weights(folder / "model.safetensors", {"model.norm.weight": (64,)})
    assert judged("")["base model"] == "FAIL"
    found = judged("export SLIPWAY_ENGINE=$E")
    assert {found[name] for name in ("base model", "memory", "adapters")} == {"UNVERIFIED"}


def test_an_export_in_the_commands_wins_over_the_apps_variable_in_a_set_up_too() -> None:
    exported = f"export SLIPWAY_BASE_MODEL=org/exported\n{OURS}"
    stated: dict[str, object] = {"defaultCommands": []}
    cases = (
        (plan(exported, SLIPWAY_BASE_MODEL=""), None, "org/exported"),
        (plan(OURS, SLIPWAY_BASE_MODEL=""), app(exported, SLIPWAY_BASE_MODEL="org/app"), "org/exported"),
        (plan(exported, stated, SLIPWAY_BASE_MODEL=""), app(OURS, SLIPWAY_BASE_MODEL="org/app"), "org/exported"),
        (plan(OURS, stated, SLIPWAY_BASE_MODEL=""), app(exported, SLIPWAY_BASE_MODEL="org/app"), "org/app"),
        (
            plan(OURS, {**stated, "baseModel": "org/stated"}, SLIPWAY_BASE_MODEL="org/stated"),
            app(exported, SLIPWAY_BASE_MODEL="org/app"),
            "org/stated",
        ),
    )
    for planned, there, base in cases:
        server = server_of(planned, there)
        assert server is not None
        assert server.settings["SLIPWAY_BASE_MODEL"] == base
