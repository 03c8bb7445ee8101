"""Workflow *Upload*: a model's or an adapter's folder of this machine goes to the app's share, judged before it does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.decisions.adapter_check import adapter_check, refusal
from sidecar.decisions.base_check import base_checks, shape
from sidecar.decisions.checks import Check, failures
from sidecar.decisions.model_facts import Adapter as AdapterFacts
from sidecar.decisions.model_facts import Broken, ModelFacts
from sidecar.decisions.model_memory import memory_checks
from sidecar.decisions.model_shape import Shape
from sidecar.decisions.models_on_share import missing_base
from sidecar.decisions.server_start import starts_our_server
from sidecar.decisions.serving import script_of
from sidecar.decisions.upload import (
    place_for,
    suggested_name,
)
from sidecar.gateway import apps
from sidecar.gateway.files import open_as
from sidecar.gateway.large_files import LargeFiles
from sidecar.gateway.session import Session
from sidecar.words.errors import ConsentNeeded, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.adapter_live import Adapter, Taken, take
from sidecar.workflows.beforehand import facts_for
from sidecar.workflows.context import place_of
from sidecar.workflows.local_model import LocalModel, adapter_facts, base_facts, local_model, with_model
from sidecar.workflows.model_upload import Bringing, Brought
from sidecar.workflows.placing import kind_of_app
from sidecar.workflows.publish import destination

Live = Literal["live", "asleep", "partly", "stored"]


@dataclass(frozen=True)
class Wish:
    """`name`: None where it is to be called as suggested."""

    source: Path
    name: str | None
    shards: int = 0


@dataclass(frozen=True)
class Result:
    """`place`: below the mount. `sent` and `there`: bytes. `taken`: of an adapter, by which replicas."""

    model: LocalModel
    name: str
    place: str
    files: int
    sent: int
    there: int
    live: Live
    taken: Taken | None
    digest: str | None
    sentence: Text
    notes: tuple[Text, ...]


@dataclass(frozen=True)
class _Ground:
    """What was read of the share before anything is sent."""

    facts: ModelFacts
    judged: bool
    """Whether the app starts our server, whose rules are known."""


def upload(
    workspace: Workspace, session: Session, wish: Wish, journal: Journal, consents: tuple[str, ...] = ()
) -> Result:
    model = local_model(wish.source)
    refuse_broken(model)
    target = target_of(workspace)
    place = place_of(session, target)
    journal.step("look", Text("Looking at {app} and what its share holds…", app=target.app))
    app = apps.app(place)
    where = destination(place, app, target, journal)
    with open_as(LargeFiles, place.around, where.share.account, where.share.share) as share:
        kind = kind_of_app(place, app)
        facts = facts_for(share, where.folder, app, kind)
        below = f"{where.folder}/" if where.folder else ""
        ground = _Ground(facts, starts_our_server(script_of(app)))
        name = wish.name or suggested(model)
        folder = place_for(model.kind, name, facts.models)
        notes = judged(model, ground, name, folder, consents)
        for each in notes:
            journal.log(each, "warning")
        done = Bringing(share, below, model, folder, wish.shards, journal, consents).run()
        models = with_model(facts.models, model, name, folder)
        if model.kind == "base":
            missing = missing_base(models, facts.wanted)
            notes += () if missing is None else (missing,)
            return _stored(model, name, folder, done, notes)
        taken = take(place, app, target.endpoint, Adapter(folder, done.digest, models), journal)
    return _taken(model, folder, done, taken, notes)


def suggested(model: LocalModel) -> str:
    found = suggested_name(model.kind, model.folder.absolute().parts, model.config)
    if found is None:
        raise WorkspaceError(
            Text("Nothing says what the model in {folder} is called.", folder=model.folder),
            Text("Give its name as --as organisation/model, as it is published."),
            code="NoModelName",
        )
    return found


def refuse_broken(model: LocalModel) -> None:
    """What no server of ours would take, whichever base it has; of a base, what it alone tells."""
    if model.kind == "adapter":
        found = refusal(adapter_facts(model, "adapter"), None)
        if found is not None:
            raise _broken(model, found.reason, "AdapterUnusable")
        return
    base = base_facts(model, "local/model")
    if not model.weights:
        raise _broken(model, Text("it has no safetensors weights"), "BaseModelUnusable")
    for name, each in (("config.json", base.config), *base.shards.items()):
        if isinstance(each, Broken):
            raise _broken(model, Text("{file}: {reason}", file=name, reason=each.reason), "BaseModelUnusable")


def _broken(model: LocalModel, reason: Text, code: str) -> WorkspaceError:
    return WorkspaceError(
        Text("{folder} can't be served: {reason}. Nothing was sent.", folder=model.folder, reason=reason),
        Text("Save or download it anew, then run the command again."),
        code=code,
    )


def judged(model: LocalModel, ground: _Ground, name: str, folder: str, consents: tuple[str, ...]) -> tuple[Text, ...]:
    """What a person should know beside; raises where the app's server would not take it."""
    facts = ground.facts
    if not ground.judged:
        return (Text("The app does not start our server: whether it takes this model only it can tell."),)
    if model.kind == "base":
        base = base_facts(model, name)
        models = with_model(facts.models, model, name, folder)
        found = base_checks(replace(facts, models=models, wanted=name, base=base), needed=True)
        known = shape(base)
        if not failures(found) and not isinstance(known, Broken):
            found += memory_checks(facts, base, known if isinstance(known, Shape) else None)
        return _told(found)
    adapter = adapter_facts(model, folder)
    if facts.base is None:
        return (Text("No base model that the app serves is on the share yet: whether it fits was not looked at."),)
    known = shape(facts.base)
    own = known if isinstance(known, Shape) and facts.settings.get("SLIPWAY_ENGINE") != "transformers" else None
    _agreed(adapter, own, facts.base.name, consents)
    return _told([adapter_check(adapter, facts.base, own)])


