"""What-ifs of a deployed template through the SDK, on a local cloud that cries wolf as Azure was seen to."""

from __future__ import annotations

import ssl
from typing import Any, cast

import httpx
import pytest

from sidecar.core.deployment import merge_parameters
from sidecar.core.parameters import read_parameters
from sidecar.core.template import load_template
from sidecar.core.workspace import known_project_id
from sidecar.decisions.prices import Size, meters_of, price_of
from sidecar.decisions.whatif import ResourceChange, changes_of, meant
from sidecar.gateway.prices import price_pages
from sidecar.gateway.whatif import what_if
from sidecar.words.text import Text
from tests.contract.provision.conftest import Project

APP = "microsoft.app/containerapps"


def foreseen(project: Project, **ours: object) -> tuple[ResourceChange, ...]:
    """Of the whole template, as somebody would send it who knows nothing of what exists."""
    compiled = load_template(project.workspace.bicep_file, project.workspace.template_file, {})
    ours |= {"projectId": known_project_id(project.workspace), "apiKey": "not-to-be-told"}
    complete = merge_parameters(compiled.template, read_parameters(project.workspace).values, ours)
    found = what_if(project.place, "foreseen", compiled.template, complete)
    assert "not-to-be-told" not in str(found)
    return changes_of(found)


def test_an_unchanged_deployment_is_noisy_as_it_comes_and_silent_once_it_is_filtered(project: Project) -> None:
    """Row 7 of what was found about the local cloud: Azure's noise, in Azure's form."""
    project.provision()
    raw = foreseen(project)
    (app,) = [each for each in raw if each.type == APP]
    assert app.kind == "Modify"
    paths = {each.path: each.kind for each in app.deltas}
    for path in ("properties.runningStatus", "properties.template.containers[0].imageType"):
        assert paths[path] == "Delete"
    assert not any("latestRevisionName" in path or "eventStream" in path for path in paths)
    left = [
        (each.kind, each.type, delta) for each in meant(raw) for delta in (*each.deltas, "") if each.kind == "Modify"
    ]
    assert not left, "\n".join(map(str, left))


def test_what_a_person_changed_stands_out_of_the_noise(project: Project) -> None:
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    body: Any = {"location": "westus3", "properties": {"template": {"scale": {"minReplicas": 0, "maxReplicas": 3}}}}
    project.world.apps.container_apps.begin_update(project.group, name, body).result()
    (app,) = [each for each in meant(foreseen(project)) if each.type == APP]
    assert {each.path: (each.before, each.after) for each in app.deltas} == {
        "properties.template.scale.maxReplicas": (3, 1)
    }


def test_the_local_clouds_price_list_has_azures_shape_and_is_said_to_be_made_up(project: Project) -> None:
    pages = price_pages(project.session, ["westus3", "westeurope"])
    (page,) = [cast("dict[str, Any]", each) for each in pages]
    assert {"BillingCurrency", "CustomerEntityId", "CustomerEntityType", "Items", "NextPageLink", "Count"} == set(page)
    meters = [meter for each in pages for meter in meters_of(each)]
    t4, a100 = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100"
    assert price_of(t4, Size(8, 56, 1), "West Europe", meters, Text("list")).awake
    assert price_of(a100, Size(24, 220, 1), "westeurope", meters, Text("list")).awake is None, "not offered there"
    assert "made up" in str(project.session.profile.prices_note)


def trusting(project: Project) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(project.session.verify))


def test_prices_need_no_sign_in_and_other_services_have_none_here(project: Project) -> None:
    session = project.session
    assert session.profile.prices is not None
    asked = {"$filter": "serviceName eq 'Virtual Machines' and armRegionName eq 'westus3'"}
    answer = httpx.get(session.profile.prices, params=asked, verify=trusting(project), trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["Items"]) == (200, [])


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_price_list_is_only_read(project: Project, method: str) -> None:
    assert project.session.profile.prices is not None
    answer = httpx.request(
        method, project.session.profile.prices, verify=trusting(project), trust_env=False, timeout=60
    )
    assert answer.status_code == 405
