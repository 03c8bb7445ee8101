"""Microsoft.Storage: accounts with their keys, file services, shares."""

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.subscriptions import normal_location
from sidecar.localcloud.core.accounts import TYPE, account_folder, account_keys, find_account, share_id
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.resource_id import ResourceId
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources.resource_type import ArmRequest, Change, Finish, Lookup, ResourceType, tracked_body

_ACCOUNT_NAME = re.compile(r"^[a-z0-9]{3,24}$")
_SHARE_NAME = re.compile(r"^[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]$")
_SKUS = (
    "Standard_LRS",
    "Standard_GRS",
    "Standard_RAGRS",
    "Standard_ZRS",
    "Premium_LRS",
    "Premium_ZRS",
    "StandardV2_LRS",
)


def check_name(cloud: LocalCloud, body: Json) -> Json:
    name = str(body.get("name", ""))
    if not _ACCOUNT_NAME.match(name):
        return {"nameAvailable": False, "reason": "AccountNameInvalid", "message": _invalid_name(name)}
    if find_account(cloud.store, name):
        message = f"The storage account named {name} is already taken."
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    return {"nameAvailable": True}


def _invalid_name(name: str) -> str:
    return (
        f"{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length "
        "and use numbers and lower-case letters only."
    )


def _put_account(cloud: LocalCloud, request: ArmRequest) -> Change:
    name = request.id.name
    old = cloud.store.get(request.id.text)
    sku = _checked_sku(cloud, request, old)
    location = normal_location(cloud, request.body.get("location") or (old.body["location"] if old else ""))
    if old and old.body["location"] != location:
        raise ArmError(
            409,
            "InvalidResourceLocation",
            f"The resource '{name}' already exists in location '{old.body['location']}' in resource group "
            f"'{request.id.group}'. A resource with the same name cannot be created in location '{location}'. Please select "
            "a new resource name.",
        )
    now = utc_now()
    properties: Json = {
        **_ACCOUNT_DEFAULTS,
        **(old.properties if old else {"creationTime": now, "keyCreationTime": {"key1": now, "key2": now}}),
        **member(request.body, "properties"),
        "provisioningState": "Succeeded",
        "primaryLocation": location,
        "statusOfPrimary": "available",
        "primaryEndpoints": {"file": f"{cloud.endpoints.files}/{name}/"},
    }
    further = {
        **{name: request.body[name] for name in ("identity",) if request.body.get(name)},
        "sku": _shown_sku(sku),
        "kind": request.body.get("kind") or (old.body["kind"] if old else "StorageV2"),
    }
    body = tracked_body(request, old, properties, now, further)
    body["location"] = location
    body.setdefault("tags", {})
    body.pop("systemData")
    kept = old.private if old else {"keys": {"key1": _new_key(), "key2": _new_key()}}
    private = {**kept, "changedAt": now}
    return Change(cloud.store.put(Resource(body["id"], TYPE, body, private)), created=old is None)


def _shown_sku(name: str) -> Json:
    return {"name": name, "tier": name.split("_", maxsplit=1)[0].removesuffix("V2")}


def _check_account_name(name: str) -> None:
    if not _ACCOUNT_NAME.match(name):
        raise invalid(_invalid_name(name), "AccountNameInvalid")


def _check_account(cloud: LocalCloud, request: ArmRequest, _lookup: Lookup) -> None:
    _checked_sku(cloud, request, cloud.store.get(request.id.text))


def _checked_sku(cloud: LocalCloud, request: ArmRequest, old: Resource | None) -> str:
    """The account's SKU; refused with it: a name that is not valid or taken, and what a new account has to state."""
    name = request.id.name
    _check_account_name(name)
    if not old and find_account(cloud.store, name):
        raise ArmError(409, "StorageAccountAlreadyTaken", f"The storage account named {name} is already taken.")
    for required in ("location", "sku", "kind"):
        if required not in request.body and not old:
            raise invalid(f"The required property '{required}' is missing.", "InvalidRequestPropertyName", required)
    sku = str((member(request.body, "sku") or (member(old.body, "sku") if old else Json())).get("name"))
    if sku not in _SKUS:
        raise invalid(
            f"Values for request parameters are invalid: sku.name ('{sku}').", "InvalidValuesForRequestParameters"
        )
    return sku


