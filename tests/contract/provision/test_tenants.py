"""Tenants, proxies and clouds that fail: what a person is shown when they list subscriptions, and which token goes where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.doors.terminal import subscriptions as shown
from sidecar.gateway import resources
from sidecar.gateway.files import open_share
from sidecar.gateway.session import AZURE_PROFILES, CloudProfile, settings_from
from sidecar.gateway.tenants import tenant_of
from sidecar.wire import protocol as wire
from sidecar.words.errors import NotSignedIn
from sidecar.words.text import Text
from sidecar.workflows.actions import Context, resource_groups, subscriptions
from tests.contract.localcloud.conftest import QUICK, ROOT, World, start_cloud
from tests.contract.provision.conftest import Project
from tests.contract.provision.test_existing import account

GUEST = {"client_id": "guest", "client_secret": "guests-secret", "role": "Owner", "tenant": 1}


@pytest.fixture(scope="module")
def two_tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = {**QUICK, "tenants": 2, "principals": [GUEST]}
    running = start_cloud(tmp_path_factory.mktemp("tenants"), "--throwaway", settings=settings)
    yield running
    assert running.stop() == 0


class Tokens:
    """Signs in as VS Code does: one person with an account in two tenants, and who is asked for what is written down."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[tuple[str | None, bool]] = []
        self.signed_out = False

    def __call__(
        self, cloud: str, scopes: list[str], tenant_id: str | None, claims: str | None, silent: bool
    ) -> tuple[str, int]:
        self.asked.append((tenant_id, silent))
        home, other = self.world.known["tenants"]
        if tenant_id == other and self.signed_out:
            raise NotSignedIn(Text("Nobody is signed in there."))
        client = (str(GUEST["client_id"]), str(GUEST["client_secret"])) if tenant_id == other else None
        made = self.world.credential(client, tenant_id or home).get_token(*scopes)
        return made.token, made.expires_on


@pytest.fixture
def tokens(two_tenants: World, monkeypatch: pytest.MonkeyPatch) -> Tokens:
    """The local cloud in the place of Azure, with its certificate authority trusted as a company's is."""
    arm = two_tenants.arm
    scope, authority = f"{arm}/.default", two_tenants.known["authority"]
    profile = CloudProfile("azure", arm, scope, authority, "https", None, logs=arm, logs_scope=scope)
    monkeypatch.setitem(AZURE_PROFILES, "azure", profile)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, two_tenants.known["caFile"])
    return Tokens(two_tenants)


def context(tmp_path: Path, tokens: Tokens | None, tenant: str | None = None) -> Context:
    settings = settings_from({"SLIPWAY_STATE": str(tmp_path)}, tokens, tenant=tenant)
    return Context(settings, lambda _: None, threading.Event())


def listed(context: Context) -> wire.Subscriptions:
    return subscriptions(wire.CloudParams(cloud="azure"), context)


def test_the_subscriptions_of_every_tenant_are_listed_and_nobody_is_asked_to_sign_in_for_them(
    two_tenants: World, tokens: Tokens, tmp_path: Path
) -> None:
    """ARM lists those of the token's tenant only."""
    found = listed(context(tmp_path, tokens))
    assert {each.tenant_id for each in found.subscriptions} == set(two_tenants.known["tenants"])
    assert found.problems == []
    assert set(tokens.asked) == {(None, False), (two_tenants.known["tenants"][1], True)}


def test_a_tenant_that_nobody_is_signed_in_to_is_named_beside_the_others(
    two_tenants: World, tokens: Tokens, tmp_path: Path
) -> None:
    tokens.signed_out = True
    found = listed(context(tmp_path, tokens))
    assert {each.tenant_id for each in found.subscriptions} == {two_tenants.known["tenants"][0]}
    (tenant,) = found.signed_out
    assert (tenant.tenant_id, tenant.name) == (two_tenants.known["tenants"][1], "Local cloud 2")
    assert found.problems == []
    assert f"az login --tenant {tenant.tenant_id}" in shown(found)
    tokens.signed_out = False  # the person has signed in there
    assert listed(context(tmp_path, tokens)).signed_out == []


def test_a_named_tenant_is_the_only_one(two_tenants: World, tokens: Tokens, tmp_path: Path) -> None:
    other = two_tenants.known["tenants"][1]
    found = listed(context(tmp_path, tokens, tenant=other))
    assert {each.tenant_id for each in found.subscriptions} == {other}
    assert set(tokens.asked) == {(other, False)}


def test_a_session_is_in_the_subscriptions_own_tenant(two_tenants: World, tokens: Tokens, tmp_path: Path) -> None:
    """A project's files know only the subscription: ARM itself says the tenant."""
    assert tenant_of(two_tenants.arm, two_tenants.subscription) == two_tenants.known["tenants"][0]
    params = wire.SubscriptionParams(cloud="azure", subscription_id=two_tenants.subscription)
    resource_groups(params, context(tmp_path, tokens))
    assert set(tokens.asked) == {(two_tenants.known["tenants"][0], False)}


DEAD = "http://127.0.0.1:9"


def through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, DEAD)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_the_local_cloud_is_reached_past_every_proxy(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign-in, ARM and Files: nothing of this machine is behind a company's proxy."""
    name = f"proxy{project.group}"
    account(project, name)
    project.world.storage.file_shares.create(project.group, name, "models", {})
    through_a_proxy(monkeypatch)
    session = project.session
    (found, *_) = resources.subscriptions(session)
    assert found.id == project.world.subscription
    assert resources.group(session, found.id, project.group).name == project.group
    project.provision()
    with open_share(project.place, name, "models") as opened:
        opened.replace("a.txt", b"x")
        assert opened.read("a.txt") == b"x"


def test_a_sign_in_that_can_not_be_reached_is_no_refused_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    through_a_proxy(monkeypatch)
    environ = {
        **os.environ, "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000001", "AZURE_CLIENT_ID": "c",
        "AZURE_CLIENT_SECRET": "s", "SLIPWAY_STATE": str(tmp_path), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "subscriptions", "--cloud", "azure", "--json"],
        env=environ, capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path,
    )  # fmt: skip
    error = json.loads(done.stdout)["error"]
    assert (error["code"], done.returncode) == ("Unreachable", 1), error
    assert "az login" not in done.stdout


def test_a_local_cloud_that_fails_is_told_by_auto(tmp_path: Path) -> None:
    """It used to be an empty list without a word."""
    state = tmp_path / "localcloud"
    state.mkdir()
    (state / "settings.json").write_text("{broken")
    environ = {**os.environ, "SLIPWAY_STATE": str(tmp_path), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "subscriptions", "--json"],
        env=environ, capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path,
    )  # fmt: skip
    shown = json.loads(done.stdout)
    assert shown["subscriptions"] == []
    assert any("local cloud" in each for each in shown["problems"])
