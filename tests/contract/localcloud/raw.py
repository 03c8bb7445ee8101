"""Requests as they stand, for what an SDK would never send: at ARM by the owner's token, at Azure Files by a signature."""

import datetime
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from azure.storage.fileshare import (
    AccountSasPermissions,
    ResourceTypes,
    generate_account_sas,
)

from tests.contract.localcloud.conftest import World

TEMPLATE: dict[str, Any] = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "resources": [],
}


@pytest.fixture(scope="module")
def arm(world: World, group: str) -> Iterator[httpx.Client]:
    with world.http() as http:
        at = f"/subscriptions/{world.subscription}/resourcegroups/{group}"
        body = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        made = http.put(f"{at}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}{OF_STORAGE}", json=body)
        assert made.status_code == 200, made.text
        yield http


ACCOUNT, V = "nothingignored", "?api-version=2025-04-01"
OF_STORAGE, OF_LOGS = "?api-version=2025-06-01", "?api-version=2025-07-01"


class Files:
    """Requests on the data plane as they stand, permitted by an account SAS."""

    def __init__(self, world: World, key: str, url: str) -> None:
        self.url, self.key = url.rstrip("/"), key
        self.http = httpx.Client(verify=world.known["caFile"], timeout=60)
        permissions = AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True)
        types = ResourceTypes(service=True, container=True, object=True)
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        self.sas = generate_account_sas(ACCOUNT, key, types, permissions, until)

    def __call__(self, method: str, path: str, query: str = "", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = named.pop("body", "").encode()
        where = f"{self.url}/{path}?{query}{'&' if query else ''}{self.sas}"
        return self.http.request(method, where, content=body, headers={"x-ms-version": "2026-10-06", **named})

    def made(self, path: str, size: str = "4", **headers: str) -> httpx.Response:
        answer = self("PUT", path, x_ms_type="file", x_ms_content_length=size, **headers)
        assert answer.status_code == 201, answer.text
        return answer


@pytest.fixture(scope="module")
def files(world: World, group: str, arm: httpx.Client) -> Iterator[Files]:
    keys = world.storage.storage_accounts.list_keys(group, ACCOUNT).keys_property
    url = world.storage.storage_accounts.get_properties(group, ACCOUNT).primary_endpoints.file
    made = Files(world, keys[0].value, url)
    assert made("PUT", "share", "restype=share").status_code in (201, 409)
    yield made
    made.http.close()


def refused(answer: httpx.Response, status: int, code: str, *words: str) -> None:
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (status, code), answer.text
    assert all(word in answer.text for word in words), answer.text


def declined(answer: httpx.Response, status: int, code: str) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    return error["message"]


def at(world: World, group: str) -> str:
    return f"/subscriptions/{world.subscription}/resourcegroups/{group}"
