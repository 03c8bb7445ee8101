"""Workflow *Provision*: resolve, compile, look at what exists, deploy, write infra/inference.config.json."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sidecar.armlang.deployment import (
    GroupFacts,
    Planned,
    Template,
    deployment_name,
    has_parameter,
    merge_parameters,
    plan_names,
)
from sidecar.core.journal import Journal
from sidecar.core.template import load_template
from sidecar.core.workspace import Workspace, project_id, read_finetuning, read_parameters, write_config
from sidecar.gateway import apps, resources
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session, portal_link
from sidecar.words.errors import Cancelled, CloudError, Conflict, ConsentNeeded, SlipwayError
from sidecar.words.text import Text

PROVIDERS = ("Microsoft.App", "Microsoft.Storage", "Microsoft.OperationalInsights")
REGISTRATION_SECONDS = 300
DEPLOYMENT_SECONDS = 3600
POLL_SECONDS = 1.0
GPU_CONSENT = "gpu-profile"
PROFILE_TYPE = "gpuProfileType"
PROFILE_NAME = "gpuProfileName"
DEFAULT_PROFILE_NAME = "gpu-inference"
"""The template's default, for a profile that is added to an environment which exists."""


@dataclass(frozen=True)
class Request:
    subscription_id: str
    tenant_id: str
    resource_group: str
    consents: tuple[str, ...]
    environ: dict[str, str]


@dataclass(frozen=True)
class Result:
    endpoint: str
    url: str
    portal_url: str | None
    config_path: Path
    deployment: str


@dataclass(frozen=True)
class Existing:
    """What the template would name and what of it is there already. Existing things are never rewritten."""

    storage: bool
    share: bool
    environment: apps.Environment | None
    environment_storage: bool
    app: apps.App | None


def provision(workspace: Workspace, session: Session, request: Request, journal: Journal) -> Result:
    """The whole of *Provision*; every line is a step, every step can be repeated."""
    journal.step("resolve", Text("Reading the project…"), increment=5)
    compiled = load_template(workspace.bicep_file, workspace.template_file, request.environ)
    parameters = read_parameters(workspace)
    journal.log(compiled.how)
    for note in (*parameters.notes, *differences(workspace, request)):
        journal.log(note, "warning")
    group = resources.group(session, request.subscription_id, request.resource_group)

    journal.step("providers", Text("Checking the resource providers…"), increment=5)
    register_providers(session, request.subscription_id, journal)

    facts = GroupFacts(request.subscription_id, request.tenant_id, group.name, group.id, group.location)
    stated = merge_parameters(compiled.template, parameters.values, {})
    planned = plan_names(compiled.template, stated, facts)
    name = deployment_name(compiled.template, stated, group.id)
    portal = portal_link(session, group.id, name)
    place = GroupPlace(session, request.subscription_id, group.name)

    running = resources.find_deployment(place, name)
    if running is None or running.finished:
        journal.step("look", Text("Looking at what exists in {group}…", group=group.name), increment=10)
        existing = look(place, planned)
        refuse_foreign(existing, planned, workspace)
        prepare_environment(place, request.consents, planned, existing, stated, journal)
        ours = decisions(compiled.template, existing, stated, project_id(workspace), secrets.token_urlsafe(32))
        complete = merge_parameters(compiled.template, parameters.values, ours)
        journal.step("deploy", Text("Starting the deployment {name}…", name=name), increment=10, deployment=name)
        resources.start_deployment(place, name, compiled.template, complete)
        if existing.app is not None:
            update_app(place, planned, parameters.values, journal)
    else:
        journal.step(
            "adopt", Text("The deployment {name} is under way already: following it…", name=name), deployment=name
        )
    if portal is not None:
        journal.log(Text("Follow the deployment in the portal: {url}", url=portal))

    outcome = follow(place, name, journal)
    journal.step("write", Text("Writing infra/inference.config.json…"), increment=5)
    write_config(workspace, outcome.outputs)
    endpoint = next(value for key, value in outcome.outputs.items() if key.upper() == "ACA_APP_ENDPOINT")
    journal.log(Text("The inference endpoint is available at {url}", url=session.url(endpoint)))
    journal.log(Text("It answers after the first deploy: run AI Toolkit: Deploy for inference."))
    journal.done(deployment=name)
    return Result(endpoint, session.url(endpoint), portal, workspace.config_file, name)


