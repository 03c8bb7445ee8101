"""Whether *Provision* can work, and *Deploy* after it: one check for each thing that could keep them from it. Pure.

A check judges facts that were read; what could not be read is UNVERIFIED, never PASS."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace

from sidecar.core.deployment import Planned
from sidecar.decisions.azure_names import broken_rule
from sidecar.decisions.checks import Check, Unread, failed, failed_as, passed, unverified, warned
from sidecar.decisions.gpu_checks import profile_check, quota_check
from sidecar.decisions.images import image_of, is_fixed
from sidecar.decisions.model_check import model_checks
from sidecar.decisions.preflight_facts import Facts
from sidecar.decisions.profiles import missing_profile, profile_in
from sidecar.decisions.provisioning import (
    ACCOUNT,
    APP,
    ENVIRONMENT,
    NOUNS,
    Existing,
    refuse_foreign,
    refuse_unusable,
)
from sidecar.decisions.registries import registry_check
from sidecar.gateway.offers import Grant
from sidecar.words.errors import SlipwayError
from sidecar.words.text import Text


def judged(facts: Facts) -> tuple[Check, ...]:
    """Every check, in the order in which people set things right."""
    return tuple(check for judge in JUDGES for check in judge(facts))


def _sign_in(facts: Facts) -> list[Check]:
    if isinstance(facts.who, Unread):
        return [unverified("sign-in", facts.who)]
    if facts.token_tenant is not None and facts.tenant and facts.token_tenant.lower() != facts.tenant.lower():
        return [
            failed(
                "sign-in",
                "TenantDiffers",
                Text(
                    "Signed in to the tenant {theirs}; the subscription is in {ours}.",
                    theirs=facts.token_tenant,
                    ours=facts.tenant,
                ),
                Text("Sign in to that tenant: --tenant {tenant}, or another account.", tenant=facts.tenant),
            )
        ]
    return [passed("sign-in", facts.who)]


def _providers(facts: Facts) -> list[Check]:
    found: list[Check] = []
    for namespace, state in facts.registered.items():
        name = f"provider {namespace}"
        if isinstance(state, Unread):
            found.append(unverified(name, state))
        elif state == "Registered":
            found.append(passed(name, Text("{namespace} is registered.", namespace=namespace)))
        else:
            sentence = Text("{namespace} is {state} in the subscription.", namespace=namespace, state=state)
            remedy = Text(
                "Provision registers it, which needs a role in the subscription; else an owner runs: az provider register "
                "--namespace {namespace}",
                namespace=namespace,
            )
            found.append(warned(name, sentence, remedy))
    return found


def needed_actions(planned: Planned, existing: Existing) -> tuple[str, ...]:
    """What Provision does in the resource group, as Azure's roles call it."""
    kinds = dict.fromkeys(each.kind for each in planned.resources if each.key not in existing.keys)
    made = [f"{kind}/write" for kind in kinds]
    joined = ["microsoft.app/managedenvironments/join/action"] if existing.environment is not None else []
    keys = [f"{ACCOUNT}/listkeys/action"] if ACCOUNT in planned.names else []
    app = [f"{APP}/write"] if existing.app is not None else []
    return ("microsoft.resources/deployments/write", *made, *joined, *keys, *app)


def allowed(action: str, grants: Collection[Grant]) -> bool:
    """Whether one of them gives the action and does not take it back. `*` in a grant stands for anything."""
    return any(
        any(_matches(action, each) for each in grant.actions)
        and not any(_matches(action, each) for each in grant.not_actions)
        for grant in grants
    )


def _matches(action: str, pattern: str) -> bool:
    wild = ".*".join(re.escape(part) for part in pattern.lower().split("*"))
    return re.fullmatch(wild, action.lower()) is not None


def _permissions(facts: Facts) -> list[Check]:
    if isinstance(facts.grants, Unread):
        return [unverified("permissions", facts.grants)]
    if facts.existing is None:
        return []
    lacking = [each for each in needed_actions(facts.planned, facts.existing) if not allowed(each, facts.grants)]
    if lacking:
        return [
            failed(
                "permissions",
                "AuthorizationFailed",
                Text("The account may not do in the resource group: {actions}.", actions=", ".join(lacking)),
                Text("Ask an owner for the role Contributor in this resource group."),
            )
        ]
    return [passed("permissions", Text("The account may make in the resource group all that is to be made."))]


def _names(facts: Facts) -> list[Check]:
    found: list[Check] = []
    for kind, name in facts.planned.names.items():
        rule = broken_rule(kind, name)
        if rule is not None:
            found.append(
                failed(
                    "names",
                    "InvalidResourceName",
                    Text("{name} can't be the name of a {kind}.", name=name.rpartition("/")[2], kind=NOUNS[kind]),
                    Text("Azure takes {words}.", words=rule.words),
                    rule.parameter,
                )
            )
    taken = facts.name_free
    account = facts.planned.names.get(ACCOUNT, "")
    if not found and isinstance(taken, Unread):
        found.append(unverified("names", taken))
    elif not found and taken is False:
        found.append(
            failed(
                "names",
                "StorageAccountAlreadyTaken",
                Text(
                    "Somebody else's storage account is called {name}: the name is taken in all of Azure.", name=account
                ),
                Text("Name another one."),
                "storageAccountName",
            )
        )
    return found or [passed("names", Text("Every name keeps Azure's rules."))]


