"""Workflow *Provision*: resolve, compile, look at what exists, deploy, write infra/inference.config.json."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar.core.deployment import Planned
from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, keep_made, keep_project_id, write_config
from sidecar.decisions.app_changes import Change
from sidecar.decisions.plan import Work, needs_again, summary
from sidecar.decisions.profiles import Wanted, kind_of, missing_profile, profile_in
from sidecar.decisions.provisioning import (
    APP,
    ENVIRONMENT,
    Existing,
    Keys,
    refuse_foreign,
)
from sidecar.decisions.registries import PASSWORD_SECRET
from sidecar.gateway import apps, resources
from sidecar.gateway.keys import write_secrets
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.removal import made_by
from sidecar.gateway.session import Session, portal_link
from sidecar.words.errors import Cancelled, CloudError, Conflict, ConsentNeeded
from sidecar.words.text import Text
from sidecar.workflows.follow import await_others, cancelled_outcome, follow, start
from sidecar.workflows.look import look
from sidecar.workflows.mount_key import mount_by, renew_key
from sidecar.workflows.planning import refuse_changed
from sidecar.workflows.preflight import checked, stop_where_it_fails
from sidecar.workflows.registration import MISSING, register_providers, registrations
from sidecar.workflows.resize import resize
from sidecar.workflows.resolve import Plan, Request, resolve
from sidecar.workflows.survey import Survey, change_of, survey, to_send

GPU_CONSENT = "gpu-profile"
RISK_CONSENT = "what-if-deletes"


@dataclass(frozen=True)
class Result:
    endpoint: str
    url: str
    portal_url: str | None
    config_path: Path
    deployment: str
    """Empty where none was needed."""
    nothing: bool
    """Everything was as it is stated already."""


def provision(
    workspace: Workspace,
    session: Session,
    request: Request,
    journal: Journal,
    agreed: str | None = None,
    *,
    begins: bool = True,
) -> Result:
    """The whole of *Provision*; every line is a step, every step can be repeated. `agreed`: the digest of the plan that a
    person said yes to; where reality has another one by now, nothing is changed. `begins` False: what is under way already is
    followed to its end, and nothing else is begun."""
    journal.step("resolve", Text("Reading the project…"), increment=5)
    plan = resolve(workspace, session, request, journal)
    place = GroupPlace(session, request.subscription_id, plan.group.name)
    recorded = resources.find_deployment(place, plan.name)
    if recorded is not None and not recorded.finished:
        refuse_another(recorded, agreed)
        journal.step(
            "adopt",
            Text("The deployment {name} is under way already: following it…", name=plan.name),
            deployment=plan.name,
        )
        return followed(workspace, place, plan, journal, adopted=True)
    if not begins:
        raise Conflict(
            Text("The deployment that was under way has ended. Nothing else was begun."),
            Text("Run Provision again: its plan says what is left to do."),
            code="DeploymentEnded",
        )
    await_others(place, journal)
    seen = survey(workspace, place, plan, request, journal, recorded, foresee=agreed is not None)
    if agreed is not None:
        refuse_changed(place, plan, seen, agreed)
        request = replace(request, consents=(*request.consents, GPU_CONSENT))  # the plan has told of it
    refuse_unagreed(seen.work, request.consents)
    if not seen.work.nothing:
        seen = registered(workspace, place, plan, request, seen, journal)
        begin(workspace, place, plan, seen, request.consents, journal, recorded=recorded, agreed=agreed)
    if seen.work.deploys:
        return followed(workspace, place, plan, journal)
    return settled(workspace, place, plan, seen, journal)


def refuse_another(running: resources.Deployment, agreed: str | None) -> None:
    """Somebody said yes to one plan; a deployment that carries out another one, of the same files, is not what they agreed to."""
    if agreed is None or running.tags.plan == agreed:
        return
    raise Conflict(
        Text("The deployment {name} is under way by another plan. Nothing was changed.", name=running.name),
        Text("Run Provision to follow it, or plan again when it has ended."),
        code="DeploymentUnderWay",
    )


def registered(
    workspace: Workspace, place: GroupPlace, plan: Plan, request: Request, seen: Survey, journal: Journal
) -> Survey:
    """With the providers registered. What could not be verified before may be now: it is checked again."""
    if not seen.work.registers:
        return seen
    register_providers(place.session, request.subscription_id, journal, seen.work.registers)
    if any(each.verdict == "UNVERIFIED" for each in seen.checks):
        again = registrations(place.session, request.subscription_id)
        stop_where_it_fails(workspace, checked(place, plan, request, again, seen.existing), journal)
    return seen


def refuse_unagreed(work: Work, consents: Collection[str]) -> None:
    """What ARM says would be deleted, or can't change, wants a yes of its own."""
    if work.risks and RISK_CONSENT not in consents:
        raise ConsentNeeded(
            RISK_CONSENT,
            Text(
                "By ARM's own word this deployment deletes, or changes what can't change: {what}.",
                what="; ".join(work.risks),
            ),
            Text(
                "Agree only if that is meant. Else correct the template: what it leaves out of a resource is taken away."
            ),
        )


