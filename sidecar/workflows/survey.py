"""Reads what a *Provision* depends on, and decides what there is to do. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sidecar.core.deployment import Template, merge_parameters, referring
from sidecar.core.journal import Journal
from sidecar.core.workspace import CONFIG_KEYS, Workspace, known_project_id, read_config
from sidecar.decisions.app_changes import Change, Standing, app_change
from sidecar.decisions.checks import Check, Unread, of_template
from sidecar.decisions.hub_base import TOKEN, TOKEN_SECRET, token_change
from sidecar.decisions.plan import Reality, Work, outputs_of, work_of
from sidecar.decisions.preflight import judged
from sidecar.decisions.preflight_facts import Facts
from sidecar.decisions.profiles import Parameters, kind_of, wanted_profile
from sidecar.decisions.provisioning import (
    ACCOUNT,
    APP,
    ENVIRONMENT_STORAGE,
    SHARE,
    Existing,
    Keys,
    decisions,
    refuse_foreign,
    refuse_unusable,
    to_refer_to,
)
from sidecar.decisions.registries import login_change, stated_login
from sidecar.decisions.whatif import changes_of, meant
from sidecar.gateway import apps
from sidecar.gateway.keys import with_variable
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.resources import Deployment
from sidecar.gateway.whatif import what_if
from sidecar.words.errors import Cancelled, SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.fitting import would_fit
from sidecar.workflows.look import look
from sidecar.workflows.mount_key import failed_mount, storage_to_move_from
from sidecar.workflows.preflight import facts_of, model_bytes, remember, stop_where_it_fails
from sidecar.workflows.registration import registrations, unregistered
from sidecar.workflows.resize import resizes
from sidecar.workflows.resolve import Plan, Request

NOT_A_KEY = "what-if"
"""In place of the app's key, which is made when the app is."""


UNREGISTERED = Unread(
    Text(
        "ARM foresees nothing before the providers are registered. Of theirs nothing can be there yet: all of it is made."
    )
)


@dataclass(frozen=True)
class Survey:
    """`facts` and `checks`: None and empty where nothing is to be done, so nothing could fail. `said`: ARM's own list of
    changes, as it came; None where ARM was not asked."""

    reality: Reality
    work: Work
    registered: Mapping[str, str | Unread]
    facts: Facts | None
    checks: tuple[Check, ...]
    said: Sequence[Mapping[str, Any]] | None

    @property
    def existing(self) -> Existing:
        return self.reality.existing


def survey(
    workspace: Workspace,
    place: GroupPlace,
    plan: Plan,
    request: Request,
    journal: Journal,
    recorded: Deployment | None,
    *,
    foresee: bool,
) -> Survey:
    """`recorded`: the deployment of this name that has ended. `foresee`: ARM is asked what the deployment would change; else it
    is asked only where the template has parts that can't be looked at from here. Raises PreflightFailed for what can't work."""
    journal.step("providers", Text("Checking the resource providers…"), increment=5)
    registered = registrations(place.session, request.subscription_id)
    journal.step("look", Text("Looking at what exists in {group}…", group=plan.group.name), increment=10)
    absent = unregistered(registered)
    existing = look(place, plan.planned, plan.project, journal, absent)
    reality = _reality(workspace, place, plan, journal, recorded, existing)
    if existing.app is not None and (work := work_of(replace(reality, registers=absent))).nothing:
        refuse_foreign(existing.app, plan.project)
        refuse_unusable(plan.planned, existing)
        return Survey(reality, work, registered, None, (), None)
    reality = replace(reality, registers=absent)
    journal.step("preflight", Text("Checking whether it can work…"), increment=5)
    facts = facts_of(place, plan, request, registered, existing)
    checks = judged(facts)
    fitting = would_fit(place, facts, checks, model_bytes(facts))
    remember(workspace, request, plan, facts, checks, fitting=fitting)
    checks = (*of_template(plan.warnings), *checks)
    stop_where_it_fails(workspace, checks, journal, fitting)
    said: Sequence[Mapping[str, Any]] | None = None
    if plan.planned.opaque or (foresee and work_of(reality).deploys):
        found = UNREGISTERED if absent else _foreseen(place, plan, existing)
        said = None if isinstance(found, Unread) else found
        reality = replace(reality, foreseen=found if isinstance(found, Unread) else meant(changes_of(found)))
    return Survey(reality, work_of(reality), registered, facts, checks, said)


