"""What both doors offer: each request of the wire as a function of its parameters and a context."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sidecar.core.choice import Choice, keep_choice, kept_choice, project_key
from sidecar.core.journal import Journal
from sidecar.core.parameters import SEVERAL, read_parameters
from sidecar.core.workspace import Workspace, open_workspace, read_config, read_finetuning
from sidecar.decisions.excerpt import Line, since
from sidecar.decisions.interruption import OVERTAKES
from sidecar.gateway import resources
from sidecar.gateway.session import Session, cloud_of, clouds_of, open_session, prepare, signs_in_by_itself
from sidecar.gateway.tenants import Listed, subscriptions_of_all
from sidecar.wire import protocol as wire
from sidecar.words.errors import NotSignedIn, SlipwayError
from sidecar.words.names import OPERATIONS, CloudName, DefaultsOrigin, OperationKind
from sidecar.workflows.answers import (
    deployed,
    generation,
    preflighted,
    shown_diagnosis,
    shown_plan,
    shown_preview,
    shown_status,
    target_shown,
    where_shown,
)
from sidecar.workflows.cancelling import Where, facts_of
from sidecar.workflows.context import Context, masked, opened, session_for, silent, without
from sidecar.workflows.deploy import PATIENCE, deploy, roll_back
from sidecar.workflows.diagnose import why_not_ready
from sidecar.workflows.history import releases
from sidecar.workflows.interrupted import forget, interrupted, note_of
from sidecar.workflows.logs import Wanted, logs
from sidecar.workflows.observe import NOT_PROVISIONED, api_key, link, status
from sidecar.workflows.planning import plan
from sidecar.workflows.preflight import preflight_with_fitting
from sidecar.workflows.preview import preview
from sidecar.workflows.project_files import ci_init_action, files_of, init, update_files_action
from sidecar.workflows.provision import provision
from sidecar.workflows.regions import locations
from sidecar.workflows.resolve import Request
from sidecar.workflows.restart import Patience

T = TypeVar("T")


def subscriptions(params: wire.CloudParams, context: Context) -> wire.Subscriptions:
    """`auto`: the local cloud's, and Azure's where the person is signed in already; a cloud that fails is a problem listed."""
    found: list[wire.Subscription] = []
    problems: list[wire.Sentence] = []
    signed_out: list[wire.Tenant] = []
    for cloud in clouds_of(params.cloud):
        try:
            listed = _subscriptions(cloud, context)
        except NotSignedIn as error:
            if params.cloud != "auto":
                raise
            problems += [wire.sentence(error.message)] if signs_in_by_itself(cloud) else []
        except SlipwayError as error:
            if params.cloud != "auto":
                raise
            problems.append(wire.sentence(error.message))
        else:
            found += [
                wire.Subscription(id=each.id, name=each.name, tenant_id=each.tenant_id, cloud=cloud)
                for each in listed.subscriptions
            ]
            problems += [wire.sentence(each.message) for each in listed.problems]
            signed_out += [wire.Tenant(tenant_id=tenant, name=name, cloud=cloud) for tenant, name in listed.signed_out]
    return wire.Subscriptions(subscriptions=found, problems=problems, signed_out=signed_out)


def _subscriptions(cloud: CloudName, context: Context) -> Listed:
    settings, patience = context.settings, context.patience
    home = open_session(settings, cloud, patience=patience)
    if home.has_one_tenant or settings.tenant is not None:
        return Listed(resources.subscriptions(home))
    return subscriptions_of_all(home, lambda tenant: open_session(settings, cloud, tenant, patience, silent=True))


def resource_groups(params: wire.SubscriptionParams, context: Context) -> wire.ResourceGroups:
    session = _session(params.cloud, params.subscription_id, context)
    found = resources.groups(session, params.subscription_id)
    return wire.ResourceGroups(
        resource_groups=[wire.ResourceGroup(name=each.name, location=each.location) for each in found]
    )


def create_resource_group(params: wire.CreateResourceGroupParams, context: Context) -> wire.ResourceGroup:
    session = _session(params.cloud, params.subscription_id, context)
    made = resources.create_group(session, params.subscription_id, params.name, params.location)
    return wire.ResourceGroup(name=made.name, location=made.location)


def workspace_summary(params: wire.FolderParams, context: Context) -> wire.WorkspaceSummary:
    """What the folder holds. A file that can't be read is a problem listed, so that the rest is still told."""
    workspace = open_workspace(params.folder)
    problems: list[wire.Sentence] = []
    subscription = group = None
    origin: DefaultsOrigin | None = None
    provisioned = False
    try:
        known = read_finetuning(workspace)
        config = read_config(workspace)
        subscription = known.SUBSCRIPTION_ID or config.SUBSCRIPTION_ID
        group = known.RESOURCE_GROUP_NAME or config.RESOURCE_GROUP_NAME
        if subscription or group:
            origin = "finetuning" if known.SUBSCRIPTION_ID or known.RESOURCE_GROUP_NAME else "inference"
        provisioned = bool(config.ACA_APP_NAME and config.ACA_APP_ENDPOINT)
        problems += [wire.sentence(note) for note in read_parameters(workspace, context.settings.environ).notes]
    except SlipwayError as error:
        problems += (
            [] if error.code == SEVERAL else [wire.sentence(error.message)]
        )  # which one counts is stated elsewhere
    older = None
    try:
        older = files_of(workspace, context.settings.state)
    except SlipwayError as error:
        problems.append(wire.sentence(error.message))
    if origin is None and (choice := kept_choice(context.settings.state, workspace.folder)):
        subscription, group, origin = choice.subscription_id, choice.resource_group, "choice"
    return wire.WorkspaceSummary(
        defaults=wire.WorkspaceDefaults(subscription_id=subscription, resource_group=group, origin=origin),
        provisioned=provisioned,
        has_template=workspace.bicep_file.exists(),
        has_code=workspace.code.is_dir(),
        clouds=list(clouds_of("auto")),
        files_of=older,
        problems=problems,
    )


