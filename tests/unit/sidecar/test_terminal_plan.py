"""The file of a plan at the terminal: where it can't be written, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.doors import terminal_plan
from sidecar.words.errors import WorkspaceError
from sidecar.words.names import CLOUDS

APPLIED: dict[str, Any] = {"folder": "/f", "subscriptionId": "s", "resourceGroup": "g", "digest": "d1"}


def test_a_plan_that_can_not_be_written_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="could not be written") as refused:
        terminal_plan.save(str(tmp_path / "file" / "plan.json"), {**APPLIED, "cloud": "local"})
    assert refused.value.code == "PlanNotWritten"
    for named in ({"parameters": None, "app": None}, {"parameters": "main.bicepparam", "app": "api"}):
        terminal_plan.save(str(tmp_path / "plan.json"), {**APPLIED, "cloud": "local", **named})
        assert terminal_plan.taken(str(tmp_path / "plan.json")) == {**APPLIED, "cloud": "local", **named}


def test_a_file_with_a_cloud_that_is_none_holds_no_plan(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    for cloud in CLOUDS:
        file.write_text(json.dumps({**APPLIED, "cloud": cloud}))
        assert terminal_plan.taken(str(file))["cloud"] == cloud
    file.write_text(json.dumps({**APPLIED, "cloud": "moon"}))
    with pytest.raises(WorkspaceError, match="its cloud is moon") as refused:
        terminal_plan.taken(str(file))
    assert refused.value.code == "NoPlan"