_ACCOUNT_DEFAULTS: Mapping[str, Any] = {
    "minimumTlsVersion": "TLS1_2",
    "allowBlobPublicAccess": False,
    "allowCrossTenantReplication": False,
    "supportsHttpsTrafficOnly": True,
    "networkAcls": {
        "bypass": "AzureServices",
        "virtualNetworkRules": [],
        "ipRules": [],
        "defaultAction": "Allow",
    },
    "encryption": {
        "services": {"file": {"keyType": "Account", "enabled": True}},
        "keySource": "Microsoft.Storage",
    },
    "accessTier": "Hot",
}


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


def _patch_account(cloud: LocalCloud, account: Resource, request: ArmRequest) -> Change:
    body = {**account.body, **{name: request.body[name] for name in ("tags", "identity") if name in request.body}}
    if "sku" in request.body:
        body["sku"] = _shown_sku(_checked_sku(cloud, request, account))
    if request.body.get("kind"):
        body["kind"] = request.body["kind"]
    body["properties"] = {**account.properties, **(member(request.body, "properties"))}
    private = {**account.private, "changedAt": utc_now()}
    return Change(cloud.store.put(replace(account, body=body, private=private)))


def _remove_account(cloud: LocalCloud, account: Resource) -> Finish | None:
    cloud.discard_folder(account_folder(cloud.folder, account.name))
    return None


def show_keys(_cloud: LocalCloud, account: Resource, _request: ArmRequest) -> Json:
    created = account.properties["keyCreationTime"]
    return {
        "keys": [
            {"keyName": name, "value": value, "permissions": "FULL", "creationTime": created[name]}
            for name, value in account_keys(account).items()
        ]
    }


def _regenerate_key(cloud: LocalCloud, account: Resource, request: ArmRequest) -> Json:
    name = str(request.body.get("keyName", ""))
    if name not in account.private["keys"]:
        raise invalid(
            f"Values for request parameters are invalid: keyName ('{name}').", "InvalidValuesForRequestParameters"
        )
    changed = replace(account, private={**account.private, "keys": {**account.private["keys"], name: _new_key()}})
    created = {**account.properties["keyCreationTime"], name: utc_now()}
    return show_keys(cloud, cloud.store.put(changed.with_properties(keyCreationTime=created)), request)


def _file_service(cloud: LocalCloud, resource_id: ResourceId) -> Resource | None:
    """Every account has exactly one file service, `default`."""
    account = resource_id.parent
    found = cloud.store.get(account.text) if account else None
    if found is None or resource_id.name.lower() != "default":
        return None
    stored = cloud.store.get(f"{found.id}/fileServices/default")
    properties: Json = {
        "protocolSettings": {"smb": {}},
        "cors": {"corsRules": []},
        "shareDeleteRetentionPolicy": {"enabled": True, "days": 7},
        **(stored.properties if stored else {}),
    }
    body: Json = {
        "id": f"{found.id}/fileServices/default",
        "name": "default",
        "type": "Microsoft.Storage/storageAccounts/fileServices",
        "sku": found.body["sku"],
        "properties": properties,
    }
    return Resource(body["id"], body["type"], body)


def _list_file_services(cloud: LocalCloud, account_id: str) -> list[Resource]:
    scope, name = account_id.rsplit("/providers/", 1)[0], account_id.rsplit("/", 1)[-1]
    found = _file_service(cloud, ResourceId(scope, "Microsoft.Storage/storageAccounts/fileServices", (name, "default")))
    return [found] if found else []


def _put_file_service(cloud: LocalCloud, request: ArmRequest) -> Change:
    if request.id.name.lower() != "default":
        raise invalid("The file service's name must be 'default'.", "InvalidResourceName")
    cloud.parent_of(request.id)
    body = {"id": request.id.text, "name": "default", "properties": member(request.body, "properties")}
    cloud.store.put(Resource(request.id.text, request.id.type, body))
    found = _file_service(cloud, request.id)
    if found is None:
        raise invalid("The file service can't be read.", "InvalidResourceName")
    return Change(found)