def differences(workspace: Workspace, request: Request) -> list[Text]:
    """Warnings where the choice differs from fine-tuning's: its share and model would not be found."""
    known = read_finetuning(workspace)
    pairs = (
        ("subscription", known.SUBSCRIPTION_ID, request.subscription_id),
        ("resource group", known.RESOURCE_GROUP_NAME, request.resource_group),
    )
    return [
        Text(
            "Fine-tuning used the {what} {theirs}, this is {ours}: its models are not on this share.",
            what=what,
            theirs=theirs,
            ours=ours,
        )
        for what, theirs, ours in pairs
        if theirs and theirs.lower() != ours.lower()
    ]


def register_providers(session: Session, subscription_id: str, journal: Journal) -> None:
    for namespace in PROVIDERS:
        if resources.provider_state(session, subscription_id, namespace) == "Registered":
            continue
        journal.progress(Text("Registering {namespace} in the subscription…", namespace=namespace))
        resources.register_provider(session, subscription_id, namespace)
        waited = 0.0
        while resources.provider_state(session, subscription_id, namespace) != "Registered":
            if waited > REGISTRATION_SECONDS:
                raise CloudError(
                    Text(
                        "{namespace} is still not registered after {seconds} s.",
                        namespace=namespace,
                        seconds=REGISTRATION_SECONDS,
                    ),
                    Text("Run Provision again in a few minutes, or register it in the portal."),
                    code="MissingSubscriptionRegistration",
                )
            journal.wait(POLL_SECONDS)
            waited += POLL_SECONDS


def look(place: GroupPlace, planned: Planned) -> Existing:
    """Asks for each resource that the template names, whether it is there."""
    names = planned.names
    account = names.get("microsoft.storage/storageaccounts", "")
    share = names.get("microsoft.storage/storageaccounts/fileservices/shares", "").rpartition("/")[2]
    environment_name = names.get("microsoft.app/managedenvironments", "")
    storage_name = names.get("microsoft.app/managedenvironments/storages", "").rpartition("/")[2]
    app_name = names.get("microsoft.app/containerapps", "")
    storage = bool(account) and resources.storage_exists(place, account)
    environment = apps.environment(place, environment_name) if environment_name else None
    return Existing(
        storage=storage,
        share=storage and bool(share) and resources.share_exists(place, account, share),
        environment=environment,
        environment_storage=environment is not None
        and bool(storage_name)
        and apps.storage_exists(place, environment_name, storage_name),
        app=apps.find_app(place.app(app_name)) if app_name else None,
    )


def refuse_foreign(existing: Existing, planned: Planned, workspace: Workspace) -> None:
    """Another project's app under this name is nobody's to overwrite."""
    owner = existing.app.tags.get(apps.PROJECT_TAG) if existing.app is not None else None
    if owner and owner != project_id(workspace):
        raise Conflict(
            Text(
                "The container app {name} belongs to another project.",
                name=planned.names["microsoft.app/containerapps"],
            ),
            Text("Give this project's app a name of its own: acaAppName in infra/provision/inference.parameters.json."),
            code="AppOfAnotherProject",
        )