def provision_action(params: wire.ProvisionParams, context: Context) -> wire.Provisioned:
    workspace = open_workspace(params.folder, params.parameters)
    cloud = cloud_of(context.settings, params.cloud, params.subscription_id)
    prepare(context.settings, cloud, tuple(params.consents), context.patience)
    session = opened(cloud, params.subscription_id, context)
    request = _request(session, params, context)
    keep_choice(context.settings.state, workspace.folder, Choice(params.subscription_id, params.resource_group))
    result = journalled(
        "provision",
        workspace,
        params.operation,
        context,
        lambda journal: masked(
            journal, lambda: provision(workspace, session, request, journal, params.digest, begins=params.begins)
        ),
        about=facts_of(Where(cloud, params.subscription_id, params.resource_group)),
    )
    return wire.Provisioned(
        endpoint=result.endpoint,
        url=result.url,
        portal_url=result.portal_url,
        config_path=str(result.config_path),
        deployment=result.deployment,
        nothing=result.nothing,
    )


def plan_action(params: wire.PlanParams, context: Context) -> wire.Plan:
    workspace = open_workspace(params.folder, params.parameters)
    cloud = cloud_of(context.settings, params.cloud, params.subscription_id)
    session = opened(cloud, params.subscription_id, context)
    request = _request(session, params, context)
    journal = silent(context)
    found = masked(journal, lambda: plan(workspace, session, request, journal, raw=params.raw))
    return without(shown_plan(workspace, cloud, found, params), journal)


def preflight_action(params: wire.PreflightParams, context: Context) -> wire.Preflight:
    workspace = open_workspace(params.folder, params.parameters)
    session = opened(cloud_of(context.settings, params.cloud, params.subscription_id), params.subscription_id, context)
    request = _request(session, params, context)
    journal = silent(context)
    found = masked(journal, lambda: preflight_with_fitting(workspace, session, request, journal))
    return without(preflighted(workspace, *found), journal)


