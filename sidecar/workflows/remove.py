"""Workflow *Delete inference resources*: lists what goes and what stays; then the app, and what else was named, goes."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sidecar.core.journal import Journal
from sidecar.core.workspace import CONFIG_KEYS, Workspace, empty_config, known_made, known_project_id, read_config
from sidecar.decisions.provisioning import owner_of, refuse_foreign
from sidecar.decisions.removal import CALLED, Item, Kind, Removal, named, removal
from sidecar.gateway import apps
from sidecar.gateway import removal as gateway
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import Cancelled, CloudError, NotFound, SlipwayError, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.leftovers import items_of, storage_gone, storage_of

GONE_SECONDS = 300
"""For a resource to be gone after ARM has called its deletion done."""

NOT_PROVISIONED = "NotProvisioned"

KEYS: dict[Kind, tuple[str, ...]] = {
    "app": ("ACA_APP_NAME", "ACA_APP_ENDPOINT"),
    "share": ("FILE_SHARE_NAME",),
    "account": ("STORAGE_ACCOUNT_NAME", "FILE_SHARE_NAME"),
}
"""Of infra/inference.config.json: what holds no more."""


@dataclass(frozen=True)
class Names:
    """What the configuration names. `app` is empty where that is gone already."""

    place: GroupPlace
    app: str
    account: str
    share: str

    @property
    def confirm(self) -> str:
        """What a person writes before anything goes."""
        return self.app or self.place.group


@dataclass(frozen=True)
class Removed:
    """`done`: False where it was only listed. `emptied`: keys of the configuration that hold no more. `confirm`: what is to be
    written before anything goes: the app's name; the group's, where the app is gone and what stayed is to go."""

    app: str
    confirm: str
    done: bool
    goes: tuple[Item, ...]
    stays: tuple[Item, ...]
    emptied: tuple[str, ...] = ()


def plan(workspace: Workspace, session: Session, also: Collection[str]) -> Removed:
    """What would go and what would stay. Nothing is changed."""
    names = names_of(workspace, session)
    found = _looked(workspace, names, also)
    return Removed(names.app, names.confirm, False, found.goes, found.stays)


def remove(workspace: Workspace, session: Session, journal: Journal, name: str, also: Collection[str]) -> Removed:
    """`name`: the app's, as the person wrote it. A run that was cut off is finished by the next: the configuration keeps its
    names until everything is gone."""
    try:
        names = names_of(workspace, session)
    except WorkspaceError as error:
        if error.code == NOT_PROVISIONED:
            journal.done()  # one that was cut off after its last deletion has left nothing to be done
        raise
    if name != names.confirm:
        raise WorkspaceError(
            Text("The app is called {app}, not {name}: nothing was deleted.", app=names.app, name=name or "–")
            if names.app
            else Text(
                "The app is gone; the resource group is called {group}, not {name}: nothing was deleted.",
                group=names.confirm,
                name=name or "–",
            ),
            Text("Write the whole name."),
            code="NameDiffers",
        )
    journal.step("look", Text("Looking at what belongs to {app}…", app=names.confirm), increment=5)
    found = _looked(workspace, names, also)
    gone: list[Item] = []
    try:
        for item in found.goes:
            text = Text("Deleting the {kind} {name}…", kind=CALLED[item.kind], name=item.name)
            journal.step("delete", text, increment=10, kind=item.kind, what=item.name)
            _take_away(names, item, found, journal)
            gone.append(item)
            journal.log(Text("The {kind} {name} is gone.", kind=CALLED[item.kind], name=item.name))
        journal.step("config", Text("Taking what is gone out of infra/inference.config.json…"), increment=5)
    except Cancelled as cancelled:
        raise _cancelled(gone, found.goes, cancelled) from cancelled
    emptied = _emptied(names)
    empty_config(workspace, emptied)
    journal.done()
    return Removed(names.app, names.confirm, True, tuple(gone), found.stays, emptied)


def names_of(workspace: Workspace, session: Session) -> Names:
    config = read_config(workspace)
    known = config.ACA_APP_NAME or known_project_id(workspace)
    if not (known and config.SUBSCRIPTION_ID and config.RESOURCE_GROUP_NAME):
        raise nothing_to_delete()
    place = GroupPlace(session, config.SUBSCRIPTION_ID, config.RESOURCE_GROUP_NAME)
    return Names(place, config.ACA_APP_NAME or "", config.STORAGE_ACCOUNT_NAME or "", config.FILE_SHARE_NAME or "")


def nothing_to_delete() -> WorkspaceError:
    text = Text(
        "infra/inference.config.json names no app, and nothing of this project is left: there is nothing to delete."
    )
    return WorkspaceError(text, code=NOT_PROVISIONED)


def _looked(workspace: Workspace, names: Names, also: Collection[str]) -> Removal:
    project = known_project_id(workspace)
    app = apps.find_app(names.place.app(names.app)) if names.app else None
    if app is not None and owner_of(app) is not None:
        refuse_foreign(app, project)
    made = () if project is None else (*known_made(workspace), *gateway.made_by(names.place, project))
    storage = storage_of(names.place, app, (names.account, names.share))
    items = items_of(names.place, app, names.app, storage, made, project=project, asked=named(also))
    if not names.app and not items:
        raise nothing_to_delete()
    return replace(removal(items, also), storage=storage)


def _take_away(names: Names, item: Item, found: Removal, journal: Journal) -> None:
    kinds = {each.kind for each in found.goes}
    if item.kind == "releases":
        if not kinds & {"share", "account"}:  # else they go with it
            with open_share(names.place, *found.storage) as share:
                delete_folder(share, item.name, journal)
        return
    gateway.delete(names.place, item.id)
    deadline = time.monotonic() + GONE_SECONDS
    while gateway.is_there(names.place, item.id):
        if time.monotonic() > deadline:
            raise CloudError(
                Text(
                    "Azure says that the {kind} {name} is deleted, and it is still there.",
                    kind=CALLED[item.kind],
                    name=item.name,
                ),
                Text("Look at it in the portal, then run the command again: it goes on from here."),
                code="NotGone",
            )
        journal.progress(Text("Waiting until the {kind} {name} is gone…", kind=CALLED[item.kind], name=item.name))
        journal.wait(names.place.session.poll_seconds)


def delete_folder(share: Share, folder: str, journal: Journal) -> None:
    """A folder of the share with all that lies in it."""
    for each in share.list(folder):
        journal.check()
        path = f"{folder}/{each.name}"
        if each.is_directory:
            delete_folder(share, path, journal)
            continue
        try:
            share.delete(path)
        except NotFound:  # somebody else was faster
            continue
    if not share.remove_folder(folder):
        raise CloudError(
            Text("{folder} on the share is not empty: something was put there meanwhile.", folder=folder),
            Text("Run the command again: it goes on from here."),
            code="NotGone",
        )


def _emptied(names: Names) -> tuple[str, ...]:
    """In the order of the file: keys of what is not there, whichever run has deleted it."""
    kinds: list[Kind] = ["app", *storage_gone(names.place, names.account, names.share)]
    keys = {key for kind in kinds for key in KEYS.get(kind, ())}
    return tuple(key for key in CONFIG_KEYS if key in keys)


def _named(items: Sequence[Item]) -> Text | str:
    return Text.listed(Text.listed((CALLED[each.kind], each.name), " ") for each in items) if items else "–"


def _cancelled(gone: Sequence[Item], goes: Sequence[Item], cancelled: Cancelled) -> SlipwayError:
    left = [each for each in goes if each not in gone]
    return Cancelled(
        Text(
            "{cancelled} Gone: {gone}. Not yet: {left}.",
            cancelled=cancelled,
            gone=_named(gone),
            left=_named(left),
        ),
        Text("Run the command again to go on from here."),
    )
