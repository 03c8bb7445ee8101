"""What parameters and template state, through to Azure's answer: edits with values of run time, nulls, what is refused before."""

from __future__ import annotations

import json
import re

import pytest

from sidecar.words.errors import WorkspaceError
from tests.contract.provision.conftest import Project, case

APP = "Microsoft.App/containerApps"


def test_values_that_only_azure_knows_may_stand_in_the_apps_template(project: Project) -> None:
    """Ordinary edits of the Bicep file, which were refused with "The template function 'reference' is not valid"."""
    shipped = project.workspace.bicep_file.read_text(encoding="utf-8")
    added = "".join(
        f"            {{\n              name: '{name}'\n              value: {value}\n            }}\n"
        for name, value in (
            ("FILES", "storage!.properties.primaryEndpoints.file"),
            ("DOMAIN", "environment!.properties.defaultDomain"),
            ("WHICH", "deployment().name"),
        )
    )
    project.template(shipped.replace("          env: [\n", f"          env: [\n{added}", 1))
    name = project.provision().deployment
    (app,) = project.names(APP)
    (container,) = project.world.apps.container_apps.get(project.group, app).properties.template.containers
    found = {each.name: each.value for each in container.env}
    assert found["FILES"].startswith("https://")
    assert found["DOMAIN"]
    assert found["WHICH"] == name
    project.provision()
    assert any("is as the parameters state it" in each for each in project.said)


def test_null_means_the_documents_default_with_a_template_that_has_none(project: Project) -> None:
    text = case("toolkit-shape.bicep")
    text = re.sub(
        r"'NC24-A100', minimumCount: 0, maximumCount: maximumInstanceCount", "'Consumption-GPU-NC24-A100'", text
    )
    text = re.sub(r"^(param (?!suffix)\w+ string) = .*$", r"\1", text, flags=re.MULTILINE)
    project.template(text)
    document = json.loads(case("toolkit-shape.parameters.json"))
    document["parameters"]["maximumInstanceCount"]["value"] = None
    project.workspace.parameters_file.write_text(json.dumps(document), encoding="utf-8")
    project.provision()
    (app,) = project.names(APP)
    assert re.fullmatch("aiacaapp[a-z2-7]{5}", app)
    template = project.world.apps.container_apps.get(project.group, app).properties.template
    assert template.scale is None or template.scale.max_replicas in (1, None)


def test_misstated_parameters_stop_before_anything_is_asked_of_azure(project: Project) -> None:
    project.state(acaAppNam="mine", maximumInstanceCount="two", location="${AZURE_LOCATION}")
    with pytest.raises(WorkspaceError, match="AZURE_LOCATION} is a placeholder"):
        project.provision()
    project.state(location=None)
    with pytest.raises(WorkspaceError, match="maximumInstanceCount has to be a whole number") as error:
        project.provision()
    assert any("did you mean acaAppName?" in str(each.message) for each in error.value.problems)
    assert project.names(APP) == []
