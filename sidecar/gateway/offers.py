"""What a subscription may do and have: permissions, workload profiles of a region, a storage account as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from sidecar.gateway.apps import group_client
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.resources import resources_client, storage_client
from sidecar.gateway.translation import not_found, translated, word
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

PERMISSIONS_VERSION = "2022-04-01"


@dataclass(frozen=True)
class Grant:
    """What one role lets its holder do, by Azure's names of actions; `*` stands for anything."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...]


@dataclass(frozen=True)
class Offer:
    """A type of workload profile in a region. `gpus`, `cores`, `memory` (GiB): of one replica's node."""

    gpus: int
    category: str
    cores: float = 0
    memory: float = 0


@dataclass(frozen=True)
class Account:
    """A storage account that is there. `closed`: not every network gets in. `protocol`: of the share, empty where that is not
    there. `takes_keys`: whether its keys may be used, as a mount needs them."""

    kind: str
    tier: str
    closed: bool
    protocol: str
    takes_keys: bool = True


def grants(place: GroupPlace) -> tuple[Grant, ...]:
    """What the caller may do in the resource group, roles of the scopes above included."""
    with (
        translated(Text("Reading the permissions in {name}", name=place.group)),
        resources_client(place.session, place.subscription_id) as client,
    ):
        # A list is no resource, but its address is read like one: the SDK that knows it is another package for this alone.
        scope = f"/subscriptions/{place.subscription_id}/resourceGroups/{place.group}"
        found: Any = client.resources.get_by_id(
            f"{scope}/providers/Microsoft.Authorization/permissions", api_version=PERMISSIONS_VERSION
        )
    said: dict[str, Any] = found.as_dict()
    if said.get("nextLink"):
        raise CloudError(Text("The list of permissions in {name} has further pages.", name=place.group), code="Unread")
    listed = cast("list[dict[str, Any]]", said.get("value") or [])
    return tuple(Grant(tuple(each.get("actions") or ()), tuple(each.get("notActions") or ())) for each in listed)


def offers(place: GroupPlace, location: str) -> dict[str, Offer]:
    """The types of workload profiles that a region has, by name."""
    with (
        translated(Text("Reading the workload profiles of {location}", location=location)),
        group_client(place) as client,
    ):
        listed = list(client.available_workload_profiles.get(location.replace(" ", "").lower()))
    return {
        str(each.name): Offer(
            int(each.properties.gpus or 0),
            str(each.properties.category or ""),
            float(each.properties.cores or 0),
            float(each.properties.memory_gi_b or 0),
        )
        for each in listed
        if each.properties is not None
    }


def account_of(place: GroupPlace, account: str) -> Account | None:
    """Without its share. None where there is no such account."""
    with (
        translated(Text("Reading the storage account {name}", name=account)),
        storage_client(place.session, place.subscription_id) as client,
    ):
        try:
            found = client.storage_accounts.get_properties(place.group, account)
        except not_found():
            return None
    rules = found.network_rule_set
    closed = word(found.public_network_access) == "Disabled" or (
        rules is not None and word(rules.default_action) == "Deny"
    )
    takes_keys = found.allow_shared_key_access is not False
    return Account(word(found.kind), str(found.sku.name if found.sku else ""), closed, "", takes_keys)


def share_protocol(place: GroupPlace, account: str, share: str) -> str:
    """SMB or NFS; empty where there is no such share."""
    with (
        translated(Text("Reading the file share {name}", name=share)),
        storage_client(place.session, place.subscription_id) as client,
    ):
        try:
            return word(client.file_shares.get(place.group, account, share).enabled_protocols or "SMB")
        except not_found():
            return ""


def share_quota(place: GroupPlace, account: str, share: str) -> int | None:
    """In GiB; None where there is no such share."""
    with (
        translated(Text("Reading the share {name}", name=share)),
        storage_client(place.session, place.subscription_id) as client,
    ):
        try:
            found: Any = client.file_shares.get(place.group, account, share)
        except not_found():
            return None
    return None if found.share_quota is None else int(found.share_quota)


def set_share_quota(place: GroupPlace, account: str, share: str, quota: int) -> None:
    doing = Text("Changing the quota of the share {name}", name=share)
    with translated(doing), storage_client(place.session, place.subscription_id) as client:
        body = {"properties": {"shareQuota": quota}}
        place.session.once_free(
            doing, lambda: client.file_shares.update(place.group, account, share, body), repeatable=True
        )


def is_name_free(place: GroupPlace, account: str) -> bool:
    """Whether a storage account of this name could be made: the name is one in all of Azure."""
    with (
        translated(Text("Asking whether the name {name} is free", name=account)),
        storage_client(place.session, place.subscription_id) as client,
    ):
        found = client.storage_accounts.check_name_availability(
            {"name": account, "type": "Microsoft.Storage/storageAccounts"}
        )
    return bool(found.name_available) or word(found.reason) != "AlreadyExists"