def begin(
    workspace: Workspace,
    place: GroupPlace,
    plan: Plan,
    seen: Survey,
    consents: Collection[str],
    journal: Journal,
    *,
    recorded: resources.Deployment | None,
    agreed: str | None,
) -> None:
    """Starts the deployment, if there is one to be, and changes the app that exists. Nothing is written before."""
    existing, name = seen.existing, plan.name
    prepare_environment(place, consents, plan.planned, existing, seen.reality.wanted, journal)
    resize(place, existing, seen.reality.resizes, journal)
    keep_project_id(workspace, plan.project)
    if seen.work.deploys:
        if recorded is not None:  # the next deployment of this name replaces its record
            keep_made(workspace, made_by(place, plan.project))
        tags = resources.Tags(project=plan.project, plan=agreed or "")
        template, complete = to_send(plan, existing, Keys(secrets.token_urlsafe(32), secrets.token_urlsafe(32)))
        for each in plan.planned.opaque:
            journal.log(
                Text(
                    "{resource} of the template is deployed as it is stated, over what may exist under its names.",
                    resource=each,
                ),
                "warning",
            )
        journal.step("deploy", Text("Starting the deployment {name}…", name=name), increment=10, deployment=name)
        try:
            start(place, name, template, complete, tags, journal)
        except CloudError as error:
            if error.code != MISSING:
                raise
            register_providers(place.session, place.subscription_id, journal)
            start(place, name, template, complete, tags, journal)
    try:
        if existing.app is not None:
            if seen.reality.renewed is not None:
                renew_key(place.app(existing.app.name), existing.app, seen.reality.renewed, journal)
            update_app(place, existing.app, seen.reality.change, seen.work.remade, journal)
    except Cancelled as cancelled:
        if not seen.work.deploys:
            raise
        journal.log(cancelled.message)
        raise cancelled_outcome(place.after_cancel(), name) from cancelled


def followed(workspace: Workspace, place: GroupPlace, plan: Plan, journal: Journal, *, adopted: bool = False) -> Result:
    """The deployment to its end, and what it made into the configuration. `adopted`: another run began it, which had still to
    change an app that existed: what its parameters state is not in a deployment."""
    name, planned = plan.name, plan.planned
    portal = portal_link(place.session, plan.group.id, name)
    if portal is not None:
        journal.log(Text("Follow the deployment in the portal: {url}", url=portal))
    outcome = follow(place, name, journal)
    if adopted and (found := look(place, planned, plan.project, journal)).app is not None:
        change = change_of(place, plan, found, found.app)
        update_app(place, found.app, change, needs_again(found.app, change), journal)
    refuse_foreign(apps.find_app(place.app(planned.names[APP])) if APP in planned.names else None, plan.project)
    if APP in planned.names and (storage := plan.values.get("acaEnvironmentStorageName")):
        mount_by(place.app(planned.names[APP]), str(storage), journal)
    return written(workspace, place, plan, outcome.outputs, journal, deployment=name)


