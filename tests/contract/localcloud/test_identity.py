"""Who may call: tokens, audiences, expiry, roles, tenants, the Host header; what az and the SDKs ask an authority."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import ManagedIdentityCredential
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient
from azure.mgmt.storage import StorageManagementClient

from tests.contract.localcloud.conftest import QUICK, World, code_of, start_cloud

Start = Callable[..., World]


def test_subscriptions_tenants_and_locations_through_the_sdk(world: World):
    client = SubscriptionClient(world.credential(), **world.options())
    assert [each.subscription_id for each in client.subscriptions.list()] == [world.subscription]
    assert client.subscriptions.get(world.subscription).display_name == "Local cloud"
    assert [each.tenant_id for each in client.tenants.list()] == [world.known["tenantId"]]
    assert "westus3" in [each.name for each in client.subscriptions.list_locations(world.subscription)]


def test_a_wrong_secret_gets_no_token(world: World):
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        world.credential((world.known["clientId"], "wrong")).get_token(f"{world.arm}/.default")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_a_bad_token_is_refused_with_a_challenge(world: World, token: str):
    answer = get(world, "/subscriptions?api-version=2022-12-01", token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.json()["error"]["code"] in ("AuthenticationFailed", "InvalidAuthenticationToken")


def test_a_token_for_another_audience_is_refused(world: World):
    token = world.credential().get_token("https://storage.azure.com/.default").token
    answer = get(world, "/subscriptions?api-version=2022-12-01", token)
    assert answer.json()["error"]["code"] == "InvalidAuthenticationTokenAudience"


def test_a_changed_token_is_refused(world: World):
    head, claims, signature = world.token().split(".")
    content = json.loads(base64.urlsafe_b64decode(claims + "=="))
    content["exp"] += 1000
    forged = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
    assert get(world, "/subscriptions?api-version=2022-12-01", f"{head}.{forged}.{signature}").status_code == 401


def get(world: World, path: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(world.arm + path, headers=headers, verify=world.known["caFile"], timeout=60)


def test_a_token_ends(another: Start):
    world = another(settings={**QUICK, "clock_skew": 0})
    token = world.token()
    world.stop()
    later = another(settings={**QUICK, "clock_skew": 4000}, state=world.state)
    answer = get(later, "/subscriptions?api-version=2022-12-01", token)
    assert answer.json()["error"]["code"] == "ExpiredAuthenticationToken"


def test_a_reader_reads_and_gets_403_in_azures_words(another: Start):
    reader = {"client_id": "11111111-2222-3333-4444-555555555555", "client_secret": "reads", "role": "Reader"}
    world = another(settings={**QUICK, "principals": [reader]})
    client = world.client(ResourceManagementClient, world.credential((reader["client_id"], "reads")))
    assert list(client.resource_groups.list()) == []
    with pytest.raises(HttpResponseError) as refused:
        client.resource_groups.create_or_update("g", {"location": "westus3"})
    assert refused.value.status_code == 403
    assert code_of(refused.value) == "AuthorizationFailed"
    assert f"The client '{reader['client_id']}' with object id" in refused.value.message
    assert "does not have authorization to perform action 'Microsoft.Resources/subscriptions/resourceGroups/write'" in (
        refused.value.message
    )


@pytest.mark.parametrize(
    ("path", "action", "scope"),
    [
        ("APP/listSecrets", "Microsoft.App/containerApps/listSecrets/action", "APP"),
        ("APP/stop", "Microsoft.App/containerApps/stop/action", "APP"),
        ("APP/revisions/r/restart", "Microsoft.App/containerApps/revisions/restart/action", "APP/revisions/r"),
        ("ACCOUNT/listKeys", "Microsoft.Storage/storageAccounts/listKeys/action", "ACCOUNT"),
        ("DEPLOYMENT/validate", "Microsoft.Resources/deployments/validate/action", "DEPLOYMENT"),
        ("DEPLOYMENT/whatIf", "Microsoft.Resources/deployments/whatIf/action", "DEPLOYMENT"),
        ("SUB/providers/Microsoft.App/register", "Microsoft.App/register/action", "SUB"),
    ],
)
def test_a_reader_is_told_the_action_that_a_role_would_have_to_hold(reading: World, path: str, action: str, scope: str):
    sub = f"/subscriptions/{reading.subscription}"
    group = f"{sub}/resourceGroups/g/providers"
    names = {
        "APP": f"{group}/Microsoft.App/containerApps/a",
        "ACCOUNT": f"{group}/Microsoft.Storage/storageAccounts/a",
        "DEPLOYMENT": f"{group}/Microsoft.Resources/deployments/d",
        "SUB": sub,
    }
    start, _, rest = path.partition("/")
    token = (
        reading.credential(("11111111-2222-3333-4444-555555555555", "reads")).get_token(f"{reading.arm}/.default").token
    )
    answer = httpx.post(
        f"{reading.arm}{names[start]}/{rest}?api-version=2025-07-01",
        headers={"Authorization": f"Bearer {token}"},
        verify=reading.known["caFile"],
        timeout=60,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AuthorizationFailed")
    start, _, rest = scope.partition("/")
    over = "/".join((names[start], rest)) if rest else names[start]
    assert f"to perform action '{action}' over scope '{over}' or" in answer.json()["error"]["message"]


def test_a_reader_may_ask_whether_a_name_is_free(reading: World):
    client = reading.client(
        StorageManagementClient, reading.credential(("11111111-2222-3333-4444-555555555555", "reads"))
    )
    asked: Any = {"name": "readerasks", "type": "Microsoft.Storage/storageAccounts"}
    assert client.storage_accounts.check_name_availability(asked).name_available


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    reader = {"client_id": "11111111-2222-3333-4444-555555555555", "client_secret": "reads", "role": "Reader"}
    made = start_cloud(tmp_path_factory.mktemp("reading"), settings={**QUICK, "principals": [reader]})
    yield made
    made.stop()


def test_a_tenant_where_nobody_is_signed_in_challenges_for_claims(another: Start):
    world = another(settings={**QUICK, "tenants": 2})
    other = next(each for each in world.known["subscriptions"] if each["tenantId"] != world.known["tenantId"])
    wrong = get(world, f"/subscriptions/{other['id']}?api-version=2022-12-01", world.token())
    assert wrong.status_code == 401
    assert wrong.json()["error"]["code"] == "InvalidAuthenticationTokenTenant"
    token = world.credential(tenant=other["tenantId"]).get_token(f"{world.arm}/.default").token
    challenged = get(world, f"/subscriptions/{other['id']}/resourcegroups?api-version=2025-04-01", token)
    assert challenged.status_code == 401
    assert 'error="insufficient_claims", claims="' in challenged.headers["www-authenticate"]


def test_a_managed_identity_signs_in(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", world.known["managedIdentity"]["endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", world.known["managedIdentity"]["header"])
    credential = ManagedIdentityCredential(connection_verify=world.known["caFile"])
    token = credential.get_token(f"{world.arm}/.default").token
    assert get(world, "/subscriptions?api-version=2022-12-01", token).status_code == 200


def test_another_host_name_gets_nothing(world: World):
    url = f"{world.arm}/metadata/endpoints?api-version=2022-09-01"
    answer = httpx.get(url, headers={"Host": "evil.example"}, verify=world.known["caFile"], timeout=60)
    assert answer.status_code == 421
    assert answer.content == b""


def test_the_endpoints_are_listed_for_az(world: World):
    url = f"{world.arm}/metadata/endpoints"
    old = httpx.get(url, params={"api-version": "2015-01-01"}, verify=world.known["caFile"], timeout=60).json()
    assert old["authentication"]["loginEndpoint"] == world.arm
    new = httpx.get(url, params={"api-version": "2022-09-01"}, verify=world.known["caFile"], timeout=60).json()
    assert new["resourceManager"] == world.arm


def test_a_call_without_a_version_is_refused(world: World):
    answer = get(world, "/subscriptions", world.token())
    assert answer.json()["error"]["code"] == "MissingApiVersionParameter"
