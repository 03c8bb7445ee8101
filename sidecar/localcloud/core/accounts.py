"""Storage accounts as everybody looks them up: by their name, their keys, and where their shares lie."""

from collections.abc import Mapping
from pathlib import Path

from sidecar.localcloud.core.state import Resource, Store

TYPE = "Microsoft.Storage/storageAccounts"


def find_account(store: Store, name: str) -> Resource | None:
    """Account names are unique in all of Azure, so here in all of the cloud."""
    wanted = name.lower()
    return next((each for each in store if each.type == TYPE and each.name.lower() == wanted), None)


def account_keys(account: Resource) -> Mapping[str, str]:
    return account.private["keys"]


def takes_shared_keys(account: Resource) -> bool:
    return account.properties.get("allowSharedKeyAccess") is not False


def share_id(account: Resource, share: str) -> str:
    return f"{account.id}/fileServices/default/shares/{share}"


def share_folder(state: Path, account: str, share: str) -> Path:
    """The plain folder that a share's files lie in, and that a replica sees as its mount."""
    return account_folder(state, account) / share.lower()


def account_folder(state: Path, account: str) -> Path:
    return state / "shares" / account.lower()
