"""Decisions about an app that is there: which revision serves, whose it is, and which addresses get its key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sidecar.decisions.serving import (
    Address,
    address_of,
    elsewhere_note,
    is_ours,
    plain_tree_mount,
    release_mount,
    revision_to_activate,
    revision_to_deploy,
    serving_revision,
)
from sidecar.gateway.apps import App, Mount
from sidecar.gateway.revisions import Revision
from sidecar.words.errors import EndpointError

FQDN = "app.happy-sky.westeurope.azurecontainerapps.io"


def app(mode: str = "Multiple", traffic: tuple[tuple[str | None, int], ...] = ((None, 100),), **env: str) -> App:
    return App(
        name="app",
        fqdn=FQDN,
        latest_revision="app--2",
        mode=mode,
        traffic=traffic,
        env=env,
        secret_env={},
        tags={},
        labels=(("next", "app--2"), ("old", "app--1"), ("latest", None)),
        custom_domains=("chat.example.org",),
    )


def revision(name: str, active: bool = True, **more: Any) -> Revision:
    fqdn = FQDN.replace("app.", f"{name}.", 1)
    known = Revision(
        name, active, 1, "RunningAtMaxScale", "Healthy", fqdn=fqdn, created=f"2026-06-20T13:0{name[-1]}:00Z"
    )
    return replace(known, **more)


REVISIONS = [revision("app--1"), revision("app--2")]
FAILED: dict[str, Any] = {"state": "Failed", "health": "Unhealthy", "weight": 100, "provisioning": "Provisioned"}
STARTING: dict[str, Any] = {"state": "Activating", "health": "None", "weight": 100, "provisioning": "Provisioned"}


@pytest.mark.fact(2, 5, 6, 16, 22, 23, 28, 29)
@pytest.mark.parametrize(
    ("given", "newest", "serving", "deployed_to"),
    [
        (app(), {}, "app--2", "app--2"),
        (app("Single"), {}, "app--2", "app--2"),
        (app("Single", (("app--1", 100),)), {}, "app--2", "app--2"),
        (app("Single"), STARTING, "app--1", "app--2"),
        (app(), STARTING, "app--1", "app--2"),
        (app("Single"), FAILED, "app--1", "app--1"),
        (app("Single"), {**FAILED, "state": "Degraded"}, "app--1", "app--1"),
        (app(), FAILED, "app--1", "app--2"),
        (app(traffic=(("app--1", 90), ("app--2", 10))), {}, "app--1", "app--1"),
        (app(traffic=(("app--2", 100),)), FAILED, "app--2", "app--2"),
    ],
)
def test_who_serves_is_the_newest_that_works_whatever_weight_and_provisioning_state_say(
    given: App, newest: dict[str, Any], serving: str, deployed_to: str
) -> None:
    """A failed newest revision keeps the weight, and the app goes on calling it its latest ready one."""
    there = [revision("app--1"), revision("app--2", **newest)]
    assert serving_revision(given, there).name == serving
    assert revision_to_deploy(given, there).name == deployed_to


def test_a_revision_that_a_killed_deploy_left_deactivated_is_found() -> None:
    stopped = [revision("app--1", active=False), revision("app--2", active=False, state="Stopped")]
    found = revision_to_activate(app(), stopped)
    assert found is not None
    assert found.name == "app--2"
    assert revision_to_activate(app(), REVISIONS) is None


def test_commands_that_change_into_the_mount_read_the_plain_tree_and_others_a_release() -> None:
    share = Mount("/mount", "models", "below")
    ours = replace(app(SLIPWAY_RELEASE="current", SLIPWAY_APP="app", SLIPWAY_MOUNT="/mount"), mounts=(share,))
    assert plain_tree_mount(ours) is None
    assert release_mount(ours) == share
    entering = replace(ours, args=("set -e\ncd /mount/inference\npython3 -m inference",))
    assert plain_tree_mount(entering) == share
    assert plain_tree_mount(replace(app(), mounts=(share,))) == share


def test_no_active_revision_is_said() -> None:
    with pytest.raises(EndpointError, match="no active revision"):
        serving_revision(app(), [revision("app--2", active=False)])


def test_an_app_made_by_hand_is_recognised() -> None:
    assert not is_ours(app(HOME="/root"))
    assert is_ours(app(SLIPWAY_RELEASE="current", SLIPWAY_APP="app"))


def asked(named: str, scheme: str = "https", given: App | None = None, serving: str = "app--2") -> Address:
    return address_of(named, scheme, given or app(), REVISIONS, serving)


@pytest.mark.parametrize(
    ("named", "host"),
    [
        (FQDN, FQDN),
        (FQDN.upper(), FQDN),
        (f" https://{FQDN}/ ", FQDN),
        (f"https://{FQDN}:443", FQDN),
        (f"{FQDN}.", FQDN),
        (f"https://{FQDN}/v1", FQDN),
        (FQDN.replace("app.", "app--2.", 1), FQDN.replace("app.", "app--2.", 1)),
        (FQDN.replace("app.", "app---next.", 1), FQDN.replace("app.", "app---next.", 1)),
        (FQDN.replace("app.", "app---latest.", 1), FQDN.replace("app.", "app---latest.", 1)),
        ("chat.example.org", "chat.example.org"),
    ],
)
def test_the_apps_own_addresses_get_its_key(named: str, host: str) -> None:
    assert asked(named) == Address(f"https://{host}")


@pytest.mark.parametrize("host", ["app--1.", "app---old."])
def test_the_address_of_another_revision_is_not_asked_in_the_place_of_the_one_that_serves(host: str) -> None:
    """Its replicas are not those that are looked at, and it may sleep."""
    named = FQDN.replace("app.", host, 1)
    address = asked(named)
    assert address == Address(f"https://{FQDN}", f"https://{named}", another_revision=True)
    assert "another revision" in str(elsewhere_note(address, app(), None, asked=False))
    assert asked(named, serving="app--1") == Address(f"https://{named}")


@pytest.mark.parametrize(
    "named",
    [
        "evil.example",
        f"http://{FQDN}",  # the key in plain text
        f"{FQDN}:8443",
        f"https://{FQDN}@evil.example",
        f"https://user:word@{FQDN}",
        f"https://evil.example\\@{FQDN}",
        f"https://evil.example/{FQDN}",
        f"https://evil.example?{FQDN}",
        f"https://evil.example#{FQDN}",
        f"{FQDN}.evil.example",
        f"evil-{FQDN}",
        FQDN.replace("app.", "app---other.", 1),
        FQDN.replace("app.", "other.", 1),
        f"ftp://{FQDN}",
        f"https://{FQDN}:port",
        "https://[::1",
        f"{FQDN} evil.example",
    ],
)
def test_any_other_address_is_told_and_the_apps_own_is_asked(named: str) -> None:
    address = asked(named)
    assert (address.url, address.another_revision) == (f"https://{FQDN}", False)
    assert address.elsewhere is not None
    cases = (
        (None, False, "The API key is not sent there."),
        (None, True, "nothing answered."),
        (401, True, "answered 401."),
    )
    for answered, looked, said in cases:
        assert str(elsewhere_note(address, app(), answered, asked=looked)).endswith(said)


def test_an_app_without_an_address_of_its_own_gives_its_key_to_nobody() -> None:
    with pytest.raises(EndpointError, match="no ingress") as error:
        asked("gateway.example", given=replace(app(), fqdn=None))
    assert error.value.code == "NoIngress"


def test_on_the_local_cloud_the_port_is_a_part_of_the_address() -> None:
    local = replace(app(), fqdn="127.0.0.1:40001")
    assert address_of("127.0.0.1:40001", "http", local, [], "app--2") == Address("http://127.0.0.1:40001")
    for other in ("127.0.0.1:40002", "127.0.0.1", "127.0.0.2:40001", "https://127.0.0.1:40001"):
        assert address_of(other, "http", local, [], "app--2").elsewhere is not None
