"""The file of a plan at the terminal: where it can't be written, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.doors import cli, terminal_plan
from sidecar.wire import protocol as wire
from sidecar.words.errors import WorkspaceError
from sidecar.words.names import CLOUDS

SAID = wire.Sentence(message="said", args={})
PRICE = wire.PlanPrice(
    awake=None, asleep=None, month=None, replicas=1, start=None, start_seconds=600, start_why=SAID, currency="",
    source=SAID, note=None,
)  # fmt: skip
PLAN = wire.Plan(
    digest="d1", nothing=False, folder="/f", cloud="local", subscription_id="s", resource_group="g", location="l",
    profile=None, summary=SAID, registers=[], resources=[], effects=[], files=[], risks=[], price=PRICE, notes=[], checks=[],
    unforeseen=None, raw=None, markdown="# The plan",
)  # fmt: skip
APPLIED: dict[str, Any] = {"folder": "/f", "subscriptionId": "s", "resourceGroup": "g", "digest": "d1"}


def planned(output: Path, *flags: str) -> int:
    return cli.main(["plan", "--output", str(output), *flags], {"SLIPWAY_STATE": str(output.parent)}, "slipway")


@pytest.fixture
def without_a_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("trust_this_machine", "_stop_on_signals", "_complete", "_agree"):
        monkeypatch.setattr(cli, name, lambda *_: None)
    monkeypatch.setattr(cli, "_with_consents", lambda *_: PLAN)


@pytest.mark.usefixtures("without_a_cloud")
def test_a_plan_that_can_not_be_written_is_printed_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It took a while to make; it used to end in a traceback."""
    (tmp_path / "file").write_text("")
    assert planned(tmp_path / "file" / "plan.json") == 1
    told = capsys.readouterr()
    assert "# The plan" in told.out
    assert "could not be written" in told.err
    assert "[PlanNotWritten]" in told.err
    assert planned(tmp_path / "file" / "plan.json", "--json") == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["digest"] == "d1", "one document"
    assert "[PlanNotWritten]" in told.err
    assert planned(tmp_path / "plan.json") == 0
    assert terminal_plan.taken(str(tmp_path / "plan.json")) == {**APPLIED, "cloud": "local"}


def test_a_file_with_a_cloud_that_is_none_holds_no_plan(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    for cloud in CLOUDS:
        file.write_text(json.dumps({**APPLIED, "cloud": cloud}))
        assert terminal_plan.taken(str(file))["cloud"] == cloud
    file.write_text(json.dumps({**APPLIED, "cloud": "moon"}))
    with pytest.raises(WorkspaceError, match="its cloud is moon") as refused:
        terminal_plan.taken(str(file))
    assert refused.value.code == "NoPlan"