def _request(
    session: Session, params: wire.ProvisionParams | wire.PlanParams | wire.PreflightParams, context: Context
) -> Request:
    listed = () if session.home else resources.subscriptions(session)
    tenant = next((each.tenant_id for each in listed if each.id == params.subscription_id), "")
    consents = tuple(params.consents) if isinstance(params, wire.ProvisionParams) else ()
    where, settings = (params.subscription_id, session.home or tenant, params.resource_group), context.settings
    return Request(*where, consents, dict(settings.environ), settings.state, params.app)


def deploy_action(params: wire.DeployParams, context: Context) -> wire.Deployed:
    workspace = open_workspace(params.folder)
    session = _prepared(params.cloud, params.consents, workspace, context)
    consents = tuple(params.consents)
    return deployed(
        journalled(
            "deploy",
            workspace,
            params.operation,
            context,
            lambda journal: deploy(
                workspace, session, journal, consents, _patience(params), code=params.code, wish=params.strategy
            ),
        )
    )


def _patience(params: wire.DeployParams | wire.RollbackParams) -> Patience:
    return replace(PATIENCE, stops=params.stop_unanswered)


def rollback_action(params: wire.RollbackParams, context: Context) -> wire.Deployed:
    workspace = open_workspace(params.folder)
    session = _prepared(params.cloud, params.consents, workspace, context)
    consents = tuple(params.consents)
    return deployed(
        journalled(
            "rollback",
            workspace,
            params.operation,
            context,
            lambda journal: roll_back(
                workspace, session, journal, params.generation, consents, _patience(params), wish=params.strategy
            ),
        )
    )


def preview_action(params: wire.PreviewParams, context: Context) -> wire.Preview:
    workspace = open_workspace(params.folder)
    session = session_for(params.folder, params.cloud, context)
    found = preview(workspace, session, silent(context), params.code, params.strategy)
    return shown_preview(found)


def releases_action(params: wire.FolderCloudParams, context: Context) -> wire.Releases:
    workspace = open_workspace(params.folder)
    kept = releases(workspace, session_for(params.folder, params.cloud, context), silent(context))
    return wire.Releases(generations=[generation(each) for each in kept])


def _prepared(cloud: CloudName, consents: list[str], workspace: Workspace, context: Context) -> Session:
    config = read_config(workspace)
    named = cloud_of(context.settings, cloud, config.SUBSCRIPTION_ID)
    prepare(context.settings, named, tuple(consents), context.patience)
    return opened(named, config.SUBSCRIPTION_ID, context)


def interrupted_action(params: wire.FolderParams, context: Context) -> wire.Interruptions:
    files = journal_files(open_workspace(params.folder).folder, context)
    return wire.Interruptions(
        interrupted=[
            wire.Interrupted(
                kind=each.kind,
                at=each.at,
                step=each.step,
                running=each.running,
                sentence=wire.sentence(each.sentence),
                resume=each.resume,
                target=target_shown(each.where),
                cancels=each.cancels,
            )
            for each in interrupted(files)
        ]
    )


def discard_action(params: wire.DiscardParams, context: Context) -> wire.Interruptions:
    where = None if params.target is None else where_shown(params.target)
    forget(journal_files(open_workspace(params.folder).folder, context)[params.kind], where)
    return interrupted_action(wire.FolderParams(folder=params.folder), context)


def endpoint_action(params: wire.FolderCloudParams, context: Context) -> wire.EndpointLink:
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    found = link(workspace, session)
    note = None if found.note is None else wire.sentence(found.note)
    return wire.EndpointLink(url=found.url, login_url=found.login_url, note=note)