def _storage(facts: Facts) -> list[Check]:
    account = facts.account
    name = facts.planned.names.get(ACCOUNT, "")
    if not name or facts.existing is None:
        return []
    if isinstance(account, Unread):
        return [unverified("storage", account)]
    try:
        refuse_unusable(facts.planned, facts.existing)
    except SlipwayError as error:
        parameter = "acaEnvironmentStorageName" if error.code == "StorageOfAnotherShare" else "storageAccountName"
        return [failed_as("storage", error, parameter)]
    if account is None:
        return [passed("storage", Text("The storage account {name} is to be made.", name=name))]
    if account.kind in ("BlobStorage", "BlockBlobStorage"):
        return [
            failed(
                "storage",
                "NoFileService",
                Text(
                    "The storage account {name} is of the kind {kind}, which has no file shares.",
                    name=name,
                    kind=account.kind,
                ),
                Text("Name a general-purpose account (StorageV2) or a FileStorage one."),
                "storageAccountName",
            )
        ]
    if account.protocol == "NFS":
        return [
            failed(
                "storage",
                "NfsShare",
                Text("The share is an NFS share: the app's storage mounts SMB shares, by the account's key."),
                Text("Name an SMB share."),
                "fileShareName",
            )
        ]
    if account.closed:
        return [
            warned(
                "storage",
                Text("The storage account {name} lets only some networks in.", name=name),
                Text(
                    "The environment must be one of them, or the mount is refused; and so must this machine, or Deploy can't "
                    "upload. Its page in the portal: Networking."
                ),
                "storageAccountName",
            )
        ]
    return [passed("storage", Text("The storage account {name} can be mounted.", name=name))]


def _files(facts: Facts) -> list[Check]:
    """ARM may be well while the share is not: the requests go to another host, past other rules."""
    if facts.account is None or isinstance(facts.account, Unread):
        return []
    if isinstance(facts.files, Unread):
        return [unverified("files", facts.files)]
    if facts.files is not None:
        remedy = facts.files.suggestion or Text(
            "ARM is well, and the account's file service refuses: look at its networking and at the roles on the account."
        )
        return [replace(failed_as("files", facts.files, "storageAccountName"), remedy=remedy)]
    return [passed("files", Text("The file service of {name} answers.", name=facts.planned.names[ACCOUNT]))]


def _environment(facts: Facts) -> list[Check]:
    if facts.existing is None:
        return []
    environment, wanted = facts.environment, facts.wanted
    name = facts.planned.names.get(ENVIRONMENT, "")
    if environment is None:
        return [passed("environment", Text("The environment {name} is to be made.", name=name))] if name else []
    if wanted is None or facts.app is not None or profile_in(environment, wanted) is not None:
        return [passed("environment", Text("The environment {name} has what the app needs.", name=name))]
    try:
        profile = missing_profile(environment, wanted, name)
    except SlipwayError as error:
        return [failed_as("environment", error, "acaEnvironmentName")]
    return [
        warned(
            "environment",
            Text(
                "The environment {name} has no {type} profile yet: it is added, after a question.",
                name=name,
                type=profile["workloadProfileType"],
            ),
        )
    ]


def _image(facts: Facts) -> list[Check]:
    if APP not in facts.planned.names:
        return []
    image = image_of(facts.planned.app_template)
    if image is None:
        return [unverified("image", Unread(Text("The template's image can't be told before it is deployed.")))]
    fixed = is_fixed(image)
    if fixed is None:
        return [
            failed(
                "image",
                "InvalidImageReference",
                Text("{image} is no name of an image.", image=image),
                Text("It is registry/repository:tag, the repository in lower case."),
                "image",
            )
        ]
    if not fixed:
        return [
            warned(
                "image",
                Text("{image} is whatever is newest when a replica starts: two may run different ones.", image=image),
                Text("State a tag that stays, or a digest."),
                "image",
            )
        ]
    return [passed("image", Text("The image is {image}.", image=image))]


def _registry(facts: Facts) -> list[Check]:
    image = image_of(facts.planned.app_template)
    if APP not in facts.planned.names or facts.login is None or image is None:
        return []
    return registry_check(facts.login, image, facts.app)


def _owner(facts: Facts) -> list[Check]:
    app = facts.app
    if app is None:
        return []
    try:
        refuse_foreign(app, facts.project)
    except SlipwayError as error:
        return [failed_as("owner", error, "acaAppName")]
    return [passed("owner", Text("The container app {name} is this project's, or nobody's.", name=app.name))]


def _models(facts: Facts) -> list[Check]:
    """Nothing needs a base model before the first Deploy: one that is there is judged, one that is not may come."""
    return [] if facts.models is None else list(model_checks(facts.models, needed=False))


JUDGES: tuple[Callable[[Facts], list[Check]], ...] = (
    _sign_in,
    _providers,
    _permissions,
    _names,
    _owner,
    profile_check,
    quota_check,
    _environment,
    _storage,
    _files,
    _image,
    _registry,
    _models,
)
