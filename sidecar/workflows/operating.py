"""The actions of both doors on an app that is there, and with them every action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecar.core.workspace import open_workspace
from sidecar.wire import protocol as wire
from sidecar.workflows.actions import ACTIONS
from sidecar.workflows.context import Context, session_for, silent
from sidecar.workflows.operate import Switched, start, stop


def start_action(params: wire.OperateParams, context: Context) -> wire.Switched:
    workspace = open_workspace(params.folder)
    return _switched(start(workspace, session_for(params.folder, params.cloud, context), silent(context)))


def stop_action(params: wire.OperateParams, context: Context) -> wire.Switched:
    workspace = open_workspace(params.folder)
    return _switched(stop(workspace, session_for(params.folder, params.cloud, context), silent(context)))


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
    "slipway/start": start_action,
    "slipway/stop": stop_action,
}
"""By the wire's method."""