def settled(workspace: Workspace, place: GroupPlace, plan: Plan, seen: Survey, journal: Journal) -> Result:
    """Where no deployment was to be: what is there is known already."""
    app, reality = seen.existing.app, seen.reality
    if app is not None and seen.work.nothing:
        tell(app, reality.change, seen.work.remade, journal)
        journal.log(summary(seen.work))
    if app is not None and reality.moved is not None:
        mount_by(place.app(app.name), reality.moved[1], journal)
    outputs = dict(reality.outputs or {})
    if seen.work.files:
        return written(workspace, place, plan, outputs, journal)
    return ended(workspace, place, plan, outputs, journal, nothing=seen.work.nothing)


def written(
    workspace: Workspace,
    place: GroupPlace,
    plan: Plan,
    outputs: dict[str, str],
    journal: Journal,
    *,
    deployment: str = "",
) -> Result:
    journal.step("write", Text("Writing infra/inference.config.json…"), increment=5)
    write_config(workspace, outputs)
    return ended(workspace, place, plan, outputs, journal, deployment=deployment)


def ended(
    workspace: Workspace,
    place: GroupPlace,
    plan: Plan,
    outputs: dict[str, str],
    journal: Journal,
    *,
    deployment: str = "",
    nothing: bool = False,
) -> Result:
    endpoint = next(value for key, value in outputs.items() if key.upper() == "ACA_APP_ENDPOINT")
    url = place.session.url(endpoint)
    journal.log(Text("The inference endpoint is available at {url}", url=url))
    if not nothing:
        journal.log(Text("It answers after the first deploy: run AI Toolkit: Deploy for inference."))
    journal.done(deployment=deployment)
    portal = portal_link(place.session, plan.group.id, deployment) if deployment else None
    return Result(endpoint, url, portal, workspace.config_file, deployment, nothing)


def prepare_environment(
    place: GroupPlace,
    consents: Collection[str],
    planned: Planned,
    existing: Existing,
    wanted: Wanted | None,
    journal: Journal,
) -> None:
    """An existing environment without the GPU profile gets it by PATCH after consent; a dedicated one can't be added."""
    environment = existing.environment
    if environment is None or existing.app is not None or wanted is None:
        return
    name = planned.names[ENVIRONMENT]
    known = profile_in(environment, wanted)
    if known is not None:
        kind = kind_of(environment, known)
        if wanted.kind is not None and kind != wanted.kind:
            journal.log(
                Text(
                    "The profile {profile} of {name} is of the type {type}; the template states {wanted}. It is used as it is.",
                    profile=known,
                    name=name,
                    type=kind,
                    wanted=wanted.kind,
                ),
                "warning",
            )
        return
    profile = missing_profile(environment, wanted, name)
    if GPU_CONSENT not in consents:
        raise ConsentNeeded(
            GPU_CONSENT,
            Text(
                "The existing environment {name} has no {type} profile yet. It will be added; nothing else changes.",
                name=name,
                type=wanted.kind,
            ),
            Text("Agree, or name another environment in acaEnvironmentName."),
        )
    journal.step("profile", Text("Adding the GPU profile to {name}…", name=name), environment=name)
    apps.add_profile(place, name, environment, profile)


def update_app(around: GroupPlace, app: apps.App, change: Change | None, again: bool, journal: Journal) -> None:
    """Changes of an existing app what the parameters state and it differs in, by PATCH; nothing else. `again`: its last change
    failed."""
    place = around.app(app.name)
    tell(app, change, again, journal)
    if change is not None and (change.texts or again):
        journal.step("update", Text("Updating the container app {name}…", name=place.name), app=place.name)
        login, secrets = change.login, dict(change.secrets)
        if login is not None and not login.identity:
            secrets[PASSWORD_SECRET] = login.password
        if login is None and not secrets:
            apps.update_template(place, change.template)
        else:  # together: what is new asks for the new image, or the hub, with it
            write_secrets(place, secrets, change.template, None if login is None else login.login)


def tell(app: apps.App, change: Change | None, again: bool, journal: Journal) -> None:
    """What of an existing app is changed, what only differs, and that it is as it should be."""
    if change is None:
        return
    for note in change.notes:
        journal.log(note, "warning")
    for text in change.texts:
        journal.log(text)
    if again:
        journal.log(
            Text("The last change of {name} ended as {state}: it is made once more.", name=app.name, state=app.state)
        )
    elif not change.texts and not change.notes:
        journal.log(Text("The container app {name} exists and is as the parameters state it.", name=app.name))
