"""What *Provision* makes and what it refers to, whose an app is, and what stops it before anything is made."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sidecar.core.deployment import LOGS, SWITCHES, Planned, Stated, Template, has_parameter
from sidecar.decisions.profiles import PROFILE_NAME, Wanted, profile_in
from sidecar.gateway.apps import PROJECT_TAG, App, Environment, Mounted
from sidecar.gateway.offers import Account
from sidecar.gateway.patience import ENDED_BADLY, ENDED_WELL
from sidecar.words.errors import CloudError, Conflict
from sidecar.words.text import Text

ACCOUNT = "microsoft.storage/storageaccounts"
SHARE = "microsoft.storage/storageaccounts/fileservices/shares"
ENVIRONMENT = "microsoft.app/managedenvironments"
ENVIRONMENT_STORAGE = "microsoft.app/managedenvironments/storages"
APP = "microsoft.app/containerapps"

NOUNS: dict[str, Text] = {
    ACCOUNT: Text("storage account"),
    SHARE: Text("file share"),
    ENVIRONMENT: Text("Container Apps environment"),
    ENVIRONMENT_STORAGE: Text("storage of an environment"),
    APP: Text("container app"),
    LOGS: Text("Log Analytics workspace"),
}
"""What people call a type."""

FAILED = ENDED_BADLY
SETTLED = ENDED_BADLY | ENDED_WELL


@dataclass(frozen=True)
class Existing:
    """What the template would name and what of it is there already. Existing things are never rewritten.

    `keys`: the template's resources that are there. Not among them, though there: an environment or an app whose making
    failed and that may be made anew."""

    keys: frozenset[str]
    takes_keys: bool | None
    """Whether the storage account lets its key be used; None: there is no account yet."""
    environment: Environment | None
    environment_storage: Mounted | None
    app: App | None
    account: Account | None = None
    """The storage account, with the share's protocol."""


@dataclass(frozen=True)
class Keys:
    """Of an app, where it is made: the one that callers hold, and the one that a Deploy presents."""

    api: str
    deploy: str


def decisions(
    template: Template, planned: Planned, existing: Existing, wanted: Wanted | None, project: str, keys: Keys
) -> dict[str, object]:
    """What Slipway itself sets of the template's parameters: what to create, whose project it is, the app's keys."""
    ours: dict[str, object] = {"projectId": project, "apiKey": keys.api, "deployKey": keys.deploy}
    ours |= {
        switch: each.key not in existing.keys
        for each in planned.resources
        if (switch := _switch_of(each.kind, each.switch)) is not None
    }
    if existing.environment is not None:
        ours[SWITCHES[LOGS]] = False  # only a new environment asks where its logs go
        ours["location"] = existing.environment.location
        known = None if wanted is None else profile_in(existing.environment, wanted)
        if known is not None and existing.app is None:
            ours[PROFILE_NAME] = known
    return {name: value for name, value in ours.items() if has_parameter(template, name)}


def to_refer_to(planned: Planned, existing: Existing) -> dict[str, str]:
    """Resources that are there and that no switch of ours keeps the template from writing over, with their names."""
    return {
        each.key: each.name
        for each in planned.resources
        if each.key in existing.keys and _switch_of(each.kind, each.switch) is None
    }


def is_switched(stated: Stated) -> bool:
    """Whether a parameter of ours decides that it is made."""
    return _switch_of(stated.kind, stated.switch) is not None


def _switch_of(kind: str, condition: str | None) -> str | None:
    switch = SWITCHES.get(kind)
    return switch if switch is not None and (condition or "").lower() == switch.lower() else None


def owner_of(app: App | None) -> str | None:
    """The project whose tag an app carries."""
    return None if app is None else app.tags.get(PROJECT_TAG) or None


def whose(known: str | None, configured: str | None, app: App | None) -> str | None:
    """This project's id: the known one; without one (a fresh clone), the app's own where the project's configuration names
    that app; None where a new one is to be made."""
    if known is not None or app is None or (configured or "").lower() != app.name.lower():
        return known
    return owner_of(app)


def refuse_foreign(app: App | None, project: str | None) -> None:
    """Another project's app under this name is nobody's to overwrite."""
    owner = owner_of(app)
    if app is not None and owner is not None and owner != project:
        raise Conflict(
            Text("The container app {name} belongs to another project.", name=app.name),
            Text(
                "If it is this project's (a clone, another machine), take over its infra/slipway.json: commit that file where "
                "the app was made. Else give this project's app a name of its own: acaAppName in "
                "infra/provision/inference.parameters.json."
            ),
            code="AppOfAnotherProject",
        )


def refuse_unusable(planned: Planned, existing: Existing) -> None:
    """What would fail later, or lead elsewhere, told before anything is made."""
    names = planned.names
    if existing.takes_keys is False:
        raise CloudError(
            Text(
                "The storage account {name} does not allow its key to be used (allowSharedKeyAccess is false): Container Apps "
                "can't mount its share.",
                name=names.get(ACCOUNT, ""),
            ),
            Text(
                "Allow it (az storage account update --name {name} --allow-shared-key-access true), if no policy forbids it, or "
                "name another account in storageAccountName.",
                name=names.get(ACCOUNT, ""),
            ),
            code="KeyBasedAuthenticationNotPermitted",
        )
    account, share = names.get(ACCOUNT, ""), names.get(SHARE, "").rpartition("/")[2]
    mounted = existing.environment_storage
    if mounted is not None and account and share and _differs(mounted, account, share):
        raise Conflict(
            Text(
                "The storage {storage} of the environment stands for the share {theirs}, not for {ours}: the app would mount "
                "another share than the one that is deployed to.",
                storage=_storage_of(names.get(ENVIRONMENT_STORAGE, "")),
                theirs=f"{mounted.account}/{mounted.share}" if mounted.account else Text("of another kind"),
                ours=f"{account}/{share}",
            ),
            Text(
                "Name that account and share in storageAccountName and fileShareName, or a storage of its own in "
                "acaEnvironmentStorageName."
            ),
            code="StorageOfAnotherShare",
        )


def _storage_of(name: str) -> Text | str:
    environment, _, storage = name.partition("/")
    return Text("{storage} in {environment}", storage=storage, environment=environment) if storage else name


def _differs(mounted: Mounted, account: str, share: str) -> bool:
    return (mounted.account.lower(), mounted.share.lower()) != (account.lower(), share.lower())


def environment_again(environment: Environment, name: str, residents: Collection[str]) -> bool:
    """Whether an environment is made anew: its making failed and nothing lives in it. Raises CloudError where something does."""
    if environment.state not in FAILED:
        return False
    if residents:
        raise CloudError(
            Text(
                "The environment {name} is in the state {state}, and holds {residents}.",
                name=name,
                state=environment.state,
                residents=", ".join(sorted(residents)),
            ),
            Text(
                "Its activity log in the portal says why. Repair it there, or name another one in acaEnvironmentName."
            ),
            code="EnvironmentFailed",
        )
    return True


def app_again(app: App, project: str | None) -> bool:
    """Whether an app is made anew: its making failed before it had any revision, and it is ours. A later change that failed
    left the revisions before it as they were: it is repaired by the next change."""
    if app.state not in FAILED or app.latest_revision is not None:
        return False
    if owner_of(app) is None or owner_of(app) != project:
        raise CloudError(
            Text(
                "The container app {name} is in the state {state} and has no revision; it was not made by this project.",
                name=app.name,
                state=app.state,
            ),
            Text("Delete it, or give this project's app a name of its own in acaAppName."),
            code="AppFailed",
        )
    return True
