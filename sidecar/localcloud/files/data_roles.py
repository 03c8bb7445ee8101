"""Which files a token opens: Azure's roles for data, which Owner, Contributor and Reader are not, read from role assignments."""

from collections.abc import Mapping
from typing import Any, Literal

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.identity import Caller
from sidecar.localcloud.core.state import Resource

Access = Literal["none", "read", "write"]
# Storage File Data Privileged Contributor and Reader: the same ids in every tenant of Azure.
_ROLES: dict[str, Access] = {
    "69566ab7-960f-475b-8e7c-b3118f30c6bd": "write",
    "b8eda974-7b85-4f76-af95-65846b26df6d": "read",
}


def data_role(cloud: LocalCloud, account: Resource, caller: Caller) -> Access:
    """What the caller may do with the files of an account. The cloud's own principal may write without an assignment."""
    if caller.object_id == cloud.directory.owner.object_id:
        return "write"
    held = {
        _ROLES.get(str(assignment.properties.get("roleDefinitionId")).rsplit("/", 1)[-1].lower(), "none")
        for assignment in cloud.store
        if assignment.type.lower() == "microsoft.authorization/roleassignments" and _covers(assignment.body, account)
        if assignment.properties.get("principalId") == caller.object_id
    }
    return "write" if "write" in held else "read" if "read" in held else "none"


def _covers(assignment: Mapping[str, Any], account: Resource) -> bool:
    """An assignment counts for what it stands on and for all below: subscription, group or account."""
    scope = str(assignment["id"]).lower().rpartition("/providers/microsoft.authorization/")[0]
    return f"{account.key}/".startswith(f"{scope}/")
