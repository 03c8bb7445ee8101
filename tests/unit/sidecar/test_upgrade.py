"""Apps of an older Slipway: known by their start, and given the present one."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from sidecar.core.scaffold import shipped_template
from sidecar.decisions.upgrade import (
    OLDER_STARTS,
    PRESENT_START,
    deploy_secret,
    differ_in_start_alone,
    digest_of,
    has_older_start,
    with_present_start,
)
from sidecar.gateway.apps import App
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text
from sidecar.workflows.publish import Published
from sidecar.workflows.wayback import restored

BEGIN = "var bootstrap = '''\n"


def app(bootstrap: str, **env: str) -> App:
    return App("app", None, None, "Multiple", (), env, {}, {}, command=("python3", "-c", bootstrap))


def present() -> str:
    template: dict[str, Any] = shipped_template()
    return template["variables"]["bootstrap"]


def git(*arguments: str) -> str:
    said = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if said.returncode != 0:
        pytest.skip(f"there is no history here: {said.stderr.strip()}")
    return said.stdout


def start_in(commit: str) -> str:
    """The start in the template of a commit; empty before there was one."""
    _, _, text = git("show", f"{commit}:infra/provision/inference.bicep").partition(BEGIN)
    return text[: text.index("'''")] if text else ""


def older() -> str:
    """The start in the template of the commit before releases were read from the console."""
    return start_in("2b04a2e")


def test_every_start_of_the_history_is_known() -> None:
    commits = git("log", "--format=%H", "--diff-filter=AM", "--", "infra/provision/inference.bicep").split()
    digests = {digest_of(start) for commit in commits if (start := start_in(commit))}
    assert digests <= OLDER_STARTS | {PRESENT_START}


def test_a_template_that_somebody_else_has_changed_is_no_upgrade_of_ours() -> None:
    """Given back, it would take their change away."""

    def template(start: str, image: str) -> dict[str, Any]:
        container = {"command": ["python3", "-c", start], "image": image, "probes": [{"type": start}]}
        return {"revisionSuffix": start, "containers": [container]}

    assert differ_in_start_alone(template("old", "a"), template("new", "a"))
    assert differ_in_start_alone(template("old", "a"), with_present_start(template("old", "a"), shipped_template()))
    assert not differ_in_start_alone(template("old", "a"), template("new", "b"))
    assert not differ_in_start_alone(template("old", "a"), template("old", "a"))


def test_the_start_of_an_older_template_is_known_and_no_other() -> None:
    ours = {"SLIPWAY_RELEASE": "current", "SLIPWAY_APP": "app"}
    assert digest_of(present()) == PRESENT_START
    assert PRESENT_START not in OLDER_STARTS
    assert not has_older_start(app(present(), **ours))
    assert not has_older_start(app("print('written by hand')", **ours))
    assert has_older_start(app(older(), **ours))
    assert not has_older_start(app(older()))  # no variables of ours: somebody else's app


def test_start_and_probes_are_replaced_and_the_rest_stays() -> None:
    container: dict[str, Any] = {
        "name": "inference",
        "image": "theirs:1",
        "command": ["python3", "-c", "old"],
        "args": ["set -e\npython3 -m inference"],
        "env": [{"name": "A", "value": "b"}],
        "probes": [],
    }
    actual: dict[str, Any] = {"containers": [container, {"name": "beside"}], "scale": {"maxReplicas": 3}}
    changed = with_present_start(actual, shipped_template())
    first = changed["containers"][0]
    assert first["command"] == ["python3", "-c", present()]
    assert [each["type"] for each in first["probes"]] == ["Startup", "Liveness", "Readiness"]
    kept = {name: value for name, value in first.items() if name not in ("command", "probes", "env")}
    assert kept == {name: value for name, value in container.items() if name not in ("command", "probes", "env")}
    assert first["env"] == [
        *container["env"],
        {"name": "SLIPWAY_DEPLOY_KEY", "secretRef": "slipway-deploy-key"},
        {"name": "SLIPWAY_PROBE_PORT", "value": "7861"},
    ]
    assert with_present_start(changed, shipped_template()) == changed
    assert changed["containers"][1:] == actual["containers"][1:]
    assert changed["scale"] == actual["scale"]
    assert container["probes"] == []


def test_a_start_that_takes_releases_brings_its_variables_and_takes_them_along() -> None:
    """They come with the start and go with it: the difference is the start alone, and the app's own variables stay."""
    shipped = shipped_with_deploy_key()
    old = {"containers": [{"command": ["python3", "-c", "old"], "env": [{"name": "A", "value": "b"}], "probes": []}]}
    changed = with_present_start(old, shipped)
    assert changed["containers"][0]["env"] == [
        {"name": "A", "value": "b"},
        {"name": "SLIPWAY_DEPLOY_KEY", "secretRef": "slipway-deploy-key"},
        {"name": "SLIPWAY_PROBE_PORT", "value": "7861"},
    ]
    assert with_present_start(changed, shipped) == changed
    assert differ_in_start_alone(old, changed)
    assert (deploy_secret(old), deploy_secret(changed)) == (None, "slipway-deploy-key")
    changed["containers"][0]["env"][0]["value"] = "theirs"
    assert not differ_in_start_alone(old, changed)


def shipped_with_deploy_key() -> dict[str, Any]:
    variables = [
        {"name": "SLIPWAY_APP", "value": "app"},
        {"name": "SLIPWAY_DEPLOY_KEY", "secretRef": "slipway-deploy-key"},
        {"name": "SLIPWAY_PROBE_PORT", "value": "7861"},
    ]
    env = [*variables, "[variables('of a parameter')]"]
    template = {"containers": [{"env": env, "probes": [{"type": "Startup"}]}]}
    return {"variables": {"bootstrap": "new"}, "resources": {"app": {"properties": {"template": template}}}}


def test_what_serves_again_is_said_in_one_sentence() -> None:
    failure = EndpointError(Text("It has ended."), Text("Look at the log."), code="ContainerCrashed", detail="line")
    made = Published("a" * 64, 3, changed=True)
    told = [
        restored(failure, "app", made, former_start=False),
        restored(failure, "app", made, former_start=True),
        restored(failure, "app", None, former_start=True),
    ]
    assert [str(each.message) for each in told] == [
        "It has ended. The release before, aaaaaaaaaaaa, serves again (generation 3).",
        "It has ended. app has its former start back, and the release before, aaaaaaaaaaaa, serves again (generation 3).",
        "It has ended. app has its former start back, and serves again.",
    ]
    assert [each.restored for each in told] == [3, 3, None]
    assert {(each.code, each.detail, str(each.suggestion)) for each in told} == {
        ("ContainerCrashed", "line", "Look at the log.")
    }
