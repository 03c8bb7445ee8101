"""Members that ask for what the local cloud does not have: what asks for nothing is no question."""

from typing import Any

import pytest

from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.resources.not_here import require_here

ACCOUNT = "Microsoft.Storage/storageAccounts"
APP = "Microsoft.App/containerApps"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ACCOUNT, {"zones": [], "placement": {"zonePlacementPolicy": "None"}}),
        (ACCOUNT, {"properties": {"geoPriorityReplicationStatus": {"isBlobEnabled": False}}}),
        (APP, {"kind": None, "properties": {"configuration": {"identitySettings": [], "runtime": None}}}),
        (APP, {"properties": {"configuration": {"dapr": {"appHealth": None, "maxConcurrency": None}}}}),
        (APP, {"properties": {"template": {"scale": {"rules": [{"name": "r", "custom": {"identity": ""}}]}}}}),
        ("Microsoft.App/managedEnvironments", {"identity": {"type": "None"}}),
        ("Microsoft.App/managedEnvironments", {"properties": {"publicNetworkAccess": "Enabled"}}),
    ],
)
def test_what_azure_shows_of_what_is_not_used_can_be_put_back(kind: str, body: dict[str, Any]):
    require_here(kind, body)


def test_a_number_asks_for_something_though_it_is_nought():
    with pytest.raises(ArmError, match="provisionedIops"):
        require_here(f"{ACCOUNT}/fileServices/shares", {"properties": {"provisionedIops": 0}})
