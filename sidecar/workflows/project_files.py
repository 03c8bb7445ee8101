"""The actions of both doors on the files that a project has got from Slipway."""

from __future__ import annotations

from pathlib import Path

from sidecar import __version__
from sidecar.core import ci_workflow as ci
from sidecar.core.project_files import record_of, told_of_files
from sidecar.core.scaffold import scaffold, shipped
from sidecar.core.workspace import Workspace, open_workspace, read_config, read_finetuning
from sidecar.wire import protocol as wire
from sidecar.workflows.context import Context
from sidecar.workflows.update_files import numbers_of, planned, update_files


def init(params: wire.InitParams, context: Context) -> wire.Created:
    made = scaffold(open_workspace(params.folder), context.settings.state, beside=params.beside)
    return wire.Created(created=made.created, own=list(made.own))


def ci_init_action(params: wire.CiInitParams, context: Context) -> wire.CiInit:
    workspace = open_workspace(params.folder)
    made = ci.write_workflow(workspace, params.branch)
    config, known = read_config(workspace), read_finetuning(workspace)
    subscription = config.SUBSCRIPTION_ID or known.SUBSCRIPTION_ID
    group = config.RESOURCE_GROUP_NAME or known.RESOURCE_GROUP_NAME
    return wire.CiInit(
        top=str(made.top),
        file=made.file,
        fate=made.fate,
        environment=ci.ENVIRONMENT,
        variables=[
            wire.CiVariable(name=name, value=value, about=about)
            for name, value, about in (
                ("AZURE_CLIENT_ID", None, "appId of the first command"),
                ("AZURE_TENANT_ID", None, "az account show --query tenantId --output tsv"),
                ("AZURE_SUBSCRIPTION_ID", subscription, "the subscription's id"),
                ("AZURE_RESOURCE_GROUP", group, "the resource group"),
                ("SLIPWAY_WHEEL", None, "what pip installs: a wheel's path from the project's folder, or its address"),
            )
        ],
        credential=ci.CREDENTIAL,
        repository=made.repository,
        commands=ci.commands(subscription, group),
    )


def files_of(workspace: Workspace, state: Path) -> str | None:
    """The older version of Slipway that a project's files are of, where this one brings others."""
    record = record_of(workspace)
    if record is None or numbers_of(record.version) >= numbers_of(__version__):
        return None
    with told_of_files():
        return record.version if planned(workspace, state, shipped()).changes else None


def update_files_action(params: wire.UpdateFilesParams, context: Context) -> wire.FilesUpdate:
    run = planned if params.plan else update_files
    found = run(open_workspace(params.folder), context.settings.state, shipped(), params.mine, params.theirs)
    return wire.FilesUpdate(
        before=found.before,
        version=__version__,
        done=not params.plan,
        files=[wire.UpdatedFile(path=each.path, kind=each.kind) for each in found.files if each.kind != "same"],
        shipped=str(found.shipped),
        sentence=wire.sentence(found.sentence),
    )
