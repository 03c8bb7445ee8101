"""What is a gate, and what is refused of one before anything is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.dataset_files import dataset_of
from sidecar.core.evaluation_runs import begun, finish, last_over
from sidecar.core.workspace import Workspace, open_workspace
from sidecar.words.errors import WorkspaceError
from sidecar.workflows.gate import NO_GATE, gate_of, gate_told

LAST = {"measure": "chrf", "verdict": "not worse", "against": "last"}
BOUND = {"measure": "passes", "bound": 0.9}


def project(folder: Path, *, rows: bool = True, **stated: Any) -> Workspace:
    infra = folder / "infra"
    infra.mkdir(exist_ok=True)
    (infra / "evaluation.json").write_text(json.dumps(stated))
    if rows:
        (infra / "evaluation.jsonl").write_text('{"prompt": "What is 2 + 2?", "equals": "4"}\n')
    return open_workspace(folder)


def ran(workspace: Workspace, key: str, *, met: bool = True, **head: Any) -> None:
    digest = dataset_of(workspace, ()).digest
    run = begun(workspace, key, {"digest": digest, "models": {"base": None, "poet": None}, **head}, anew=True)
    finish(run, "# Evaluation\n", {"met": met})


def test_thresholds_are_a_gate_unless_the_file_says_that_they_are_none(tmp_path: Path) -> None:
    assert gate_of(project(tmp_path), plain=False) is None
    gate = gate_of(project(tmp_path, thresholds=[BOUND]), plain=False)
    assert gate is not None
    assert str(gate.sentence).endswith("1 thresholds of infra/evaluation.json, rows to ask: 1.")
    without = project(tmp_path, thresholds=[BOUND], gate=False)
    assert gate_of(without, plain=False) is None
    assert gate_told(without, None) == NO_GATE
    assert gate_told(project(tmp_path), None) is None


def test_a_gate_that_could_not_be_passed_or_taken_back_is_refused_before(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError) as refused:
        gate_of(project(tmp_path, rows=False, thresholds=[BOUND]), plain=False)
    assert refused.value.code == "NoDataset"
    with pytest.raises(WorkspaceError) as refused:
        gate_of(project(tmp_path, thresholds=[BOUND]), plain=True)
    assert refused.value.code == "NoReleases"
    assert '"gate": false' in str(refused.value.suggestion)


def test_a_gate_that_compares_with_the_last_run_needs_one_of_that_model(tmp_path: Path) -> None:
    workspace = project(tmp_path, thresholds=[LAST])
    with pytest.raises(WorkspaceError, match="compares the models with an earlier run"):
        gate_of(workspace, plain=False)
    ran(workspace, "k1")
    assert gate_of(workspace, plain=False) is not None
    with pytest.raises(WorkspaceError, match="compares sailor with an earlier run") as refused:
        gate_of(project(tmp_path, thresholds=[{**LAST, "model": "sailor"}]), plain=False)
    assert refused.value.code == "NoEarlierRun"


def test_what_did_not_pass_a_gate_is_no_measure_for_what_comes_after_it(tmp_path: Path) -> None:
    """Else the same bad release would be no worse than itself, and pass the second time."""
    workspace = project(tmp_path, thresholds=[LAST])
    digest = dataset_of(workspace, ()).digest
    ran(workspace, "k1", met=False, gate="a" * 64)
    assert last_over(workspace, digest) is None
    ran(workspace, "k2", met=False)
    assert (found := last_over(workspace, digest)) is not None
    assert found.key == "k2", "nobody had asked a gate there"
    ran(workspace, "k3", gate="b" * 64)
    assert (found := last_over(workspace, digest)) is not None
    assert found.key == "k3"