def prepare_environment(
    place: GroupPlace,
    consents: tuple[str, ...],
    planned: Planned,
    existing: Existing,
    stated: dict[str, dict[str, object]],
    journal: Journal,
) -> None:
    """An existing environment without the GPU profile gets it by PATCH after consent; a dedicated one can't be added."""
    environment = existing.environment
    if environment is None or existing.app is not None or profile_in(environment, stated) is not None:
        return
    kind = profile_type(stated)
    name = planned.names["microsoft.app/managedenvironments"]
    added = profile_name(stated) or DEFAULT_PROFILE_NAME
    taken = next((each for each in environment.profiles if str(each.get("name", "")).lower() == added.lower()), None)
    if taken is not None:
        raise CloudError(
            Text(
                "The environment {name} has a profile {profile} already, of the type {type} instead of {wanted}.",
                name=name,
                profile=added,
                type=taken.get("workloadProfileType"),
                wanted=kind,
            ),
            Text("State another name in gpuProfileName, or that type in gpuProfileType."),
            code="ProfileNameTaken",
        )
    if "Consumption" not in kind:
        raise CloudError(
            Text(
                "The environment {name} has no {type} profile, and a dedicated GPU profile can't be added later.",
                name=name,
                type=kind,
            ),
            Text("Choose a serverless GPU in gpuProfileType, or a new environment in acaEnvironmentName."),
            code="DedicatedProfileMissing",
        )
    if GPU_CONSENT not in consents:
        raise ConsentNeeded(
            GPU_CONSENT,
            Text(
                "The existing environment {name} has no {type} profile yet. It will be added; nothing else changes.",
                name=name,
                type=kind,
            ),
            Text("Agree, or name another environment in acaEnvironmentName."),
        )
    journal.step("profile", Text("Adding the GPU profile to {name}…", name=name), environment=name)
    profile = {"name": added, "workloadProfileType": kind}
    apps.add_profile(place, name, environment, profile)


def profile_type(stated: dict[str, dict[str, object]]) -> str:
    return str(stated.get(PROFILE_TYPE, {}).get("value", "Consumption-GPU-NC8as-T4"))


def profile_name(stated: dict[str, dict[str, object]]) -> str | None:
    """The profile's name where the parameters state one."""
    given = stated.get(PROFILE_NAME, {}).get("value")
    return None if given is None else str(given)


def profile_in(environment: apps.Environment, stated: dict[str, dict[str, object]]) -> str | None:
    """The name of the environment's profile of the wanted type (and of the stated name, where one is), if it has one."""
    wanted, named = profile_type(stated).lower(), profile_name(stated)
    for profile in environment.profiles:
        name = str(profile.get("name"))
        fits = str(profile.get("workloadProfileType", "")).lower() == wanted
        if fits and (named is None or name.lower() == named.lower()):
            return name
    return None


def decisions(
    template: Template, existing: Existing, stated: dict[str, dict[str, object]], project: str, key: str
) -> dict[str, object]:
    """What Slipway itself sets of the template's parameters: what to create, whose project it is, the app's key."""
    ours: dict[str, object] = {
        "createStorageAccount": not existing.storage,
        "createFileShare": not existing.share,
        "createEnvironment": existing.environment is None,
        "createEnvironmentStorage": not existing.environment_storage,
        "createApp": existing.app is None,
        "projectId": project,
        "apiKey": key,
    }
    if existing.environment is not None:
        ours["location"] = existing.environment.location
        known = profile_in(existing.environment, stated)
        if known is not None and existing.app is None:
            ours["gpuProfileName"] = known
    return {name: value for name, value in ours.items() if has_parameter(template, name)}


def update_app(around: GroupPlace, planned: Planned, stated: dict[str, object], journal: Journal) -> None:
    """Changes of an existing app what the parameters state and it differs in, by PATCH; nothing else."""
    place = around.app(planned.names["microsoft.app/containerapps"])
    actual = apps.template_of(place)
    changed, texts = app_changes(actual, planned.app_template or {}, stated)
    if not texts:
        journal.log(Text("The container app {name} exists and is as the parameters state it.", name=place.name))
        return
    for text in texts:
        journal.log(text)
    journal.step("update", Text("Updating the container app {name}…", name=place.name), app=place.name)
    apps.update_template(place, changed)