def _put_share(cloud: LocalCloud, request: ArmRequest) -> Change:
    account_id = request.id.parent.parent if request.id.parent else None
    account = cloud.store.get(account_id.text) if account_id else None
    if account is None:
        raise ArmError(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.Storage/storageAccounts/{request.id.names[0]}' under resource group "
            f"'{request.id.group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        )
    old = cloud.store.get(request.id.text)
    properties = make_share(cloud, account, request.id.name, member(request.body, "properties")).properties
    return Change(_shown_share(cloud.store.get(request.id.text), request.id, properties), created=old is None)


def _shown_share(stored: Resource | None, resource_id: ResourceId, properties: Mapping[str, Any]) -> Resource:
    body = {"id": resource_id.text, "name": resource_id.name, "type": resource_id.type, "properties": dict(properties)}
    return (
        replace(stored, body={**stored.body, **body}) if stored else Resource(resource_id.text, resource_id.type, body)
    )


def _check_share_name(name: str) -> None:
    if not _SHARE_NAME.match(name):
        raise invalid(f"The specified resource name '{name}' contains invalid characters.", "InvalidResourceName")


def _check_share_quota(given: Json) -> None:
    quota = given.get("shareQuota")
    if quota is not None and (type(quota) is not int or not 1 <= quota <= 102400):
        raise invalid("The value for shareQuota is out of range.", "InvalidHeaderValue", "shareQuota")


_TIERS = ("TransactionOptimized", "Hot", "Cool", "Premium")


def _check_tier(given: Json, kind: str) -> None:
    """Premium shares are those of FileStorage accounts, which have no other."""
    tier = given.get("accessTier")
    if tier is not None and (tier not in _TIERS or (tier == "Premium") != (kind == "FileStorage")):
        raise invalid(
            f"The value for one of the HTTP headers is not in the correct format: the access tier '{tier}' of a share in an "
            f"account of the kind '{kind}'.",
            "InvalidHeaderValue",
            "accessTier",
        )


def _check_share(_cloud: LocalCloud, request: ArmRequest, _lookup: Lookup) -> None:
    _check_share_name(request.id.name)
    _check_share_quota(member(request.body, "properties"))


def make_share(cloud: LocalCloud, account: Resource, name: str, given: Json) -> Resource:
    """Creates or updates a share: its record and its folder."""
    _check_share_name(name)
    _check_share_quota(given)
    _check_tier(given, str(account.body.get("kind")))
    place = share_id(account, name)
    old = cloud.store.get(place)
    now = utc_now()
    properties: Json = {
        "accessTier": "Premium" if account.body.get("kind") == "FileStorage" else "TransactionOptimized",
        "shareQuota": 5120,
        "enabledProtocols": "SMB",
        "leaseStatus": "Unlocked",
        "leaseState": "Available",
        **(old.properties if old else {}),
        **given,
        "lastModifiedTime": now,
    }
    kind = "Microsoft.Storage/storageAccounts/fileServices/shares"
    body: Json = {"id": place, "name": name, "type": kind, "etag": f'"{_etag(now)}"', "properties": properties}
    cloud.share_folder(account.name, name).mkdir(parents=True, exist_ok=True)
    return cloud.store.put(Resource(place, kind, body))


def _etag(now: str) -> str:
    return f"0x{int(datetime.fromisoformat(now).timestamp() * 1e7):X}"


def _patch_share(cloud: LocalCloud, share: Resource, request: ArmRequest) -> Change:
    account = cloud.store.get(share.id.split("/fileServices/")[0])
    if account is None:
        raise invalid("The storage account can't be read.", "ResourceNotFound")
    return Change(make_share(cloud, account, share.name, member(request.body, "properties")))


def _remove_share(cloud: LocalCloud, share: Resource) -> Finish | None:
    cloud.discard_folder(cloud.share_folder(share.id.split("/fileServices/")[0].rsplit("/", 1)[-1], share.name))
    return None


TYPES = (
    ResourceType(
        TYPE,
        _put_account,
        check=_check_account,
        check_name=_check_account_name,
        patch=_patch_account,
        remove=_remove_account,
        actions={"listkeys": show_keys, "regeneratekey": _regenerate_key},
        created_status=200,
        style="location",
    ),
    ResourceType(
        "Microsoft.Storage/storageAccounts/fileServices",
        _put_file_service,
        find=_file_service,
        listed=_list_file_services,
        created_status=200,
    ),
    ResourceType(
        "Microsoft.Storage/storageAccounts/fileServices/shares",
        _put_share,
        check=_check_share,
        check_name=_check_share_name,
        patch=_patch_share,
        remove=_remove_share,
    ),
)
