"""Whether there is a GPU for one more replica, and what has to end where there is none."""

from __future__ import annotations

from sidecar.core.journal import Journal
from sidecar.decisions.profiles import kind_of
from sidecar.decisions.restart import Plan, has_gpu, plan_for
from sidecar.decisions.signs import has_place
from sidecar.gateway import apps, revisions
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import CloudError
from sidecar.words.text import Text
from sidecar.workflows.watch import replicas_of


def plan_of(place: AppPlace, app: apps.App, revision: revisions.Revision) -> Plan:
    """Whether there is a GPU for a second replica; what can't be read is not known."""
    running = replicas_of(place, revision.name)
    others = [name for each in revisions.revisions(place) if each.active and (name := each.name) != revision.name]
    ours = [*running, *(replica for name in others for replica in replicas_of(place, name))]
    holding = sum(has_place(replica) for replica in ours)
    if app.profile is None:
        return plan_for(None, None, len(running), holding)
    try:
        environment = apps.environment(place.around, app.environment)
        profiles = () if environment is None else environment.profiles
        kind = next((str(each["workloadProfileType"]) for each in profiles if each["name"] == app.profile), app.profile)
        usage = apps.gpu_usage(place.around, app.location) if has_gpu(kind) else {}
    except CloudError:
        return plan_for(app.profile, None, len(running), holding)
    return plan_for(kind, usage, len(running), holding)


def kind_of_app(place: AppPlace, app: apps.App) -> str | None:
    """The type of the profile that an app runs on, where it has a GPU; None where it has none, or where that can't be read."""
    if app.profile is None:
        return None
    try:
        environment = apps.environment(place.around, app.environment)
    except CloudError:
        return None
    kind = None if environment is None else kind_of(environment, app.profile)
    return kind if has_gpu(kind) else None


def make_room(place: AppPlace, app: apps.App, revision: revisions.Revision, plan: Plan, journal: Journal) -> Plan:
    """Where no GPU is free and an older revision of the app itself has one, that revision ends: in its place nothing would ever
    start. Not where the app splits its traffic by names."""
    if plan.way == "rolling" or app.profile is None or any(name is not None for name, _ in app.traffic):
        return plan
    if plan.full:
        for each in revisions.revisions(place):
            if each.active and each.name != revision.name and replicas_of(place, each.name):
                text = Text(
                    "{old} ends, so that {new} gets its GPU: until that answers, the endpoint does not.",
                    old=each.name,
                    new=revision.name,
                )
                journal.step("room", text, revision=each.name)
                revisions.deactivate(place, each.name)
    return plan
