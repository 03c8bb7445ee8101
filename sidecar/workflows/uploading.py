"""The actions of both doors on a model's folder of this machine."""

from __future__ import annotations

from pathlib import Path

from sidecar.core.workspace import open_workspace
from sidecar.decisions.upload import suggested_name
from sidecar.gateway.session import prepare
from sidecar.wire import protocol as wire
from sidecar.workflows.context import Context, session_for, silent
from sidecar.workflows.local_model import local_model
from sidecar.workflows.sample import sample
from sidecar.workflows.upload import Wish, refuse_broken, upload


def folder_held_action(params: wire.FolderHeldParams, context: Context) -> wire.FolderHeld:
    model = local_model(Path(params.source).resolve())
    refuse_broken(model)
    travels = model.travels
    return wire.FolderHeld(
        kind=model.kind,
        name=suggested_name(model.kind, model.folder.parts, model.config),
        files=len(travels.goes),
        weights=len(model.weights),
        size=sum(model.sizes[name] for name in travels.goes),
        stays=list(travels.stays),
    )


def upload_action(params: wire.UploadParams, context: Context) -> wire.Uploaded:
    """Nothing is written down of it: whatever cuts it off, the same again goes on from there."""
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    wish = Wish(Path(params.source).resolve(), params.name, params.shards)
    done = upload(workspace, session, wish, silent(context), tuple(params.consents))
    taken = done.taken
    return wire.Uploaded(
        kind=done.model.kind,
        name=done.name,
        place=done.place,
        files=done.files,
        sent=done.sent,
        there=done.there,
        live=done.live,
        replicas=[] if taken is None else list(taken.replicas),
        taken=[] if taken is None else list(taken.by),
        hash=done.digest,
        sentence=wire.sentence(done.sentence),
        notes=[wire.sentence(each) for each in done.notes],
    )


def sample_action(params: wire.SampleParams, context: Context) -> wire.Sampled:
    """As of an upload nothing is written down: the same again goes on from where it was cut off."""
    consents = tuple(params.consents)
    prepare(
        context.settings, "local", consents, context.patience
    )  # what trains it is the local cloud's, wherever the app is
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    done = sample(workspace, session, context.settings.environ, context.patience, silent(context), consents)
    return wire.Sampled(
        base=done.base,
        adapter=done.adapter.name,
        question=done.question,
        answer=done.answer,
        live=done.adapter.live,
        sent=done.adapter.sent,
        sentence=wire.sentence(done.adapter.sentence),
    )
