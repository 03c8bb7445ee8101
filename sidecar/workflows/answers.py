"""Results of workflows as messages of the wire."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.core.parameters import stated_at
from sidecar.core.sync import Changes
from sidecar.core.workspace import Workspace
from sidecar.decisions.checks import Check
from sidecar.decisions.fitting import Fitting
from sidecar.decisions.fitting_text import fitting_lines
from sidecar.decisions.plan import summary
from sidecar.decisions.plan_document import PlanDocument, markdown
from sidecar.gateway.endpoint import Refused, RunsOn
from sidecar.wire import protocol as wire
from sidecar.words.names import CloudName
from sidecar.workflows.cancelling import Where
from sidecar.workflows.diagnose import Diagnosis
from sidecar.workflows.history import Kept
from sidecar.workflows.observe import Status
from sidecar.workflows.outcome import Result
from sidecar.workflows.preflight import problems_of
from sidecar.workflows.preview import Preview
from sidecar.workflows.records import now


def deployed(result: Result) -> wire.Deployed:
    return wire.Deployed(
        endpoint=result.endpoint,
        url=result.url,
        release=result.release,
        generation=result.generation,
        code_changed=result.code_changed,
        verified=result.verified,
        replicas=list(result.replicas),
        base=result.base,
        adapters=list(result.adapters),
        refused=refused(result.refused),
        notes=[wire.sentence(note) for note in result.notes],
        problems=wire.file_problems(result.problems),
        runs_on=_runs_on(result.runs_on),
        strategy=result.strategy,
        form=result.form,
        pause=result.pause,
    )


def _runs_on(found: RunsOn | None) -> wire.RunsOn | None:
    if found is None:
        return None
    return wire.RunsOn(
        device=found.device, gpu=found.gpu, dtype=found.dtype, weights=found.weights, attention=found.attention
    )


def preflighted(workspace: Workspace, checks: Sequence[Check], fitting: Fitting | None) -> wire.Preflight:
    return wire.Preflight(
        checks=[_check(workspace, each) for each in checks],
        problems=wire.file_problems(problems_of(workspace, checks)),
        fitting=None if fitting is None else _fitting(fitting),
    )


def _fitting(found: Fitting) -> wire.Fitting:
    lines = [
        wire.FitLine(
            region=each.region,
            profile=each.profile,
            needed=each.needed,
            used=each.used,
            limit=each.limit,
            hour=each.price.awake,
            currency=each.price.currency,
            memory=each.memory,
            fits=each.fits,
        )
        for each in found.fits
    ]
    return wire.Fitting(fits=lines, why=wire.sentence(found.why), text=fitting_lines(found))


def _check(workspace: Workspace, each: Check) -> wire.CheckLine:
    stated = None if each.parameter is None else stated_at(workspace, each.parameter)
    at = None if stated is None else f"{stated.shown}:{stated.line}"
    if each.problem is not None:
        at = f"{each.problem.path}:{each.problem.line}"
    return wire.CheckLine(
        name=each.name,
        verdict=each.verdict,
        sentence=wire.sentence(each.sentence),
        remedy=None if each.remedy is None else wire.sentence(each.remedy),
        parameter=each.parameter,
        at=at,
        code=each.code,
    )


def shown_plan(workspace: Workspace, cloud: CloudName, found: PlanDocument, asked: wire.PlanParams) -> wire.Plan:
    work = found.work
    return wire.Plan(
        digest=found.digest,
        nothing=work.nothing,
        folder=str(workspace.folder),
        parameters=asked.parameters,
        app=asked.app,
        cloud=cloud,
        subscription_id=found.subscription,
        resource_group=found.group,
        location=found.location,
        profile=found.profile,
        summary=wire.sentence(summary(work)),
        registers=list(work.registers),
        resources=[
            wire.PlanResource(
                kind=each.kind,
                name=each.name,
                action=each.action,
                members=[wire.PlanMember(path=one.path, before=one.before, after=one.after) for one in each.members],
                foreseen=each.foreseen,
            )
            for each in work.lines
        ],
        effects=[wire.sentence(each) for each in found.effects],
        files=[wire.PlanFile(path=each.path, action=each.action, why=wire.sentence(each.why)) for each in work.files],
        risks=list(work.risks),
        price=_price(found),
        notes=[wire.sentence(each) for each in found.notes],
        checks=[_check(workspace, each) for each in found.checks],
        problems=wire.file_problems(problems_of(workspace, found.checks)),
        unforeseen=None if found.unforeseen is None else wire.sentence(found.unforeseen),
        raw=found.said,
        markdown=wire.sentence(markdown(found)),
    )


def _price(found: PlanDocument) -> wire.PlanPrice:
    cost = found.cost
    return wire.PlanPrice(
        awake=cost.price.awake,
        asleep=cost.asleep,
        month=cost.month,
        replicas=cost.replicas,
        start=cost.start,
        start_seconds=cost.bound,
        start_why=wire.sentence(cost.why),
        currency=cost.price.currency,
        source=wire.sentence(cost.price.source),
        note=None if found.price_note is None else wire.sentence(found.price_note),
    )


def difference(changes: Changes | None, added: tuple[str, ...]) -> wire.Difference | None:
    if changes is None:
        return None
    changed = [path for path in changes.upload if path not in added]
    return wire.Difference(added=list(added), changed=changed, removed=list(changes.delete))


def generation(kept: Kept) -> wire.Generation:
    said = kept.generation
    return wire.Generation(
        number=said.number,
        release=said.release,
        at=said.at,
        by=said.by,
        commit=said.commit,
        cause=said.cause,
        current=kept.current,
        served=kept.served,
        kept=kept.there,
        difference=None if kept.changes is None else difference(kept.changes.changes, kept.changes.added),
    )


def shown_preview(found: Preview) -> wire.Preview:
    return wire.Preview(
        release=found.release,
        current=found.current,
        size=found.size,
        files=found.files,
        uploads=found.uploads,
        difference=difference(found.changes, found.added),
        left_out=[wire.LeftOut(path=each.path, why=each.why, by=each.by) for each in found.left_out],
        problems=wire.file_problems(found.problems),
        strategy=found.strategy,
        form=found.form,
        restart=found.way,
        downtime=found.downtime,
        sentence=wire.sentence(found.sentence),
        bases=list(found.bases),
        adapters=list(found.adapters),
        notes=[wire.sentence(note) for note in found.notes],
    )


def shown_status(found: Status) -> wire.Status:
    return wire.Status(
        state=found.state,
        phase=found.phase,
        revision=found.revision,
        replicas=[wire.Replica(name=each.name, state=each.state, phase=each.phase) for each in found.replicas],
        endpoint=found.endpoint,
        url=found.url,
        app=found.app,
        reason=None if found.reason is None else wire.sentence(found.reason),
        release=found.release,
        generation=found.generation,
        base=found.base,
        adapters=list(found.adapters),
        refused=refused(found.refused),
        notes=[wire.sentence(note) for note in found.notes],
        failure=found.is_failure,
        hashes=dict(found.hashes),
        runs_on=_runs_on(found.runs_on),
        revisions=[
            wire.RevisionLine(
                name=each.name, state=each.state, health=each.health, replicas=each.replicas, serves=each.serves
            )
            for each in found.revisions
        ],
        cooldown=found.cooldown,
        cost=[wire.sentence(each) for each in found.cost],
        looked_at=now(),
    )


def refused(found: tuple[Refused, ...]) -> list[wire.RefusedAdapter]:
    return [wire.RefusedAdapter(name=each.name, reason=each.reason) for each in found]


def shown_diagnosis(found: Diagnosis) -> wire.Diagnosis:
    cause = found.cause
    return wire.Diagnosis(
        state=found.state,
        code="" if cause is None else cause.code,
        certain=cause is None or cause.certain,
        sentence=wire.sentence(found.sentence),
        advice=None if cause is None else wire.sentence(cause.advice),
        remedies=list(found.remedies),
        detail=None if cause is None else cause.detail,
        seen=[wire.sentence(each) for each in found.seen],
        unread=[wire.sentence(each) for each in found.unread],
        failure=found.is_failure,
    )


def where_shown(target: wire.ProvisionTarget) -> Where:
    return Where(target.cloud, target.subscription_id, target.resource_group)


def target_shown(where: Where | None) -> wire.ProvisionTarget | None:
    if where is None:
        return None
    return wire.ProvisionTarget(
        cloud=where.cloud, subscription_id=where.subscription_id, resource_group=where.resource_group
    )
