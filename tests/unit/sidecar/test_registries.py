"""The login for an image's registry: what of the statements fits together, and what an existing app lacks of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decisions.registries import (
    PASSWORD_SECRET,
    Stated,
    login_change,
    registry_check,
    registry_of,
    stated_login,
)
from sidecar.gateway.apps import App, Login
from sidecar.gateway.keys import identity_with, logins_with

ACME = "acme.azurecr.io"
IMAGE = f"{ACME}/models/server:1"
IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller"
LOGIN = Stated(ACME, "me", "p4ss", "")
APP = App("app", None, None, "Single", (), {}, {}, {})


@pytest.mark.parametrize(
    ("image", "server"),
    [
        (IMAGE, ACME),
        ("localhost:5000/server", "localhost:5000"),
        ("pytorch/pytorch:2", "docker.io"),
        ("docker.io/pytorch/pytorch:2", "docker.io"),
        ("index.docker.io/pytorch/pytorch", "docker.io"),
        ("python", "docker.io"),
    ],
)
def test_which_registry_an_image_comes_from(image: str, server: str):
    assert registry_of(image) == server


@pytest.mark.parametrize(
    ("stated", "image", "code"),
    [
        (LOGIN, IMAGE, None),
        (Stated("ACME.azurecr.io", "", "", IDENTITY), IMAGE, None),
        (Stated("index.docker.io", "me", "p4ss", ""), "acme/server:1", None),
        (replace(LOGIN, server=""), IMAGE, "NoRegistryServer"),
        (replace(LOGIN, server=f"https://{ACME}"), IMAGE, "InvalidRegistryServer"),
        (LOGIN, "other.azurecr.io/server:1", "OtherRegistry"),
        (LOGIN, "acme/server:1", "OtherRegistry"),
        (replace(LOGIN, password=""), IMAGE, "NoRegistryLogin"),
        (replace(LOGIN, user=""), IMAGE, "NoRegistryLogin"),
        (Stated(ACME, "", "", "puller"), IMAGE, "InvalidRegistryIdentity"),
    ],
)
def test_image_and_login_have_to_agree(stated: Stated, image: str, code: str | None):
    (check,) = registry_check(stated, image, None)
    assert (check.verdict, check.code) == (("PASS", None) if code is None else ("FAIL", code))


def test_nothing_stated_is_no_row_and_an_apps_own_identity_comes_after_it():
    assert registry_check(stated_login({}), IMAGE, None) == []
    own = Stated(ACME, "", "", "system")
    assert [each.verdict for each in registry_check(own, IMAGE, None)] == ["WARN"]
    assert [each.verdict for each in registry_check(own, IMAGE, APP)] == ["PASS"]


@pytest.mark.parametrize(
    ("has", "stated", "secrets", "changes"),
    [
        ((), LOGIN, {}, True),
        ((Login(ACME, "me", "pull", ""),), LOGIN, {"pull": "p4ss"}, False),
        ((Login(ACME, "me", "pull", ""),), LOGIN, {"pull": "old"}, True),
        ((Login(ACME, "you", "pull", ""),), LOGIN, {"pull": "p4ss"}, True),
        ((Login(ACME, "", "", IDENTITY.lower()),), Stated(ACME, "", "", IDENTITY), {}, False),
        ((Login(ACME, "me", "pull", ""),), Stated(ACME, "", "", "system"), {}, True),
        ((), Stated("", "", "", ""), {}, False),
    ],
)
def test_an_existing_app_gets_what_is_stated_and_differs(
    has: tuple[Login, ...], stated: Stated, secrets: dict[str, str], *, changes: bool
):
    assert (login_change(replace(APP, logins=has), stated, secrets) is not None) is changes


def test_other_logins_and_identities_stay():
    held = [{"server": "other.example", "username": "x", "passwordSecretRef": "s", "identity": ""}]
    wanted = {"server": ACME, "username": "me", "passwordSecretRef": PASSWORD_SECRET}
    kept = {"server": "other.example", "username": "x", "passwordSecretRef": "s"}
    assert logins_with([*held, {"server": ACME, "identity": "system"}], LOGIN.login) == [kept, wanted]
    both = identity_with({"type": "SystemAssigned", "principalId": "p"}, IDENTITY)
    assert both == {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
    assert identity_with({"type": "UserAssigned", "userAssignedIdentities": {IDENTITY.lower(): {}}}, IDENTITY) is None
    assert identity_with({"type": "UserAssigned", "userAssignedIdentities": {"/a": {}}}, "system") == {
        "type": "SystemAssigned,UserAssigned"
    }
    assert identity_with(None, "") is None
