"""Which template is deployed, what it is called, and how parameters meet it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import cast

import pytest

from sidecar.armlang.expressions import Scope, evaluate
from sidecar.core.deployment import GroupFacts, deployment_name, merge_parameters, plan_names, secure_parameters
from sidecar.core.template import load_template
from sidecar.words.errors import TemplateError
from tests.support.bicep_standin import standin

GROUP = GroupFacts("sub", "tenant", "rg", "/subscriptions/sub/resourceGroups/rg", "westeurope")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("inference.bicep", "inference.json"):
        shutil.copy(Path("infra/provision") / name, tmp_path / name)
    return tmp_path / "inference.bicep", tmp_path / "inference.json"


def test_the_shipped_template_needs_no_compiler(files: tuple[Path, Path]) -> None:
    compiled = load_template(*files, environ={})
    assert "up to date" in str(compiled.how)


def test_an_edited_bicep_file_is_compiled(files: tuple[Path, Path]) -> None:
    files[0].write_text(files[0].read_text().replace("'Standard_LRS'", "'Standard_ZRS'"))
    compiled = load_template(*files, environ={})
    assert "Standard_ZRS" in json.dumps(compiled.template)


def test_a_json_file_edited_by_hand_is_refused_with_the_reason(files: tuple[Path, Path]) -> None:
    files[1].write_text(files[1].read_text().replace("Standard_LRS", "Standard_ZRS"))
    with pytest.raises(TemplateError, match="edited by hand"):
        load_template(*files, environ={})


def test_a_bicep_file_beyond_the_subset_says_which_line_and_what_to_install(files: tuple[Path, Path]) -> None:
    files[0].write_text("type own = string\n")
    with pytest.raises(TemplateError, match=r"inference\.bicep, line 1, column 1: .*type") as error:
        load_template(*files, environ={})
    assert "Install the Bicep CLI" in str(error.value.suggestion)
    (problem,) = error.value.problems
    assert (problem.line, problem.column, problem.certain) == (1, 1, False)


def test_a_mistake_gets_no_advice_to_install_a_compiler_that_refuses_it_too(files: tuple[Path, Path]) -> None:
    files[0].write_text("var a = 'x'\nvar a = missing\n")
    with pytest.raises(TemplateError, match="And 2 more") as error:
        load_template(*files, environ={})
    assert error.value.code == "BicepMistake"
    assert "Bicep CLI" not in str(error.value.suggestion)
    assert [(each.line, each.column) for each in error.value.problems] == [(1, 5), (2, 5), (2, 9)]


def test_a_bicep_cli_at_hand_compiles_and_its_complaints_are_shown(files: tuple[Path, Path], tmp_path: Path) -> None:
    environ = {**os.environ, "AZD_BICEP_TOOL_PATH": str(standin(tmp_path / "bin"))}
    files[0].write_text("type own = string\nparam x own\n")
    compiled = load_template(*files, environ=environ)
    assert "_generator" in cast("dict[str, object]", compiled.template["metadata"])
    assert str(compiled.how) == f"Compiled inference.bicep with the Bicep CLI 0.49.2, {tmp_path / 'bin' / 'bicep'}."
    assert [(each.line, each.certain) for each in compiled.warnings] == [(2, False)]
    files[0].write_text("parm x string\n")
    with pytest.raises(TemplateError, match="BCP007"):
        load_template(*files, environ=environ)


def test_default_names_equal_fine_tunings(files: tuple[Path, Path]) -> None:
    template = load_template(*files, environ={}).template
    names = plan_names(template, {}, GROUP).names
    suffix = names["microsoft.app/containerapps"].removeprefix("aiacaapp")
    assert len(suffix) == 5
    assert names == {
        "microsoft.storage/storageaccounts": f"aistorage{suffix}",
        "microsoft.storage/storageaccounts/fileservices/shares": f"aistorage{suffix}/default/aifileshare{suffix}",
        "microsoft.operationalinsights/workspaces": f"ailog{suffix}",
        "microsoft.app/managedenvironments": f"aienv{suffix}",
        "microsoft.app/managedenvironments/storages": f"aienv{suffix}/aienvstorage{suffix}",
        "microsoft.app/containerapps": f"aiacaapp{suffix}",
    }


def test_commands_stop_at_the_first_failure_and_the_ceiling_is_max_replicas(
    files: tuple[Path, Path],
) -> None:
    template = load_template(*files, environ={}).template
    stated = merge_parameters(template, {"defaultCommands": ["one", "two"], "maximumInstanceCount": 3}, {})
    planned = plan_names(template, stated, GROUP)
    assert planned.app_template is not None
    assert planned.app_template["containers"][0]["args"] == ["set -e\none\ntwo"]  # type: ignore[index]
    assert planned.app_template["scale"]["maxReplicas"] == 3  # type: ignore[index]
    assert planned.app_template["scale"]["minReplicas"] == 0  # type: ignore[index]


@pytest.mark.parametrize(("stated", "meant"), [(None, "westeurope"), ("eastus", "eastus")])
def test_location_null_is_the_groups(files: tuple[Path, Path], stated: str | None, meant: str) -> None:
    template = load_template(*files, environ={}).template
    given: dict[str, object] = {"location": stated}
    scope = Scope(given.__getitem__, functions={"resourcegroup": lambda: {"location": GROUP.location}})
    assert evaluate(cast("dict[str, object]", template["variables"])["place"], scope) == meant
    assert template["resources"]["app"]["location"] == "[variables('place')]"  # type: ignore[index]


def test_an_unknown_parameter_is_named(files: tuple[Path, Path]) -> None:
    template = load_template(*files, environ={}).template
    with pytest.raises(TemplateError, match="acaAppname2"):
        merge_parameters(template, {"acaAppname2": "x"}, {})


def test_a_persons_parameter_wins_over_ours_and_casing_is_the_templates(files: tuple[Path, Path]) -> None:
    template = load_template(*files, environ={}).template
    merged = merge_parameters(
        template, {"ACAAPPNAME": "mine"}, {"acaAppName": "ours", "createApp": False, "unknown": 1}
    )
    assert merged == {"acaAppName": {"value": "mine"}, "createApp": {"value": False}}


def test_the_deployments_name_says_what_is_deployed_and_never_the_key(files: tuple[Path, Path]) -> None:
    template = load_template(*files, environ={}).template
    assert secure_parameters(template) == {"apiKey", "deployKey", "hubToken", "registryPassword"}
    name = deployment_name(template, {"apiKey": {"value": "one"}}, GROUP.id, "ours")
    assert name == deployment_name(template, {"apiKey": {"value": "two"}}, GROUP.id.upper(), "ours")
    assert name != deployment_name(template, {"acaAppName": {"value": "two"}}, GROUP.id, "ours")
    assert name != deployment_name(template, {}, GROUP.id, "another project's"), (
        "two projects never follow each other's"
    )
    assert name != deployment_name(template, {"apiKey": {"value": "one"}}, GROUP.id, "theirs")
