"""Azure Files: what a token opens depends on roles for data, and what who is refused is told."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.fileshare import ShareClient

from tests.contract.localcloud.conftest import QUICK, World, code_of, start_cloud

READER = {"client_id": "11111111-2222-3333-4444-555555555555", "client_secret": "reads", "role": "Reader"}
OTHER = {"client_id": "22222222-2222-3333-4444-555555555555", "client_secret": "works", "role": "Contributor"}
CONTRIBUTOR = "69566ab7-960f-475b-8e7c-b3118f30c6bd"
PRIVILEGED_READER = "b8eda974-7b85-4f76-af95-65846b26df6d"


@pytest.fixture(scope="module")
def peopled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = start_cloud(tmp_path_factory.mktemp("peopled"), settings={**QUICK, "principals": [READER, OTHER]})
    made.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    body: Any = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    made.storage.storage_accounts.begin_create("g", "peopled", body).result()
    made.storage.file_shares.create("g", "peopled", "share", {})
    made.share("peopled", "share", "g").get_file_client("there").upload_file(b"x")
    yield made
    made.stop()


def share_url(world: World) -> str:
    return str(world.share("peopled", "share", "g").url).split("?")[0]


def client(world: World, who: dict[str, str]) -> ShareClient:
    base = world.share("peopled", "share", "g").url.rsplit("/", 1)[0]
    credential = world.credential((who["client_id"], who["client_secret"]))
    return ShareClient(
        base, "share", credential=credential, token_intent="backup", connection_verify=world.known["caFile"]
    )


def assign(world: World, who: dict[str, str], role: str, scope: str) -> None:
    principal = str(uuid.uuid5(uuid.NAMESPACE_OID, who["client_id"]))
    definition = f"/subscriptions/{world.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    with world.http() as http:
        answer = http.put(
            f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}?api-version=2022-04-01",
            json={"properties": {"principalId": principal, "roleDefinitionId": definition}},
        )
    assert answer.status_code == 201, answer.text


def refused(action: Any) -> None:
    with pytest.raises(HttpResponseError) as problem:
        action()
    assert (problem.value.status_code, code_of(problem.value)) == (403, "AuthorizationPermissionMismatch")


def test_a_token_opens_files_only_by_a_role_for_data(peopled: World):
    for who in (READER, OTHER):
        file = client(peopled, who).get_file_client("there")
        refused(lambda file=file: file.upload_file(b"y"))
        refused(lambda file=file: file.download_file().readall())
    group = f"/subscriptions/{peopled.subscription}/resourceGroups/g"
    elsewhere = f"{group}/providers/Microsoft.Storage/storageAccounts/peopledtoo"
    assign(peopled, READER, CONTRIBUTOR, elsewhere)
    refused(lambda: client(peopled, READER).get_file_client("there").download_file().readall())
    assign(peopled, READER, PRIVILEGED_READER, f"{group}/providers/Microsoft.Storage/storageAccounts/peopled")
    assert client(peopled, READER).get_file_client("there").download_file().readall() == b"x"
    refused(lambda: client(peopled, READER).get_file_client("there").upload_file(b"y"))
    assign(peopled, OTHER, CONTRIBUTOR, group)
    client(peopled, OTHER).get_file_client("written").upload_file(b"y")
    assert client(peopled, OTHER).get_file_client("written").download_file().readall() == b"y"


def test_a_refused_token_gets_the_challenge_that_sdks_read(peopled: World):
    wrong = peopled.token()
    answer = httpx.get(
        f"{share_url(peopled)}?restype=share",
        headers={"Authorization": f"Bearer {wrong}", "x-ms-file-request-intent": "backup"},
        verify=peopled.known["caFile"],
        timeout=60,
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer authorization_uri=https://")
    assert "resource_id=https://storage.azure.com" in answer.headers["www-authenticate"]
