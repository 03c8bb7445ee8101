"""The actions of both doors on an app that is there, and with them every action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sidecar.core.workspace import open_workspace
from sidecar.decisions.removal import Item
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import cloud_of
from sidecar.wire import protocol as wire
from sidecar.workflows.actions import ACTIONS, journal_files, journalled
from sidecar.workflows.answers import where_shown
from sidecar.workflows.bicep_action import bicep_check_action, bicep_install_action
from sidecar.workflows.cancelling import Stopped, cancel, together, where_configured
from sidecar.workflows.chatting import chat_action, chat_code_action, chat_models_action
from sidecar.workflows.context import Context, opened, session_for, silent
from sidecar.workflows.copying import copied
from sidecar.workflows.diagnostics import collect
from sidecar.workflows.evaluating_action import evaluate_action, evaluation_cases_action
from sidecar.workflows.interrupted import forget, interrupted, places
from sidecar.workflows.keep_warm import keep_warm
from sidecar.workflows.operate import Switched, start, stop
from sidecar.workflows.remove import Removed, plan, remove
from sidecar.workflows.rotate import rotate
from sidecar.workflows.uploading import folder_held_action, sample_action, upload_action


def cancel_action(params: wire.CancelParams, context: Context) -> wire.ProvisionCancelled:
    """Of each Provision that was cut off, else of the one that the configuration tells of. What was cut off is then forgotten."""
    workspace = open_workspace(params.folder)
    file = journal_files(workspace.folder, context)["provision"]
    asked = params.target
    begun = places(file) if asked is None else [where_shown(asked)]
    if not begun:
        stated = where_configured(workspace, params.cloud)
        begun = [replace(stated, cloud=cloud_of(context.settings, params.cloud, stated.subscription_id))]
    done: list[Stopped] = []
    for where in begun:
        session = opened(where.cloud, where.subscription_id, context)
        place = GroupPlace(session, where.subscription_id, where.resource_group)
        done.append(cancel(workspace, place, silent(context)))
        if all(not each.running for each in interrupted({"provision": file}) if each.where in (None, where)):
            forget(file, where)
    return wire.ProvisionCancelled(
        deployments=[name for each in done for name in each.deployments],
        sentence=wire.sentence(together([each.sentence for each in done])),
    )


def start_action(params: wire.OperateParams, context: Context) -> wire.Switched:
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    return _switched(
        journalled("start", workspace, params.operation, context, lambda journal: start(workspace, session, journal))
    )


def stop_action(params: wire.OperateParams, context: Context) -> wire.Switched:
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    return _switched(
        journalled("stop", workspace, params.operation, context, lambda journal: stop(workspace, session, journal))
    )


def snippet_action(params: wire.SnippetParams, context: Context) -> wire.Snippet:
    session = session_for(params.folder, params.cloud, context)
    found = copied(open_workspace(params.folder), session, params.language)
    return wire.Snippet(url=found.url, model=found.model, code=found.code)


def diagnostics_action(params: wire.DiagnosticsParams, context: Context) -> wire.Diagnostics:
    workspace = open_workspace(params.folder)
    done = collect(
        workspace,
        lambda: session_for(params.folder, params.cloud, context),
        {str(kind): file for kind, file in journal_files(workspace.folder, context).items()},
        Path(params.file).resolve(),
        silent(context),
        overwrite=params.overwrite,
    )
    return wire.Diagnostics(
        file=str(done.file),
        contents=[wire.Content(name=name, size=size) for name, size in done.contents],
        missing=[wire.sentence(each) for each in done.missing],
    )


def rotate_action(params: wire.RotateParams, context: Context) -> wire.Rotated:
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    consents = tuple(params.consents)
    done = journalled(
        "rotate",
        workspace,
        params.operation,
        context,
        lambda journal: rotate(workspace, session, journal, consents, finishing=params.finish),
    )
    return wire.Rotated(
        app=done.app, between=done.between, restarted=done.restarted, sentence=wire.sentence(done.sentence)
    )


def warm_action(params: wire.WarmParams, context: Context) -> wire.Warmed:
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    done = keep_warm(workspace, session, silent(context), wake=params.wake)
    return wire.Warmed(app=done.app, ended=done.ended, sentence=wire.sentence(done.sentence))


def remove_action(params: wire.RemoveParams, context: Context) -> wire.Removed:
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    if params.plan:
        return _removed(plan(workspace, session, params.also))
    return _removed(
        journalled(
            "delete",
            workspace,
            params.operation,
            context,
            lambda journal: remove(workspace, session, journal, params.name, params.also),
        )
    )


def _removed(found: Removed) -> wire.Removed:
    return wire.Removed(
        app=found.app,
        confirm=found.confirm,
        done=found.done,
        goes=[_removable(each) for each in found.goes],
        stays=[_removable(each) for each in found.stays],
        emptied=list(found.emptied),
    )


def _removable(item: Item) -> wire.Removable:
    return wire.Removable(
        kind=item.kind, name=item.name, ours=item.ours, holds=wire.sentence(item.holds), users=list(item.users)
    )


def _switched(done: Switched) -> wire.Switched:
    return wire.Switched(
        app=done.app,
        running=done.running,
        changed=done.changed,
        awake=done.awake,
        sentence=wire.sentence(done.sentence),
    )


EVERY_ACTION: dict[str, Callable[[Any, Context], wire.Message]] = {
    **ACTIONS,
    "slipway/cancelProvisioning": cancel_action,
    "slipway/start": start_action,
    "slipway/stop": stop_action,
    "slipway/snippet": snippet_action,
    "slipway/diagnostics": diagnostics_action,
    "slipway/rotateKey": rotate_action,
    "slipway/keepWarm": warm_action,
    "slipway/remove": remove_action,
    "slipway/chatModels": chat_models_action,
    "slipway/chat": chat_action,
    "slipway/chatCode": chat_code_action,
    "slipway/folderHeld": folder_held_action,
    "slipway/upload": upload_action,
    "slipway/sample": sample_action,
    "slipway/evaluate": evaluate_action,
    "slipway/evaluationCases": evaluation_cases_action,
    "slipway/bicepCheck": bicep_check_action,
    "slipway/bicepInstall": bicep_install_action,
}
"""By the wire's method."""
