"""Between the commands: what Deploy, a rotation and other people have made of an app is there after the next *Provision*."""

from __future__ import annotations

import json
from typing import Any

from sidecar.gateway import apps
from sidecar.gateway.files import open_share
from tests.contract.provision.conftest import Project

GENERATION = b'{"release": "r", "number": 1}'


def document(project: Project, name: str) -> dict[str, Any]:
    return project.world.apps.container_apps.get(project.group, name).as_dict()["properties"]


def kept(found: dict[str, Any]) -> dict[str, Any]:
    """What nobody but its owner changes: mode, traffic, scale but for the stated cooldown, the first container."""
    configuration, template = found["configuration"], found["template"]
    scale = {key: value for key, value in template["scale"].items() if key != "cooldownPeriod"}
    return {
        "mode": configuration["activeRevisionsMode"],
        "traffic": configuration["ingress"]["traffic"],
        "scale": scale,
        "container": template["containers"][0],
    }


def test_release_traffic_revision_mode_scale_and_key_stay_as_they_are(project: Project) -> None:
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    place, client = project.place.app(name), project.world.apps.container_apps
    config = json.loads(project.workspace.config_file.read_text(encoding="utf-8"))
    share = (project.place, config["STORAGE_ACCOUNT_NAME"], config["FILE_SHARE_NAME"])
    with open_share(*share) as opened:
        opened.replace(f".slipway/{name}/generations/1.json", GENERATION)

    # a pinned release and other people's scale, then two revisions with a share of the traffic each, then a rotated key
    first = client.get(project.group, name).latest_revision_name
    template = apps.template_of(place)
    template["containers"][0]["env"] = [
        {**each, "value": "0" * 64} if each["name"] == "SLIPWAY_RELEASE" else each
        for each in template["containers"][0]["env"]
    ]
    rule = {"name": "http", "http": {"metadata": {"concurrentRequests": "7"}}}
    # what the parameters state is Provision's (maximumInstanceCount); what they do not is whoever's set it
    template["scale"] = {**template["scale"], "minReplicas": 1, "pollingInterval": 45, "rules": [rule]}
    client.begin_update(
        project.group,
        name,
        {"location": "westus3", "properties": {"configuration": {"activeRevisionsMode": "Multiple"}}},
    ).result()
    apps.update_template(place, template)
    second = client.get(project.group, name).latest_revision_name
    assert first != second
    traffic = [{"revisionName": first, "weight": 80}, {"revisionName": second, "weight": 20, "label": "next"}]
    ingress = {**document(project, name)["configuration"]["ingress"], "traffic": traffic}
    client.begin_update(
        project.group, name, {"location": "westus3", "properties": {"configuration": {"ingress": ingress}}}
    ).result()
    secrets = {**apps.secrets(place), "api-key": "a key of the team's"}
    stated = [{"name": key, "value": value} for key, value in secrets.items()]
    client.begin_update(
        project.group, name, {"location": "westus3", "properties": {"configuration": {"secrets": stated}}}
    ).result()
    before, revision = kept(document(project, name)), client.get(project.group, name).latest_revision_name

    project.provision()
    assert kept(document(project, name)) == before
    assert client.get(project.group, name).latest_revision_name == revision, "nothing changed: no revision is made"
    project.state(cooldownSeconds=77)
    project.provision()
    after = document(project, name)
    assert kept(after) == before
    assert after["template"]["scale"]["cooldownPeriod"] == 77, "what is stated is changed, by itself"
    assert apps.secrets(place) == secrets
    with open_share(*share) as opened:
        assert opened.read(f".slipway/{name}/generations/1.json") == GENERATION