def _agreed(adapter: AdapterFacts, own: Shape | None, base: str, consents: tuple[str, ...]) -> None:
    """A server that refuses an adapter starts without it, so one may be put there for a base that is still to come."""
    found = refusal(adapter, own)
    if found is None:
        return
    consent = f"unfit-adapter-{hashlib.sha256(adapter.folder.encode()).hexdigest()[:8]}"
    if consent not in consents:
        raise ConsentNeeded(
            consent,
            Text("The adapter does not fit {base}, which the app serves: {reason}.", base=base, reason=found.reason),
            Text("The server will refuse it, and go on with what it serves. Upload it all the same?"),
        )


def _told(checks: Sequence[Check]) -> tuple[Text, ...]:
    failed = failures(checks)
    if failed:
        raise WorkspaceError(failed[0].sentence, failed[0].remedy, code=failed[0].code)
    return tuple(each.sentence for each in checks if each.verdict in ("WARN", "UNVERIFIED"))


def _stored(model: LocalModel, name: str, place: str, done: Brought, notes: tuple[Text, ...]) -> Result:
    sentence = Text(
        "The base model {name} is on the share ({files} files). Run Deploy: it is loaded then.",
        name=name,
        files=done.files,
    )
    return Result(
        model=model, name=name, place=place, files=done.files, sent=done.sent, there=done.there, live="stored",
        taken=None, digest=None, sentence=sentence, notes=notes,
    )  # fmt: skip


def _taken(model: LocalModel, place: str, done: Brought, taken: Taken, notes: tuple[Text, ...]) -> Result:
    live, sentence = live_of(taken)
    return Result(
        model=model, name=taken.name, place=place, files=done.files, sent=done.sent, there=done.there, live=live,
        taken=taken, digest=done.digest, sentence=sentence, notes=notes,
    )  # fmt: skip


def live_of(taken: Taken) -> tuple[Live, Text]:
    told = {"name": taken.name, "count": len(taken.by), "all": len(taken.replicas)}
    if not taken.replicas:
        return "asleep", Text("The adapter {name} is on the share; no replica runs, and the next one takes it.", **told)
    if not taken.ours:
        return "stored", Text("The adapter {name} is on the share. The app's own server has to be told of it.", **told)
    if taken.whole:
        return "live", Text("The adapter {name} answers: {count} of {all} replicas have it.", **told)
    return "partly", Text(
        "The adapter {name} is on the share, but only {count} of {all} replicas have told that they serve it.", **told
    )
