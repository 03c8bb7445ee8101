"""Workflow *Plan*: what a *Provision* would do and cost, as one document with a digest. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace
from sidecar.decisions.checks import Unread
from sidecar.decisions.gpu_checks import gpus_counted
from sidecar.decisions.plan import Reality, app_template_of, digest_of, effects_of
from sidecar.decisions.plan_cost import Cost, Nodes, cooldown_of, nodes_of, replicas_of, size_of, start_bound
from sidecar.decisions.plan_document import PlanDocument, markdown
from sidecar.decisions.price_table import SOURCE, TABLE
from sidecar.decisions.prices import UNKNOWN, Price, is_dedicated, price_of
from sidecar.decisions.profiles import kind_of
from sidecar.gateway import resources
from sidecar.gateway.offers import Offer
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import Conflict
from sidecar.words.text import Text
from sidecar.workflows.prices import meters_for
from sidecar.workflows.resolve import Plan, Request, resolve
from sidecar.workflows.survey import Survey, survey


def plan(workspace: Workspace, session: Session, request: Request, journal: Journal, *, raw: bool) -> PlanDocument:
    """Raises PreflightFailed for what can't work, with everything that stands against it."""
    journal.step("resolve", Text("Reading the project…"))
    resolved = resolve(workspace, session, request, journal)
    place = GroupPlace(session, request.subscription_id, resolved.group.name)
    recorded = resources.find_deployment(place, resolved.name)
    if recorded is not None and not recorded.finished:
        raise Conflict(
            Text("The deployment {name} of this project is under way.", name=resolved.name),
            Text("Provision follows it. Plan again when it has ended."),
            code="DeploymentUnderWay",
        )
    seen = survey(workspace, place, resolved, request, journal, recorded, foresee=True)
    return document_of(place, resolved, seen, raw=raw)


def refuse_changed(place: GroupPlace, resolved: Plan, seen: Survey, agreed: str) -> None:
    """Somebody said yes to a plan; where reality has another one by now, that one is shown, and nothing is done."""
    if digest_of(seen.reality, seen.work) == agreed:
        return
    raise Conflict(
        Text("What is there, or what the files state, has changed since the plan was made. Nothing was changed."),
        Text("Read the new plan, then apply that one."),
        code="PlanChanged",
        detail=str(markdown(document_of(place, resolved, seen, raw=False))),
    )


def document_of(place: GroupPlace, resolved: Plan, seen: Survey, *, raw: bool) -> PlanDocument:
    found, work = seen.reality, seen.work
    location = location_of(found, resolved)
    template = app_template_of(found)
    kind = profile_of(found)
    usage = None if seen.facts is None else gpus_counted(seen.facts)
    foreseen = found.foreseen
    return PlanDocument(
        digest=digest_of(found, work),
        subscription=found.subscription,
        group=found.group,
        location=location,
        profile=kind,
        work=work,
        effects=effects_of(found, work, kind, usage, cooldown_of(template)),
        notes=() if found.change is None else found.change.notes,
        cost=cost_of(
            place.session,
            kind,
            template,
            location,
            {} if seen.facts is None else seen.facts.offers,
            nodes_in(found, kind),
        ),
        price_note=place.session.profile.prices_note,
        checks=seen.checks,
        unforeseen=foreseen.reason if isinstance(foreseen, Unread) else None,
        said=json.dumps(seen.said, indent=2, ensure_ascii=False) if raw and seen.said is not None else None,
    )


def location_of(found: Reality, resolved: Plan) -> str:
    if found.existing.environment is not None:
        return found.existing.environment.location
    return str(resolved.stated.get("location", {}).get("value") or resolved.group.location)


def profile_of(found: Reality) -> str | None:
    """The type of the app's workload profile."""
    app, environment, wanted = found.existing.app, found.existing.environment, found.wanted
    if app is not None and environment is not None and app.profile:
        return kind_of(environment, app.profile)
    if wanted is None:
        return None
    return wanted.kind or (None if environment is None else kind_of(environment, wanted.name))


def nodes_in(found: Reality, kind: str | None) -> Nodes | None:
    """Of the profile that the app runs on, or will; None for one whose counts are unknown, or that has none."""
    if kind is None:
        return None
    app, environment = found.existing.app, found.existing.environment
    name = found.planned.profile if app is None else app.profile
    there = () if environment is None else environment.profiles
    return nodes_of(kind, name, there, found.planned.profiles, found.resizes)


def cost_of(
    session: Session,
    kind: str | None,
    template: Mapping[str, object],
    location: str,
    offers: Mapping[str, Offer] | Unread,
    nodes: Nodes | None,
) -> Cost:
    bound, why = start_bound(template)
    if kind is None:
        return Cost(UNKNOWN, replicas_of(template), bound, why)
    dedicated = is_dedicated(kind)
    offer = None if isinstance(offers, Unread) else offers.get(kind)
    size = size_of(kind, template, offer)
    if size is None:
        unknown = Price(None, None, "", Text("The size of {type} can't be told", type=kind))
        return Cost(unknown, replicas_of(template), bound, why, dedicated, nodes)
    meters, source = meters_for(session, location)
    price = price_of(kind, size, location, meters, source)
    if price.awake is None and source is not SOURCE:
        quoted = price_of(kind, size, location, TABLE, SOURCE)
        price = quoted if quoted.awake is not None else price
    return Cost(price, replicas_of(template), bound, why, dedicated, nodes)