def _reality(
    workspace: Workspace,
    place: GroupPlace,
    plan: Plan,
    journal: Journal,
    recorded: Deployment | None,
    existing: Existing,
) -> Reality:
    app = existing.app
    config = read_config(workspace).model_dump()
    if app is not None:
        plan.mask.learn(plan.planned.app_template, app.template)
    at = None if app is None else place.app(app.name)
    return Reality(
        subscription=place.subscription_id,
        group=plan.group.name,
        template=plan.template,
        stated=plan.stated,
        planned=plan.planned,
        wanted=wanted_profile(plan.template, plan.planned, plan.stated),
        project=None if plan.fresh else plan.project,
        marked=known_project_id(workspace) is not None,
        existing=existing,
        change=None if app is None else change_of(place, plan, existing, app),
        moved=None if app is None else _moved(place, plan, existing, app),
        renewed=None if app is None or at is None else failed_mount(at, app, journal),
        resizes=resizes(place, plan, existing),
        outputs=_outputs(plan, place, existing, recorded, config),
        config=config,
        registers=(),
        foreseen=None,
        mask=plan.mask,
    )


def change_of(place: GroupPlace, plan: Plan, existing: Existing, app: apps.App) -> Change:
    kind = None if existing.environment is None else kind_of(existing.environment, app.profile)
    at = Standing(kind, app.profile, app.location)
    change = app_change(app.name, app.template, at, plan.planned.app_template or {}, plan.values)
    if change.alone:
        return change
    token, login = str(plan.values.get("hubToken") or ""), stated_login(plan.values)
    if token and (text := token_change(token, app.secret_env, apps.secrets(place.app(app.name)))) is not None:
        template = with_variable(change.template, TOKEN, TOKEN_SECRET)
        change = replace(change, template=template, texts=(*change.texts, text), secrets={TOKEN_SECRET: token})
    if not login.server:
        return change
    text = login_change(app, login, apps.secrets(place.app(app.name)) if login.password else {})
    return change if text is None else replace(change, texts=(*change.texts, text), login=login)


def _moved(place: GroupPlace, plan: Plan, existing: Existing, app: apps.App) -> tuple[str, str] | None:
    """From which storage to which the app's mount goes: only to one that stands for the same share."""
    stated = plan.values.get("acaEnvironmentStorageName")
    old = storage_to_move_from(app, stated)
    if old is None or ENVIRONMENT_STORAGE not in plan.planned.names:
        return None
    names = plan.planned.names
    new = existing.environment_storage or apps.Mounted(names.get(ACCOUNT, ""), names.get(SHARE, "").rpartition("/")[2])
    return (old, str(stated)) if apps.environment_storage(place, app.environment, old) == new else None


def _outputs(
    plan: Plan, place: GroupPlace, existing: Existing, recorded: Deployment | None, config: Mapping[str, str | None]
) -> Mapping[str, str] | None:
    app, names = existing.app, plan.planned.names
    if app is None or names.get(APP, "").lower() != app.name.lower():
        return None
    expected = {
        "SUBSCRIPTION_ID": place.subscription_id,
        "RESOURCE_GROUP_NAME": plan.group.name,
        "STORAGE_ACCOUNT_NAME": names.get(ACCOUNT),
        "FILE_SHARE_NAME": names.get(SHARE, "").rpartition("/")[2],
        "ACA_APP_NAME": app.name,
        "ACA_APP_ENDPOINT": app.fqdn,
    }
    told = recorded.outputs if recorded is not None and recorded.state == "Succeeded" else None
    known = None if told is None else {key.upper(): value for key, value in told.items()}
    return outputs_of(
        known,
        {key: config.get(key) for key in CONFIG_KEYS},
        {key: value for key, value in expected.items() if value},
    )


def _foreseen(place: GroupPlace, plan: Plan, existing: Existing) -> list[dict[str, Any]] | Unread:
    template, parameters = to_send(plan, existing, Keys(NOT_A_KEY, NOT_A_KEY))
    try:
        return what_if(place, plan.name, template, parameters)
    except Cancelled:
        raise
    except SlipwayError as error:
        return Unread(error.message)


def to_send(plan: Plan, existing: Existing, keys: Keys) -> tuple[Template, Parameters]:
    """The deployment's template and parameters: what exists is referred to, never written. `keys`: the app's own, where it is
    made."""
    wanted = wanted_profile(plan.template, plan.planned, plan.stated)
    ours = decisions(plan.template, plan.planned, existing, wanted, plan.project, keys)
    complete = merge_parameters(plan.template, plan.all_values, ours)
    return referring(plan.template, to_refer_to(plan.planned, existing)), complete
