"""Members of bodies that ask for what the local cloud does not have, and the network rules of an account. Raw HTTP."""

from typing import Any

import httpx
import pytest

from tests.contract.localcloud import raw
from tests.contract.localcloud.conftest import World
from tests.contract.localcloud.raw import ACCOUNT, OF_STORAGE, TEMPLATE, Files, V, at, declined

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
APP = "Microsoft.App/containerApps/x"
ENVIRONMENT = "Microsoft.App/managedEnvironments/x"
_BESIDE_PROPERTIES = {"extendedLocation", "managedBy", "identity", "kind", "zones", "placement"}


def _rule(kind: str, name: str) -> dict[str, Any]:
    return {"template": {"scale": {"rules": [{"name": "other"}, {"name": "r", kind: {name: "x"}}]}}}


NEWER: list[tuple[str, dict[str, Any], str]] = [
    (APP, {"kind": "functionapp"}, "kind"),
    (APP, {"configuration": {"dapr": {"appHealth": {"enabled": True}}}}, "appHealth"),
    (APP, {"configuration": {"dapr": {"maxConcurrency": 2}}}, "maxConcurrency"),
    (APP, {"configuration": {"identitySettings": [{"identity": "system", "lifecycle": "None"}]}}, "identitySettings"),
    (APP, {"configuration": {"runtime": {"java": {"enableMetrics": True}}}}, "runtime"),
    (APP, _rule("azureQueue", "accountName"), "azureQueue.accountName"),
    *[(APP, _rule(kind, "identity"), f"{kind}.identity") for kind in ("azureQueue", "custom", "http", "tcp")],
    (ENVIRONMENT, {"identity": {"type": "SystemAssigned"}}, "identity"),
    (ENVIRONMENT, {"ingressConfiguration": {"headerCountLimit": 10}}, "ingressConfiguration"),
    (ENVIRONMENT, {"publicNetworkAccess": "Disabled"}, "publicNetworkAccess"),
    (
        f"{ENVIRONMENT}/storages/s",
        {"azureFile": {"accountKeyVaultProperties": {"identity": "system"}}},
        "accountKeyVaultProperties",
    ),
    (f"{ENVIRONMENT}/storages/s", {"nfsAzureFile": {"server": "x"}}, "nfsAzureFile"),
    (LOGS, {"replication": {"enabled": True}}, "replication"),
    (LOGS, {"replication": {"location": "eastus"}}, "replication"),
    (STORAGE, {"zones": ["1"]}, "zones"),
    (STORAGE, {"placement": {"zonePlacementPolicy": "Any"}}, "placement"),
    (STORAGE, {"networkAcls": {"ipv6Rules": [{"value": "::1"}]}}, "ipv6Rules"),
    (
        STORAGE,
        {"azureFilesIdentityBasedAuthentication": {"smbOAuthSettings": {"isSmbOAuthEnabled": True}}},
        "smbOAuthSettings",
    ),
    (STORAGE, {"dualStackEndpointPreference": {"publishIpv6Endpoint": True}}, "dualStackEndpointPreference"),
    (STORAGE, {"geoPriorityReplicationStatus": {"isBlobEnabled": True}}, "geoPriorityReplicationStatus"),
    (SERVICE, {"protocolSettings": {"smb": {"encryptionInTransit": {"required": True}}}}, "smb.encryptionInTransit"),
    (SERVICE, {"protocolSettings": {"nfs": {"encryptionInTransit": {"required": True}}}}, "nfs.encryptionInTransit"),
    (SHARE, {"provisionedIops": 3000}, "provisionedIops"),
    (SHARE, {"provisionedBandwidthMibps": 125}, "provisionedBandwidthMibps"),
    (SHARE, {"fileSharePaidBursting": {"paidBurstingEnabled": True}}, "fileSharePaidBursting"),
]
"""Members that only versions after those of the OpenAPI files have."""
NOT_HERE: list[tuple[str, dict[str, Any], str]] = [
    (
        "Microsoft.App/containerApps/x",
        {"extendedLocation": {"name": "here", "type": "CustomLocation"}},
        "extendedLocation",
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


@pytest.mark.parametrize(("place", "stated", "word"), NOT_HERE + NEWER)
def test_members_that_ask_for_what_is_not_here(
    world: World, group: str, arm: httpx.Client, place: str, stated: dict[str, Any], word: str
):
    body: dict[str, Any] = {"location": "westus3"}
    body |= {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}} if "Storage" in place else {}
    body |= stated if set(stated) & _BESIDE_PROPERTIES else {"properties": stated}
    path = f"{at(world, group)}/providers/{place}{OF_STORAGE if 'Storage' in place else '?api-version=2025-07-01'}"
    code = "InvalidValuesForRequestParameters" if "Storage" in place else "InvalidRequestContent"
    assert word in declined(arm.put(path, json=body), 400, code)


def test_a_deployment_has_no_identity(world: World, group: str, arm: httpx.Client):
    path = f"{at(world, group)}/providers/Microsoft.Resources/deployments/asking/validate{V}"
    body = {"properties": {"mode": "Incremental", "template": TEMPLATE}}
    said = declined(arm.post(path, json={**body, "identity": {"type": "UserAssigned"}}), 400, "InvalidRequestContent")
    assert "identity" in said
