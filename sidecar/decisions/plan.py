"""The plan of a *Provision*: what is made, changed and left, what that does to revisions and traffic, which files. Pure.

Two plans of the same reality have the same digest: over what the plan means, without times, prices and what only informs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sidecar.core.deployment import Planned, Stated, Template, secure_parameters
from sidecar.core.masking import NOTHING, Mask
from sidecar.decisions.app_changes import Change
from sidecar.decisions.checks import Unread
from sidecar.decisions.members import KNOWN_LATER, Member, changed, shown
from sidecar.decisions.profiles import Parameters, Wanted, missing_profile, profile_in
from sidecar.decisions.provisioning import APP, ENVIRONMENT, ENVIRONMENT_STORAGE, FAILED, LOGS, Existing, is_switched
from sidecar.decisions.resizing import Resized
from sidecar.decisions.whatif import ResourceChange, risky, tells
from sidecar.gateway.apps import App
from sidecar.words.names import PlanAction
from sidecar.words.text import Text

CONFIG = "infra/inference.config.json"
PROJECT = "infra/slipway.json"


@dataclass(frozen=True)
class ResourceLine:
    """One resource. `kind`: its type in lower case. `foreseen`: ARM's what-if says so, not our own look."""

    kind: str
    name: str
    action: PlanAction
    members: tuple[Member, ...] = ()
    foreseen: bool = False


@dataclass(frozen=True)
class FileLine:
    """A file of the project's that is written. `key`: what decides, for the digest."""

    path: str
    action: Literal["create", "update"]
    why: Text


@dataclass(frozen=True, kw_only=True)
class Reality:
    """What was read for a plan, and what the files state."""

    subscription: str
    group: str
    template: Template
    stated: Parameters
    planned: Planned
    wanted: Wanted | None
    project: str | None
    """None: this project has no id yet."""
    marked: bool
    """Whether the project's files hold its id."""
    existing: Existing
    change: Change | None
    """Of the app that is there."""
    moved: tuple[str, str] | None
    """The storage that the app mounts its share by, and the one that it is to be."""
    renewed: str | None
    """A storage of the environment whose key no longer mounts the share."""
    resizes: tuple[Resized, ...] = ()
    """Numbers of the environment's profile and of the share that are stated and differ."""
    outputs: Mapping[str, str] | None
    """What the configuration is to hold; None: only a deployment tells."""
    config: Mapping[str, str | None]
    registers: tuple[str, ...]
    """Providers that the subscription has not registered."""
    foreseen: tuple[ResourceChange, ...] | Unread | None
    """What ARM says of the deployment, without its noise; None: it was not asked, for nothing of it could surprise."""
    mask: Mask = NOTHING
    """What of it no digest is made of."""


@dataclass(frozen=True)
class Work:
    """What there is to do. `deploys`: by a deployment; what is changed by PATCH is in the lines alone."""

    registers: tuple[str, ...]
    lines: tuple[ResourceLine, ...]
    deploys: bool
    files: tuple[FileLine, ...]
    risks: tuple[str, ...]
    """What goes, and what can't change, by ARM's own word."""
    remade: bool
    """The app's last change failed: it is made once more."""
    differs: bool
    """Something that is stated differs and stays as it is."""

    @property
    def nothing(self) -> bool:
        acts = any(each.action != "unchanged" for each in self.lines)
        return not (acts or self.deploys or self.files or self.registers or self.remade)

    def of(self, *actions: PlanAction) -> tuple[ResourceLine, ...]:
        return tuple(each for each in self.lines if each.action in actions)

    def changes(self, kind: str) -> bool:
        """Whether a resource of this type that is there is changed."""
        return any(each.kind == kind and each.action == "update" for each in self.lines)


def work_of(found: Reality) -> Work:
    creates = to_create(found.planned, found.existing)
    updates = updates_of(found)
    surprises = _surprises(found, {each.id.lower() for each in creates})
    named = {(each.kind, each.name) for each in updates}
    made = {each.key for each in creates}
    lines = [
        ResourceLine(each.kind, each.name, "create" if each.key in made else "unchanged")
        for each in found.planned.resources
        if (each.kind, each.name) not in named and (each.key in made or each.key in found.existing.keys)
    ]
    chance = [ResourceLine(each, KNOWN_LATER, "create") for each in found.planned.new_each_time]
    deploys = bool(creates or surprises or chance or found.outputs is None or _unforeseen(found))
    return Work(
        found.registers,
        (*lines, *updates, *surprises, *chance),
        deploys,
        _files(found, deploys),
        () if found.foreseen is None or isinstance(found.foreseen, Unread) else risky(found.foreseen),
        remade(found),
        found.change is not None and bool(found.change.notes),
    )


