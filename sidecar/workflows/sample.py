"""Workflow *Sample*: for whoever has no model at hand, a tiny base and an adapter are made and put on the app's share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.gateway import apps
from sidecar.gateway.files import open_share
from sidecar.gateway.patience import Patience
from sidecar.gateway.sample import made_sample
from sidecar.gateway.session import Session
from sidecar.words.errors import ConsentNeeded, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.beforehand import facts_for
from sidecar.workflows.context import place_of
from sidecar.workflows.placing import kind_of_app
from sidecar.workflows.publish import destination
from sidecar.workflows.upload import Result, Wish, upload

CONSENT = "sample-model"


@dataclass(frozen=True)
class Sampled:
    """`adapter`: as it was taken. The question is one that base and adapter answer differently, each as it was trained to."""

    adapter: Result
    base: str
    question: str
    answer: str


def sample(
    workspace: Workspace,
    session: Session,
    environ: Mapping[str, str],
    patience: Patience,
    journal: Journal,
    consents: tuple[str, ...],
) -> Sampled:
    """The server's environment, by whose Python it is trained, must be there (`prepare`). Raises ConsentNeeded before anything is
    made, WorkspaceError where the share has a base of its own: the sample is for a share without one."""
    if CONSENT not in consents:
        raise ConsentNeeded(
            CONSENT,
            Text(
                "A sample is trained on this machine, once: a base model and a LoRA adapter of 4 MB together, in about a "
                "minute on two cores. Then it is put on the app's file share."
            ),
            Text("AI Toolkit: Delete inference resources takes it away again, with the share."),
        )
    others = [each for each in bases_on_share(workspace, session, journal) if each != SAMPLE_BASE]
    if others:
        raise WorkspaceError(
            Text("The share holds a base model already: {names}.", names=", ".join(others)),
            Text("The sample is for a share without one. Run Deploy: what is there is served."),
            code="ShareHasModels",
        )
    journal.step("sample", Text("Making the sample model (about a minute, once)…"))
    made = made_sample(environ, patience)
    journal.step("upload", Text("Putting the sample model on the share…"))
    upload(workspace, session, Wish(made.base, made.base_name), journal, consents)
    adapter = upload(workspace, session, Wish(made.adapter, made.adapter_name), journal, consents)
    return Sampled(adapter, made.base_name, made.question, made.answer)


SAMPLE_BASE = "slipway/tiny-llama"


def bases_on_share(workspace: Workspace, session: Session, journal: Journal) -> tuple[str, ...]:
    target = target_of(workspace)
    place = place_of(session, target)
    app = apps.app(place)
    where = destination(place, app, target, journal)
    with open_share(place.around, where.share.account, where.share.share) as share:
        return facts_for(share, where.folder, app, kind_of_app(place, app)).models.bases
