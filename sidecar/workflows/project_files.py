"""The actions of both doors on the files that a project has got from Slipway."""

from __future__ import annotations

from pathlib import Path

from sidecar import __version__
from sidecar.core.project_files import record_of, told_of_files
from sidecar.core.scaffold import scaffold, shipped
from sidecar.core.workspace import Workspace, open_workspace
from sidecar.wire import protocol as wire
from sidecar.workflows.context import Context
from sidecar.workflows.update_files import numbers_of, planned, update_files


def init(params: wire.InitParams, context: Context) -> wire.Created:
    made = scaffold(open_workspace(params.folder), context.settings.state, beside=params.beside)
    return wire.Created(created=made.created, own=list(made.own))


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
