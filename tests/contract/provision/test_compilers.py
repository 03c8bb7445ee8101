"""What *Check* and *Plan* tell of an edited template, by Microsoft's compiler (a stand-in for it) and by ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.journal import Journal
from sidecar.decisions.checks import Check
from sidecar.words.refused import Refused
from sidecar.workflows.planning import plan
from sidecar.workflows.preflight import preflight
from sidecar.workflows.resolve import Request
from tests.contract.provision.conftest import Project
from tests.support.bicep_standin import standin


def request_with(project: Project, environ: Mapping[str, str]) -> Request:
    return replace(project.request(), environ=dict(environ))


def checked(project: Project, environ: Mapping[str, str]) -> list[Check]:
    journal = Journal(None, "", lambda event: project.hear(event.text), threading.Event())
    found = preflight(project.workspace, project.session, request_with(project, environ), journal)
    return [each for each in found if each.name in ("template", "everything else")]


@pytest.mark.parametrize("mode", ["", "sarif only", "none"])
def test_a_mistake_is_told_at_its_place_and_once_mended_the_plan_is_made(
    project: Project, tmp_path: Path, mode: str
) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    if mode != "none":
        environ["SLIPWAY_BICEP_PATH"] = str(standin(tmp_path / "bin", mode))
    shipped = project.workspace.bicep_file.read_text(encoding="utf-8")
    project.template(shipped.replace("param image string", "param spare string = 'a'\nparam image strin", 1))
    line = shipped[: shipped.index("param image string")].count("\n") + 2
    wrong = checked(project, environ)
    mistake = next(each for each in wrong if each.verdict == "FAIL")
    assert mistake.problem is not None
    assert (mistake.name, mistake.problem.line, mistake.problem.column) == ("template", line, 13)
    assert mistake.problem.file == str(project.workspace.bicep_file)
    assert wrong[-1].verdict == "UNVERIFIED"
    with pytest.raises(Refused, match=f"inference.bicep, line {line}, column 13: "):
        plan(project.workspace, project.session, request_with(project, environ), project_journal(project), raw=False)
    project.template(shipped.replace("param image string", "param spare string = 'a'\nparam image string", 1))
    (warning,) = checked(project, environ)
    assert warning.problem is not None
    assert (warning.verdict, warning.problem.line, warning.problem.certain) == ("WARN", line - 1, False)
    made = plan(project.workspace, project.session, request_with(project, environ), project_journal(project), raw=False)
    assert any(each.name == "template" and each.verdict == "WARN" for each in made.checks)
    assert any("with the Bicep CLI 0.49.2" in each for each in project.said) is (mode != "none")


def project_journal(project: Project) -> Journal:
    return Journal(None, "", lambda event: project.hear(event.text), threading.Event())