def app_changes(
    actual: dict[str, Any], wanted: dict[str, Any], stated: dict[str, object]
) -> tuple[dict[str, Any], list[Text]]:
    """The app's template with what is stated and differs put in, and a sentence for each change."""
    containers = [dict(each) for each in cast("list[dict[str, Any]]", actual.get("containers") or [])]
    ours = cast("list[dict[str, Any]]", wanted.get("containers") or [])
    scale = dict(cast("dict[str, Any]", actual.get("scale") or {}))
    texts: list[Text] = []
    if containers and ours:
        first = containers[0]
        if "defaultCommands" in stated and list(first.get("args") or []) != list(ours[0].get("args") or []):
            first["args"] = ours[0]["args"]
            first["command"] = ours[0]["command"]
            texts.append(Text("The start commands change to what defaultCommands states."))
        if "image" in stated and first.get("image") != ours[0].get("image"):
            first["image"] = ours[0]["image"]
            texts.append(Text("The image changes to {image}.", image=first["image"]))
    wanted_scale = cast("dict[str, Any]", wanted.get("scale") or {})
    for name, key in (("maximumInstanceCount", "maxReplicas"), ("cooldownSeconds", "cooldownPeriod")):
        if name in stated and scale.get(key) != wanted_scale.get(key):
            texts.append(
                Text("{key} changes from {old} to {new}.", key=key, old=scale.get(key), new=wanted_scale.get(key))
            )
            scale[key] = wanted_scale[key]
    return {**actual, "containers": containers, "scale": scale}, texts


def follow(place: GroupPlace, name: str, journal: Journal) -> resources.Deployment:
    """Shows what is being made until the deployment ends. Cancelling cancels it in the cloud too, and says what came of it."""
    seen: dict[tuple[str, str], str] = {}
    deadline = time.monotonic() + DEPLOYMENT_SECONDS
    try:
        while True:
            outcome = resources.deployment(place, name)
            operations = resources.deployment_operations(place, name)
            for each in operations:
                if seen.get((each.resource_type, each.name)) != each.state:
                    seen[(each.resource_type, each.name)] = each.state
                    text = Text("{type} {name}: {state}", type=each.resource_type, name=each.name, state=each.state)
                    journal.progress(text)
                    journal.log(text)
            if outcome.finished:
                break
            if time.monotonic() > deadline:
                raise CloudError(
                    Text(
                        "The deployment {name} has not ended after {minutes} minutes.",
                        name=name,
                        minutes=DEPLOYMENT_SECONDS // 60,
                    ),
                    Text("Run Provision again to follow it, or cancel it in the portal."),
                    code="DeploymentTimeout",
                )
            journal.wait(POLL_SECONDS)
    except Cancelled as cancelled:
        raise cancelled_outcome(place, name) from cancelled
    if outcome.state != "Succeeded":
        error = resources.failure_of(operations, outcome)
        journal.failed(error.code)
        raise error
    return outcome


def cancelled_outcome(place: GroupPlace, name: str) -> SlipwayError:
    """Asks the cloud to cancel, and tells honestly which outcome it was."""
    try:
        resources.cancel_deployment(place, name)
    except CloudError as error:
        current = resources.deployment(place, name)
        if current.state == "Succeeded":
            return Cancelled(
                Text("The deployment {name} had already succeeded when it was cancelled.", name=name),
                Text("Run Provision again to write the configuration."),
            )
        return Cancelled(
            Text(
                "The deployment {name} could not be cancelled ({problem}); it is still {state}.",
                name=name,
                problem=error,
                state=current.state,
            ),
            Text("Run Provision again to follow it."),
        )
    operations = resources.deployment_operations(place, name)
    made = ", ".join(each.name for each in operations if each.state == "Succeeded") or "–"
    return Cancelled(
        Text("The deployment {name} was cancelled. Already made: {made}.", name=name, made=made),
        Text("Run Provision again to complete it; what exists is kept."),
    )
