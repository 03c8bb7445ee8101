"""A base model that the container fetches from a hub: stated as parameters, its token a secret of the app, in no plan."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.provision.conftest import Project
from tests.contract.provision.test_preflight import checks

TOKEN = "hf_the-token-of-this-test"


def container_of(project: Project) -> tuple[dict[str, tuple[str | None, str | None]], dict[str, str]]:
    """Variables with value and secret, and the secrets."""
    (name,) = project.names("Microsoft.App/containerApps")
    app: Any = project.world.apps.container_apps.get(project.group, name)
    env = {each.name: (each.value, each.secret_ref) for each in app.properties.template.containers[0].env}
    secrets = project.world.apps.container_apps.list_secrets(project.group, name).value
    return env, {str(each.name): str(each.value) for each in secrets}


@pytest.mark.long  # the next one writes the same into an app that is there
def test_a_hub_that_is_stated_is_in_the_app_and_its_token_is_a_secret(project: Project) -> None:
    project.state(hubModel="org/gated", hubToken=TOKEN)
    plan = project.plan()
    assert TOKEN not in str(plan)
    project.provision()
    env, secrets = container_of(project)
    assert env["SLIPWAY_HUB_MODEL"] == ("org/gated", None)
    assert env["SLIPWAY_HUB_REVISION"] == ("main", None)
    assert env["SLIPWAY_HUB_TOKEN"] == (None, "slipway-hub-token")
    assert secrets["slipway-hub-token"] == TOKEN
    assert not any(TOKEN in each for each in project.said)
    found = checks(project)["base model"]
    assert (found.verdict, "org/gated is not on the share" in str(found.sentence)) == ("PASS", True)


def test_an_app_that_is_there_gets_what_is_stated_later_and_nothing_is_changed_twice(project: Project) -> None:
    project.provision()
    before, former = container_of(project)
    assert (before["SLIPWAY_HUB_MODEL"], before["SLIPWAY_HUB_TOKEN"]) == (("", None), (None, "slipway-hub-token"))
    assert former["slipway-hub-token"] == "none"
    project.state(hubModel="org/gated", hubToken=TOKEN)
    project.provision()
    env, secrets = container_of(project)
    assert (env["SLIPWAY_HUB_MODEL"], env["SLIPWAY_HUB_TOKEN"]) == (("org/gated", None), (None, "slipway-hub-token"))
    assert secrets == {**former, "slipway-hub-token": TOKEN}
    changed = ("SLIPWAY_HUB_MODEL",)
    assert {name: env[name] for name in before if name not in changed} == {
        name: each for name, each in before.items() if name not in changed
    }
    assert any("The app gets a token for the hub" in each for each in project.said)
    assert not any(TOKEN in each for each in project.said)
    assert project.provision().nothing