def summary(work: Work) -> Text:
    if work.nothing and work.differs:
        return Text("Nothing to do. What is stated and differs stays as it is, and is said.")
    if work.nothing:
        return Text("Nothing to do: everything is as the parameters state it.")
    counts = {action: len(work.of(action)) for action in ("create", "update", "delete", "unchanged")}
    return Text(
        "Resources to create: {create}, to update: {update}, to delete: {delete}, unchanged: {unchanged}.", **counts
    )


def to_create(planned: Planned, existing: Existing) -> tuple[Stated, ...]:
    """What of the template is not there yet. Where logs go only a new environment asks."""
    logs = existing.environment is not None
    return tuple(
        each
        for each in planned.resources
        if each.key not in existing.keys and not (logs and each.kind == LOGS and is_switched(each))
    )


def updates_of(found: Reality) -> tuple[ResourceLine, ...]:
    """What is there and is changed, by PATCH: what the parameters state and it differs in, and nothing else."""
    lines = [
        ResourceLine(ENVIRONMENT, found.planned.names[ENVIRONMENT], "update", (Member("workloadProfiles", "–", added),))
        for added in profiles_to_add(found)
    ]
    lines += [
        ResourceLine(each.kind, each.resource, "update", (Member(each.path, str(each.old), str(each.new)),))
        for each in found.resizes
    ]
    if found.renewed is not None:
        lines.append(ResourceLine(ENVIRONMENT_STORAGE, found.renewed, "update", (Member("accountKey", "…", "…"),)))
    members = app_members(found)
    if found.existing.app is not None and members:
        lines.append(ResourceLine(APP, found.existing.app.name, "update", members))
    return tuple(lines)


def profiles_to_add(found: Reality) -> tuple[str, ...]:
    """The GPU profile that an existing environment lacks. Raises CloudError where none can be added."""
    environment = found.existing.environment
    if environment is None or found.existing.app is not None or found.wanted is None:
        return ()
    if profile_in(environment, found.wanted) is not None:
        return ()
    profile = missing_profile(environment, found.wanted, found.planned.names[ENVIRONMENT])
    return (f"{profile['name']} ({profile['workloadProfileType']})",)


def app_members(found: Reality) -> tuple[Member, ...]:
    app, change = found.existing.app, found.change
    if app is None or change is None:
        return ()
    stated = changed(app.template, change.template, "template") if change.texts else ()
    moved = () if found.moved is None else (Member("template.volumes.storageName", *found.moved),)
    login = () if change.login is None else (Member("configuration.registries", "", change.login.server),)
    return (*stated, *moved, *login)


def remade(found: Reality) -> bool:
    app, change = found.existing.app, found.change
    return app is not None and change is not None and needs_again(app, change)


def needs_again(app: App, change: Change) -> bool:
    """Whether the app's last change failed, and is ours to make once more."""
    return app.state in FAILED and not change.alone


def _surprises(found: Reality, made: set[str]) -> list[ResourceLine]:
    """What ARM foresees beside what we make ourselves: parts of the template that can't be looked at here."""
    if found.foreseen is None or isinstance(found.foreseen, Unread):
        return []
    actions: dict[str, PlanAction] = {"Create": "create", "Delete": "delete"}
    return [
        ResourceLine(
            each.type,
            shown(each.name),
            actions.get(each.kind, "update"),
            tuple(Member(delta.path, shown(delta.before), shown(delta.after)) for delta in each.deltas),
            foreseen=True,
        )
        for each in found.foreseen
        if (tells(each) or each.kind == "Create") and each.id.lower() not in made and not _by_chance(found, each)
    ]


def _by_chance(found: Reality, change: ResourceChange) -> bool:
    """Whether ARM tells of what has another name each time: it is told without one."""
    return change.kind in ("Create", "Unsupported") and change.type in found.planned.new_each_time


def _unforeseen(found: Reality) -> bool:
    """Parts that can't be looked at, of which ARM did not say either what becomes of them."""
    return bool(found.planned.opaque) and (found.foreseen is None or isinstance(found.foreseen, Unread))


