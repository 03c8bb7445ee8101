"""What belongs to an app, and is there: each thing with what it holds, who else uses it, and whether this project made it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sidecar.core.releases import is_release
from sidecar.decisions.provisioning import owner_of
from sidecar.decisions.removal import Item, Kind
from sidecar.gateway import apps
from sidecar.gateway import removal as gateway
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.place import GroupPlace
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

ENVIRONMENT = "microsoft.app/managedenvironments"
MOUNT = "microsoft.app/managedenvironments/storages"
LOGS = "microsoft.operationalinsights/workspaces"
ACCOUNT = "microsoft.storage/storageaccounts"
SHARE = "microsoft.storage/storageaccounts/fileservices/shares"


def items_of(
    place: GroupPlace,
    app: apps.App | None,
    name: str,
    storage: tuple[str, str],
    made: Collection[str],
    *,
    project: str | None,
    asked: Mapping[Kind, str],
) -> list[Item]:
    """`app` None: it is gone already. `storage`: account and share that the configuration names. `made`: the record's ids.
    `asked`: names that the person has given."""
    ours = {each.lower() for each in made}
    found = [
        _app(place, app, name, project),
        *_environment(place, app, made, ours, asked),
        *_logs(place, made),
        *_storage(place, *storage, ours, name),
    ]
    return [each for each in found if each is not None]


def _app(place: GroupPlace, app: apps.App | None, name: str, project: str | None) -> Item | None:
    if app is None:
        return None
    owner = owner_of(app)
    text = Text("its revisions, secrets and address; whoever calls it gets no answer any more")
    return Item(
        "app", app.name, _id(place, f"Microsoft.App/containerApps/{name}"), owner is not None and owner == project, text
    )


def _environment(
    place: GroupPlace, app: apps.App | None, made: Collection[str], ours: Collection[str], asked: Mapping[Kind, str]
) -> list[Item]:
    """The app's own; where that is gone, the one that the record names, or the person."""
    recorded = next((each for each in made if gateway.type_of(each) == ENVIRONMENT), "")
    given = _id(place, f"Microsoft.App/managedEnvironments/{asked['environment']}") if "environment" in asked else ""
    environment = (app.environment_id if app is not None else "") or recorded or given
    if not environment or not gateway.is_there(place, environment):
        return []
    name = environment.rpartition("/")[2]
    others = [each for each in apps.residents(place, environment) if app is None or each.lower() != app.name.lower()]
    holds = Text("its workload profiles and its mounts; making another one takes minutes")
    items = [Item("environment", name, environment, environment.lower() in ours, holds, tuple(others))]
    mount = next((each for each in made if gateway.type_of(each) == MOUNT), "")
    if not mount and "mount" in asked:
        mount = f"{environment}/storages/{asked['mount']}"
    if app is not None and app.mounts and app.mounts[0].storage:
        mount = f"{environment}/storages/{app.mounts[0].storage}"
    if mount and gateway.is_there(place, mount):
        text = Text("how the environment reaches the share; other apps may mount it too")
        items.append(Item("mount", mount.rpartition("/")[2], mount, mount.lower() in ours, text))
    return items


def _logs(place: GroupPlace, made: Collection[str]) -> list[Item]:
    found = [each for each in made if gateway.type_of(each) == LOGS and gateway.is_there(place, each)]
    return [
        Item("logs", each.rpartition("/")[2], each, True, Text("the logs of everything in the environment"))
        for each in found
    ]


def _storage(place: GroupPlace, account: str, share: str, ours: Collection[str], app: str) -> list[Item | None]:
    account_id, share_id = _storage_ids(place, account, share)
    if not account or not gateway.is_there(place, account_id):
        return []
    others = [each for each in gateway.shares_of(place, account) if each != share]
    holds = Text("all its shares: {shares}", shares=", ".join([share, *others]) or "–")
    items: list[Item | None] = [Item("account", account, account_id, account_id.lower() in ours, holds)]
    if share and gateway.is_there(place, share_id):
        text = Text("every base model, every adapter and every release on it")
        items.append(Item("share", share, share_id, share_id.lower() in ours, text))
        items.append(_releases(place, account, share, app))
    return items


def storage_gone(place: GroupPlace, account: str, share: str) -> list[Kind]:
    """Of the account and the share that the configuration names: what is not there."""
    account_id, share_id = _storage_ids(place, account, share)
    if account and not gateway.is_there(place, account_id):
        return ["account"]
    return ["share"] if account and share and not gateway.is_there(place, share_id) else []


def _storage_ids(place: GroupPlace, account: str, share: str) -> tuple[str, str]:
    account_id = _id(place, f"Microsoft.Storage/storageAccounts/{account}")
    return account_id, f"{account_id}/fileServices/default/shares/{share}"


def _releases(place: GroupPlace, account: str, share: str, app: str) -> Item | None:
    folder = f".slipway/{app}"
    try:
        with open_share(place, account, share) as opened:
            if all(each.name != app for each in opened.list(".slipway")):
                return None  # an empty one is what a deletion that was cut off has left
            holds = counted(len(_bundles(opened, folder)))
    except CloudError as error:
        holds = Text("it can't be looked at: {problem}", problem=error.message)
    return Item("releases", folder, "", ours=True, holds=holds)


def counted(releases: int) -> Text:
    if releases == 1:
        return Text("1 release of the inference code")
    return Text("{count} releases of the inference code", count=releases)


def _bundles(share: Share, folder: str) -> list[str]:
    return [each.name for each in share.list(f"{folder}/releases") if is_release(each.name)]


def _id(place: GroupPlace, path: str) -> str:
    return f"/subscriptions/{place.subscription_id}/resourceGroups/{place.group}/providers/{path}"
