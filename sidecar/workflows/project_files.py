"""The actions of both doors on the files that a project has got from Slipway."""

from __future__ import annotations

from sidecar import __version__
from sidecar.core.scaffold import scaffold, shipped
from sidecar.core.workspace import open_workspace
from sidecar.wire import protocol as wire
from sidecar.workflows.context import Context
from sidecar.workflows.update_files import planned, update_files


def init(params: wire.InitParams, context: Context) -> wire.Created:
    return wire.Created(created=scaffold(open_workspace(params.folder), context.settings.state, tuple(params.consents)))


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