def status_action(params: wire.FolderCloudParams, context: Context) -> wire.Status:
    workspace = open_workspace(params.folder)
    config = read_config(workspace)
    told = interrupted(journal_files(workspace.folder, context))
    notes = [note_of(each) for each in told if not (each.running and each.ours)]  # who asks sees what goes on here
    found = (
        status(workspace, session_for(params.folder, params.cloud, context)) if config.ACA_APP_NAME else NOT_PROVISIONED
    )
    return shown_status(replace(found, notes=(*notes, *found.notes)))


def api_key_action(params: wire.FolderCloudParams, context: Context) -> wire.ApiKey:
    return wire.ApiKey(
        api_key=api_key(open_workspace(params.folder), session_for(params.folder, params.cloud, context))
    )


def logs_action(params: wire.LogsParams, context: Context) -> wire.Logs:
    workspace = open_workspace(params.folder)
    wanted = Wanted(
        params.source, params.follow, since(params.since, time.time()), params.replica, previous=params.previous
    )

    def take(line: Line) -> None:
        context.tell(
            wire.LogLine(
                operation=params.operation,
                source=line.source,
                revision=line.revision,
                replica=line.replica,
                time=line.time,
                text=line.text,
            )
        )

    session = session_for(params.folder, params.cloud, context)
    return wire.Logs(lines=logs(workspace, session, wanted, journal=silent(context), stop=context.stop, take=take))


def diagnose_action(params: wire.FolderCloudParams, context: Context) -> wire.Diagnosis:
    workspace = open_workspace(params.folder)
    return shown_diagnosis(why_not_ready(workspace, session_for(params.folder, params.cloud, context)))


ACTIONS: dict[str, Callable[[Any, Context], wire.Message]] = {
    "slipway/subscriptions": subscriptions,
    "slipway/resourceGroups": resource_groups,
    "slipway/locations": locations,
    "slipway/createResourceGroup": create_resource_group,
    "slipway/workspace": workspace_summary,
    "slipway/init": init,
    "slipway/ciInit": ci_init_action,
    "slipway/updateFiles": update_files_action,
    "slipway/preflight": preflight_action,
    "slipway/plan": plan_action,
    "slipway/provision": provision_action,
    "slipway/deploy": deploy_action,
    "slipway/preview": preview_action,
    "slipway/releases": releases_action,
    "slipway/rollback": rollback_action,
    "slipway/interrupted": interrupted_action,
    "slipway/discard": discard_action,
    "slipway/endpoint": endpoint_action,
    "slipway/status": status_action,
    "slipway/apiKey": api_key_action,
    "slipway/logs": logs_action,
    "slipway/diagnose": diagnose_action,
}


def _session(cloud: CloudName, subscription_id: str, context: Context) -> Session:
    return opened(cloud_of(context.settings, cloud, subscription_id), subscription_id, context)


def journal_files(folder: Path, context: Context) -> dict[OperationKind, Path]:
    """One file a project and kind, in the state folder: the workspace stays free of it."""
    project = project_key(folder)
    return {kind: context.settings.state / "journals" / f"{project}-{kind}.jsonl" for kind in OPERATIONS}


def journalled(
    kind: OperationKind,
    workspace: Workspace,
    operation: str,
    context: Context,
    run: Callable[[Journal], T],
    *,
    about: Mapping[str, str] | None = None,
) -> T:
    """Runs what writes down its steps, each with what it is `about`. Once it has ended well, what it overtakes is not told any
    more; one that leaves something under way is told as unfinished."""
    files = journal_files(workspace.folder, context)
    name = operation or f"{kind}-{uuid.uuid4().hex[:8]}-{int(time.time())}"
    journal = Journal(files[kind], name, context.listen, context.stop, context.leaving, about=about)
    try:
        result = run(journal)
    except Exception as error:
        code = error.code if isinstance(error, SlipwayError) else type(error).__name__
        goes_on = isinstance(error, SlipwayError) and error.goes_on
        (journal.left if goes_on else journal.failed)(code)
        raise
    for each in interrupted({overtaken: files[overtaken] for overtaken in OVERTAKES.get(kind, ())}):
        if not each.running:
            forget(files[each.kind])
    return result
