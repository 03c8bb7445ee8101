"""Members of bodies that ask for what the local cloud does not have, and the network rules of an account. Raw HTTP."""

import os
from typing import Any

import httpx
import pytest

from tests.contract.localcloud import raw
from tests.contract.localcloud.conftest import World
from tests.contract.localcloud.raw import ACCOUNT, OF_STORAGE, Files, at, declined

arm, files = raw.arm, raw.files
STORAGE = f"Microsoft.Storage/storageAccounts/{ACCOUNT}"
SERVICE = f"{STORAGE}/fileServices/default"
SHARE = f"{SERVICE}/shares/s"


def test_an_account_lets_in_whom_its_network_rules_let_in(world: World, group: str, arm: httpx.Client, files: Files):
    path = f"{at(world, group)}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}{OF_STORAGE}"
    closed: dict[str, Any] = {"defaultAction": "Deny", "ipRules": [{"value": "10.0.0.0/8"}], "bypass": "AzureServices"}
    open_again: dict[str, Any] = {"defaultAction": "Allow", "ipRules": []}
    for stated, status in (
        ({"networkAcls": closed}, 403),
        ({"networkAcls": {**closed, "ipRules": [{"value": "127.0.0.1", "action": "Allow"}]}}, 200),
        ({"networkAcls": open_again, "publicNetworkAccess": "Disabled"}, 403),
        ({"publicNetworkAccess": "Enabled"}, 200),
    ):
        assert arm.patch(path, json={"properties": stated}).status_code == 200
        answer = files("GET", "share", "restype=share")
        assert (answer.status_code, answer.headers.get("x-ms-error-code")) == (
            status,
            None if status == 200 else "AuthorizationFailure",
        )


LOGS = "Microsoft.OperationalInsights/workspaces/nothere"
NOT_HERE: list[tuple[str, dict[str, Any], str]] = [
    (
        "Microsoft.App/containerApps/x",
        {"extendedLocation": {"name": "here", "type": "CustomLocation"}},
        "extendedLocation",
    ),
    (
        "Microsoft.App/managedEnvironments/x",
        {"customDomainConfiguration": {"certificateValue": "x"}},
        "certificateValue",
    ),
    (STORAGE, {"extendedLocation": {"name": "edge"}}, "extendedLocation"),
    (STORAGE, {"customDomain": {"name": "files.example"}}, "customDomain.name"),
    (STORAGE, {"encryption": {"keySource": "Microsoft.Keyvault"}}, "keySource"),
    (
        STORAGE,
        {"azureFilesIdentityBasedAuthentication": {"directoryServiceOptions": "AADDS"}},
        "directoryServiceOptions",
    ),
    (STORAGE, {"isSftpEnabled": True}, "isSftpEnabled"),
    (STORAGE, {"isNfsV3Enabled": True}, "isNfsV3Enabled"),
    (STORAGE, {"isLocalUserEnabled": True}, "isLocalUserEnabled"),
    (STORAGE, {"enableExtendedGroups": True}, "enableExtendedGroups"),
    (
        STORAGE,
        {"immutableStorageWithVersioning": {"enabled": True}},
        "immutableStorageWithVersioning",
    ),
    (SERVICE, {"cors": {"corsRules": [{}]}}, "corsRules"),
    (
        SERVICE,
        {"protocolSettings": {"smb": {"multichannel": {"enabled": True}}}},
        "multichannel",
    ),
    (
        SHARE,
        {"enabledProtocols": "NFS"},
        "enabledProtocols",
    ),
    (
        SHARE,
        {"rootSquash": "AllSquash"},
        "rootSquash",
    ),
    (
        SHARE,
        {"signedIdentifiers": [{}]},
        "signedIdentifiers",
    ),
]


@pytest.mark.parametrize(("place", "stated", "word"), NOT_HERE)
def test_members_that_ask_for_what_is_not_here(
    world: World, group: str, arm: httpx.Client, place: str, stated: dict[str, Any], word: str
):
    if word == "certificateValue" and "SLIPWAY_STRICT" in os.environ:
        pytest.skip("a strict cloud refuses all of its object")
    body: dict[str, Any] = {"location": "westus3"}
    body |= {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}} if "Storage" in place else {}
    body |= stated if set(stated) & {"extendedLocation", "managedBy", "identity"} else {"properties": stated}
    path = f"{at(world, group)}/providers/{place}{OF_STORAGE if 'Storage' in place else '?api-version=2025-07-01'}"
    code = "InvalidValuesForRequestParameters" if "Storage" in place else "InvalidRequestContent"
    assert word in declined(arm.put(path, json=body), 400, code)
