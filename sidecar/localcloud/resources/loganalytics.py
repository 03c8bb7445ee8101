"""Microsoft.OperationalInsights: workspaces and their shared keys. What is collected in them is the archive of the apps' logs."""

import base64
import re
import secrets
import uuid
from dataclasses import replace

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.subscriptions import normal_location
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.errors import invalid
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources.resource_type import ArmRequest, Change, Lookup, ResourceType, tracked_body

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$")


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise invalid(f"The workspace name '{name}' is not valid.", "InvalidParameter", "workspaceName")


def _check_retention(given: Json) -> None:
    """Days of retention, as the plan PerGB2018 takes them."""
    days = given.get("retentionInDays")
    if days is not None and (type(days) is not int or not (days == -1 or 7 <= days <= 730)):
        raise invalid("'RetentionInDays' property doesn't match the SKU limits.", "InvalidParameter", "retentionInDays")


def _check(_cloud: LocalCloud, request: ArmRequest, _lookup: Lookup) -> None:
    _check_retention(member(request.body, "properties"))


def _put(cloud: LocalCloud, request: ArmRequest) -> Change:
    _check_name(request.id.name)
    _check_retention(member(request.body, "properties"))
    old = cloud.store.get(request.id.text)
    location = normal_location(cloud, request.body.get("location") or (old.body["location"] if old else ""))
    now = utc_now()
    properties: Json = {
        "sku": {"name": "PerGB2018", "lastSkuUpdate": now},
        "retentionInDays": 30,
        "features": {"legacy": 0, "searchVersion": 1, "enableLogAccessUsingOnlyResourcePermissions": True},
        "workspaceCapping": {"dailyQuotaGb": -1.0, "quotaNextResetTime": now, "dataIngestionStatus": "RespectQuota"},
        "publicNetworkAccessForIngestion": "Enabled",
        "publicNetworkAccessForQuery": "Enabled",
        "customerId": str(uuid.uuid4()),
        "createdDate": now,
        **(old.properties if old else {}),
        **(member(request.body, "properties")),
        "provisioningState": "Succeeded",
        "modifiedDate": now,
    }
    sku = properties["sku"]
    properties["sku"] = {**sku, "name": sku.get("name", "PerGB2018"), "lastSkuUpdate": sku.get("lastSkuUpdate", now)}
    body = tracked_body(request, old, properties, now)
    body["location"] = location
    body["etag"] = f'"{uuid.uuid4()}"'
    private = old.private if old else {"primary": _key(), "secondary": _key()}
    made = cloud.store.put(Resource(body["id"], "Microsoft.OperationalInsights/workspaces", body, private))
    return Change(made, created=old is None)


def _patch(cloud: LocalCloud, workspace: Resource, request: ArmRequest) -> Change:
    _check_retention(member(request.body, "properties"))
    body = {**workspace.body, **({"tags": request.body["tags"]} if "tags" in request.body else {})}
    body["properties"] = {**workspace.properties, **(member(request.body, "properties"))}
    return Change(cloud.store.put(replace(workspace, body=body)))


def _shared_keys(_cloud: LocalCloud, workspace: Resource, _request: ArmRequest) -> Json:
    return {
        "primarySharedKey": workspace.private["primary"],
        "secondarySharedKey": workspace.private["secondary"],
    }


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


TYPES = (
    ResourceType(
        "Microsoft.OperationalInsights/workspaces",
        _put,
        check=_check,
        check_name=_check_name,
        patch=_patch,
        actions={"sharedkeys": _shared_keys, "listkeys": _shared_keys},
        style="azure-async",
    ),
)