def _files(found: Reality, deploys: bool) -> tuple[FileLine, ...]:
    files: list[FileLine] = []
    if not found.marked:
        files.append(FileLine(PROJECT, "create", Text("This project gets an id, which marks its app. Commit it.")))
    differs = found.outputs is None or any(found.config.get(key) != value for key, value in found.outputs.items())
    if differs and (deploys or found.outputs is not None):
        action = "update" if any(found.config.values()) else "create"
        files.append(FileLine(CONFIG, action, Text("The six keys get what was made.")))
    return tuple(files)


def outputs_of(
    recorded: Mapping[str, str] | None, config: Mapping[str, str | None], expected: Mapping[str, str]
) -> Mapping[str, str] | None:
    """What the configuration is to hold, where that is known without a deployment: as the last one of this name told it, or
    as the file has it already. `expected`: what is there by our own look, which neither may contradict."""
    for known in (recorded, config):
        if known is None or any(not known.get(key) for key in config):
            continue
        if all(str(known.get(key)).lower() == value.lower() for key, value in expected.items()):
            return {key: str(known[key]) for key in config}
    return None


def digest_of(found: Reality, work: Work) -> str:
    """Over what the plan means."""
    secure = secure_parameters(found.template)
    stated = {name: each for name, each in found.stated.items() if name not in secure}
    meaning: dict[str, object] = {
        "target": [found.subscription.lower(), found.group.lower()],
        "stated": stated,
        "project": found.project,
        "registers": sorted(work.registers),
        "resources": sorted(_line(each) for each in work.lines),
        "files": sorted(f"{each.action} {each.path}" for each in work.files),
        "deploys": work.deploys,
        "app": None if found.change is None or not work.changes(APP) else found.change.template,  # lines are cut short
        "remade": work.remade,
        "risks": sorted(work.risks),
    }
    masked = found.mask.document(json.loads(json.dumps(meaning, default=str)))
    told = json.dumps(
        [found.template, masked], sort_keys=True, default=str
    )  # a template holds no value, and words of its own
    return hashlib.sha256(told.encode()).hexdigest()


def _line(each: ResourceLine) -> str:
    members = [[member.path, member.before, member.after] for member in each.members]
    return json.dumps([each.kind, each.name.lower(), each.action, members])


def effects_of(
    found: Reality, work: Work, kind: str | None, usage: tuple[int, int, int] | None, cooldown: int
) -> tuple[Text, ...]:
    """On revisions and traffic. `kind`: of the app's GPU profile, None for none; `usage`: GPUs needed, in use and allowed,
    where that is known; `cooldown`: seconds."""
    app = found.existing.app
    if app is None:
        if APP not in found.planned.names:
            return ()
        first = Text(
            "The app gets its first revision, and all traffic goes there. A replica starts for it, and goes after {seconds} s "
            "without a request. It answers nothing but probes until the first Deploy.",
            seconds=cooldown,
        )
        return (first,)
    if not work.changes(APP) and not work.remade:
        return (Text("Nothing restarts; traffic stays as it is."),)
    effects = [
        Text("The app {name} gets a new revision: what runs starts anew, and loads its model again.", name=app.name)
    ]
    if kind is not None and usage is not None and usage[2] - usage[1] < usage[0]:
        effects.append(
            Text(
                "GPUs needed: {needed}, in use: {used}, allowed: {limit}. The new revision waits for a GPU as long as a replica "
                "of the old one has it; requests may go unanswered meanwhile.",
                needed=usage[0],
                used=usage[1],
                limit=usage[2],
            )
        )
    elif kind is not None and usage is None:
        effects.append(Text("How many GPUs are free is unknown: the new revision may have to wait for one."))
    effects.append(_traffic(app.mode, app.traffic))
    return tuple(effects)


def _traffic(mode: str, traffic: Sequence[tuple[str | None, int]]) -> Text:
    if mode == "Single":
        return Text("Traffic goes to the new revision once it is ready.")
    fixed = [f"{name} {weight} %" for name, weight in traffic if name is not None and weight]
    if any(name is None and weight for name, weight in traffic):
        return Text("Traffic follows the newest revision.")
    return Text("Traffic stays where it is: {weights}.", weights=", ".join(fixed) or "–")


def app_template_of(found: Reality) -> Mapping[str, object]:
    """The app's as it will be: that of the app, with its changes, or the one that is made."""
    app = found.existing.app
    if app is None:
        return found.planned.app_template or {}
    return found.change.template if found.change is not None else cast("dict[str, object]", app.template)
