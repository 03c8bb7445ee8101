"""Workflow *Provision*: resolve, compile, look at what exists, deploy, write infra/inference.config.json."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from sidecar.armlang.deployment import Planned, merge_parameters, referring
from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, keep_made, keep_project_id, write_config
from sidecar.decisions.app_changes import app_change
from sidecar.decisions.profiles import Wanted, kind_of, missing_profile, profile_in, wanted_profile
from sidecar.decisions.provisioning import (
    APP,
    ENVIRONMENT,
    FAILED,
    Existing,
    decisions,
    refuse_foreign,
    to_refer_to,
)
from sidecar.gateway import apps, resources
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.removal import made_by
from sidecar.gateway.session import Session, portal_link
from sidecar.words.errors import CloudError, ConsentNeeded
from sidecar.words.text import Text
from sidecar.workflows.follow import await_others, follow, start
from sidecar.workflows.look import look
from sidecar.workflows.mount_key import mount_by, renew_failed_key
from sidecar.workflows.preflight import checked, stop_where_it_fails
from sidecar.workflows.registration import MISSING, register_providers, registrations, unregistered
from sidecar.workflows.resolve import Plan, Request, resolve

GPU_CONSENT = "gpu-profile"


@dataclass(frozen=True)
class Result:
    endpoint: str
    url: str
    portal_url: str | None
    config_path: Path
    deployment: str


def provision(workspace: Workspace, session: Session, request: Request, journal: Journal) -> Result:
    """The whole of *Provision*; every line is a step, every step can be repeated."""
    journal.step("resolve", Text("Reading the project…"), increment=5)
    plan = resolve(workspace, session, request, journal)
    group, planned, project, name = plan.group, plan.planned, plan.project, plan.name
    place = GroupPlace(session, request.subscription_id, group.name)

    journal.step("providers", Text("Checking the resource providers…"), increment=5)
    registered = registrations(session, request.subscription_id)
    if missing := unregistered(registered):
        stop_where_it_fails(workspace, checked(place, plan, request, registered), journal)
        register_providers(session, request.subscription_id, journal, missing)
        registered = registrations(session, request.subscription_id)
    portal = portal_link(session, group.id, name)

    running = resources.find_deployment(place, name)
    if running is None or running.finished:
        journal.step("look", Text("Looking at what exists in {group}…", group=group.name), increment=10)
        await_others(place, journal)
        if running is not None:  # the next deployment of this name replaces its record
            keep_made(workspace, made_by(place, project))
        existing = look(place, planned, project, journal)
        journal.step("preflight", Text("Checking whether it can work…"), increment=5)
        stop_where_it_fails(workspace, checked(place, plan, request, registered, existing), journal)
        begin(workspace, place, plan, existing, request, name=name, journal=journal)
    else:
        journal.step(
            "adopt", Text("The deployment {name} is under way already: following it…", name=name), deployment=name
        )
    if portal is not None:
        journal.log(Text("Follow the deployment in the portal: {url}", url=portal))

    outcome = follow(place, name, journal)
    if running is not None and not running.finished:
        # Whoever began it had still to change an app that existed: what its parameters state is not in a deployment.
        existing = look(place, planned, project, journal)
        if existing.app is not None:
            update_app(place, existing.app, plan, existing, journal)
    refuse_foreign(apps.find_app(place.app(planned.names[APP])) if APP in planned.names else None, project)
    if APP in planned.names and (storage := plan.values.get("acaEnvironmentStorageName")):
        mount_by(place.app(planned.names[APP]), str(storage), journal)
    journal.step("write", Text("Writing infra/inference.config.json…"), increment=5)
    write_config(workspace, outcome.outputs)
    endpoint = next(value for key, value in outcome.outputs.items() if key.upper() == "ACA_APP_ENDPOINT")
    journal.log(Text("The inference endpoint is available at {url}", url=session.url(endpoint)))
    journal.log(Text("It answers after the first deploy: run AI Toolkit: Deploy for inference."))
    journal.done(deployment=name)
    return Result(endpoint, session.url(endpoint), portal, workspace.config_file, name)


def begin(
    workspace: Workspace,
    place: GroupPlace,
    plan: Plan,
    existing: Existing,
    request: Request,
    *,
    name: str,
    journal: Journal,
) -> None:
    """Starts the deployment and changes the app that exists. Nothing is written before."""
    wanted = wanted_profile(plan.template, plan.planned, plan.stated)
    prepare_environment(place, request.consents, plan.planned, existing, wanted, journal)
    keep_project_id(workspace, plan.project)
    ours = decisions(plan.template, plan.planned, existing, wanted, plan.project, secrets.token_urlsafe(32))
    complete = merge_parameters(plan.template, plan.values, ours)
    template = referring(plan.template, to_refer_to(plan.planned, existing))
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
        start(place, name, template, complete, journal)
    except CloudError as error:
        if error.code != MISSING:
            raise
        register_providers(place.session, request.subscription_id, journal)
        start(place, name, template, complete, journal)
    if existing.app is not None:
        renew_failed_key(place.app(existing.app.name), existing.app, journal)
        update_app(place, existing.app, plan, existing, journal)


def prepare_environment(
    place: GroupPlace,
    consents: tuple[str, ...],
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


def update_app(around: GroupPlace, app: apps.App, plan: Plan, existing: Existing, journal: Journal) -> None:
    """Changes of an existing app what the parameters state and it differs in, by PATCH; nothing else."""
    place = around.app(app.name)
    kind = None if existing.environment is None else kind_of(existing.environment, app.profile)
    change = app_change(app.name, apps.template_of(place), kind, plan.planned.app_template or {}, plan.values)
    for note in change.notes:
        journal.log(note, "warning")
    for text in change.texts:
        journal.log(text)
    failed = app.state in FAILED and not change.alone
    if failed:
        journal.log(
            Text("The last change of {name} ended as {state}: it is made once more.", name=app.name, state=app.state)
        )
    if change.texts or failed:
        journal.step("update", Text("Updating the container app {name}…", name=place.name), app=place.name)
        apps.update_template(place, change.template)
    elif not change.notes:
        journal.log(Text("The container app {name} exists and is as the parameters state it.", name=place.name))
