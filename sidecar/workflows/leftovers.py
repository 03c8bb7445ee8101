"""What belongs to an app, and is there: each thing with what it holds, who else uses it, and whether this project made it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sidecar.core.releases import is_release
from sidecar.decisions.provisioning import owner_of
from sidecar.decisions.removal import Item, Kind
from sidecar.decisions.serving import release_mount
from sidecar.decisions.upload import RECORDS
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
    uses = gateway.uses(place)
    environment = _environment(place, app, made, ours, asked, uses)
    found = [
        _app(place, app, name, project),
        *environment,
        *_logs(place, made, {each.name.lower() for each in environment}),
        *_storage(place, storage, app, ours, home=home_of_releases(app, name), uses=uses),
    ]
    return [each for each in found if each is not None]


def home_of_releases(app: apps.App | None, name: str) -> str:
    """The folder of the share in which an app's start looks; empty where no app is known any more."""
    mount = None if app is None else release_mount(app)
    below = "" if mount is None or not mount.sub_path.strip("/") else f"{mount.sub_path.strip('/')}/"
    stated = "" if app is None else app.env.get("SLIPWAY_APP", "")
    return f"{below}.slipway/{stated or name}" if stated or name else ""


def storage_of(place: GroupPlace, app: apps.App | None, stated: tuple[str, str]) -> tuple[str, str]:
    """Account and share that the app itself mounts; those of the configuration where it is gone or mounts none."""
    mount = None if app is None else release_mount(app)
    if app is None or mount is None or not mount.storage:
        return stated
    known = apps.environment_storage(place, app.environment, mount.storage)
    return stated if known is None or not known.share else (known.account, known.share)


def _app(place: GroupPlace, app: apps.App | None, name: str, project: str | None) -> Item | None:
    if app is None:
        return None
    owner = owner_of(app)
    text = Text("its revisions, secrets and address; whoever calls it gets no answer any more")
    return Item(
        "app", app.name, _id(place, f"Microsoft.App/containerApps/{name}"), owner is not None and owner == project, text
    )


def _environment(
    place: GroupPlace,
    app: apps.App | None,
    made: Collection[str],
    ours: Collection[str],
    asked: Mapping[Kind, str],
    uses: Sequence[gateway.Use],
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
        text, storage = Text("how the environment reaches the share"), mount.rpartition("/")[2]
        mine = [each for each in uses if _same(each.environment, environment) and _same(each.storage, storage)]
        items.append(Item("mount", storage, mount, mount.lower() in ours, text, _others(mine, app)))
    return items


def _others(uses: Iterable[gateway.Use], app: apps.App | None) -> tuple[str, ...]:
    """Who mounts it beside the app."""
    names = (name for each in uses for name in each.mounted_by if app is None or not _same(name, app.name))
    return tuple(dict.fromkeys(names))


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _logs(place: GroupPlace, made: Collection[str], own: Collection[str]) -> list[Item]:
    """`own`: the environment that is listed itself."""
    found = [each for each in made if gateway.type_of(each) == LOGS and gateway.is_there(place, each)]
    text = Text("the logs of everything in the environment")
    return [
        Item(
            "logs",
            each.rpartition("/")[2],
            each,
            True,
            text,
            tuple(name for name in gateway.logging_to(place, each) if name.lower() not in own),
        )
        for each in found
    ]


def _storage(
    place: GroupPlace,
    storage: tuple[str, str],
    app: apps.App | None,
    ours: Collection[str],
    *,
    home: str,
    uses: Sequence[gateway.Use],
) -> list[Item | None]:
    account, share = storage
    account_id, share_id = _storage_ids(place, account, share)
    if not account or not gateway.is_there(place, account_id):
        return []
    others = [each for each in gateway.shares_of(place, account) if each != share]
    holds = Text("all its shares: {shares}", shares=", ".join([share, *others]) or "–")
    used = tuple(f"share {each}" for each in others)
    items: list[Item | None] = [Item("account", account, account_id, account_id.lower() in ours, holds, used)]
    if share and gateway.is_there(place, share_id):
        text = Text("every base model, every adapter and every release on it")
        mine = [each for each in uses if _same(each.account, account) and _same(each.share, share)]
        releases, others = _releases(place, account, share, home)
        mounting = (*_others(mine, app), *(each for each in others if app is None or not _same(each, app.name)))
        items.append(Item("share", share, share_id, share_id.lower() in ours, text, tuple(dict.fromkeys(mounting))))
        items.append(releases)
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


def _releases(place: GroupPlace, account: str, share: str, home: str) -> tuple[Item | None, list[str]]:
    """The app's own, and the names of others that have releases there. An empty folder is what a deletion that was cut off has
    left."""
    above, _, mine = home.rpartition("/")
    others: list[str] = []
    try:
        with open_share(place, account, share) as opened:
            there = [each.name for each in opened.list(above or ".slipway") if each.is_directory]
            # Beside the apps' folders stands what uploads have written down, which is nobody's once the share goes.
            apps_there = [each for each in there if each not in (mine, RECORDS.rpartition("/")[2])]
            others = [each for each in apps_there if opened.list(f"{above or '.slipway'}/{each}")]
            if not mine or mine not in there:
                return None, others
            holds = counted(len(_bundles(opened, home)))
    except CloudError as error:
        holds = Text("it can't be looked at: {problem}", problem=error.message)
    return (Item("releases", home, "", ours=True, holds=holds) if home else None), others


def counted(releases: int) -> Text:
    if releases == 1:
        return Text("1 release of the inference code")
    return Text("{count} releases of the inference code", count=releases)


def _bundles(share: Share, folder: str) -> list[str]:
    return [each.name for each in share.list(f"{folder}/releases") if is_release(each.name)]


def _id(place: GroupPlace, path: str) -> str:
    return f"/subscriptions/{place.subscription_id}/resourceGroups/{place.group}/providers/{path}"
