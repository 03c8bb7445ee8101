"""Workflow *Check inference set-up*: reads what Provision depends on, and judges each thing, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar, cast

from sidecar.core.journal import Journal
from sidecar.core.last_read import keep_last_read
from sidecar.core.parameters import stated_at
from sidecar.core.workspace import Workspace
from sidecar.decisions.checks import Check, Unread, failures, of_files, of_template
from sidecar.decisions.fitting import Fitting
from sidecar.decisions.fitting_text import fitting_lines
from sidecar.decisions.last_read import last_read
from sidecar.decisions.model_facts import ModelFacts, Settings, commanded, start_script, template_env
from sidecar.decisions.model_memory import needed
from sidecar.decisions.preflight import judged
from sidecar.decisions.preflight_facts import Facts
from sidecar.decisions.profiles import Wanted, kind_of, wanted_profile
from sidecar.decisions.provisioning import ACCOUNT, ENVIRONMENT, SHARE, Existing
from sidecar.decisions.registries import stated_login
from sidecar.decisions.resizing import nodes_to_resize
from sidecar.decisions.restart import has_gpu
from sidecar.decisions.server_start import starts_our_server
from sidecar.decisions.serving import script_of
from sidecar.gateway import apps, offers
from sidecar.gateway.files import open_share
from sidecar.gateway.identity import signed_in_as, token_tenant
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import (
    Cancelled,
    NotAuthorized,
    NotFound,
    PreflightFailed,
    SlipwayError,
    TemplateError,
    Unreachable,
    WorkspaceError,
)
from sidecar.words.problems import Problem
from sidecar.words.text import Text
from sidecar.workflows.fitting import would_fit
from sidecar.workflows.look import look
from sidecar.workflows.model_files import facts_by_place, model_facts
from sidecar.workflows.registration import registrations, unregistered
from sidecar.workflows.resolve import WITHOUT_VALUE, Plan, Request, resolve

T = TypeVar("T")


def preflight(workspace: Workspace, session: Session, request: Request, journal: Journal) -> tuple[Check, ...]:
    """Every check. Writes nothing, registers nothing. Raises SlipwayError where not even the project can be read."""
    return preflight_with_fitting(workspace, session, request, journal)[0]


def preflight_with_fitting(
    workspace: Workspace, session: Session, request: Request, journal: Journal
) -> tuple[tuple[Check, ...], Fitting | None]:
    """And, where another profile or region may do what this one can't, what would fit."""
    try:
        plan = resolve(workspace, session, request, journal)
    except (WorkspaceError, TemplateError) as error:
        if not error.problems and error.code != WITHOUT_VALUE:
            raise
        return of_files(error), None
    place = GroupPlace(session, request.subscription_id, plan.group.name)
    registered = registrations(session, request.subscription_id)
    journal.progress(Text("Looking at what exists in {group}…", group=plan.group.name))
    existing = look(place, plan.planned, plan.project, journal, unregistered(registered))
    facts = facts_of(place, plan, request, registered, existing)
    checks = judged(facts)
    fitting = would_fit(place, facts, checks, model_bytes(facts))
    remember(workspace, request, plan, facts, checks, fitting=fitting)
    return (*of_template(plan.warnings), *checks), fitting


def remember(
    workspace: Workspace,
    request: Request,
    plan: Plan,
    facts: Facts,
    checks: Sequence[Check],
    *,
    fitting: Fitting | None,
) -> None:
    """Keeps what was read, for the editor to tell of."""
    if request.state is not None and not plan.mask:  # a file is no place for what is shown nowhere
        moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        keep_last_read(request.state, workspace.folder, last_read(facts, checks, plan.values, moment, fitting))


def model_bytes(facts: Facts) -> int | None:
    """What the base model on the share needs on a GPU; None where that can't be told."""
    return None if facts.models is None else needed(facts.models)


def checked(
    place: GroupPlace,
    plan: Plan,
    request: Request,
    registered: Mapping[str, str | Unread],
    existing: Existing | None = None,
) -> tuple[Check, ...]:
    """`existing` None: nothing was looked at yet."""
    return judged(facts_of(place, plan, request, registered, existing))


def facts_of(
    place: GroupPlace,
    plan: Plan,
    request: Request,
    registered: Mapping[str, str | Unread],
    existing: Existing | None,
) -> Facts:
    planned, session = plan.planned, place.session
    wanted = wanted_profile(plan.template, planned, plan.stated)
    environment = None if existing is None else existing.environment
    location = environment.location if environment is not None else _location(plan)
    account, share = planned.names.get(ACCOUNT, ""), planned.names.get(SHARE, "").rpartition("/")[2]
    there = existing is not None and existing.account is not None
    gpu = wanted is not None and (wanted.kind is None or has_gpu(wanted.kind))
    files, models = None, None
    if there and share:
        app = None if existing is None else existing.app
        files, models = _share(place, account, share, server_of(plan, app), _gpu_kind(wanted, existing))
    return Facts(
        who=read(lambda: Text("{name} is signed in.", name=signed_in_as(session))),
        token_tenant=token_tenant(session),
        tenant=request.tenant_id,
        location=location,
        planned=planned,
        project=plan.project,
        wanted=wanted,
        instances=_instances(plan),
        existing=existing,
        registered=registered,
        grants=read(lambda: offers.grants(place)),
        offers={} if wanted is None else read(lambda: offers.offers(place, location)),
        usage=read(lambda: apps.gpu_usage(place, location)) if gpu else {},
        account=None if existing is None else existing.account,
        name_free=None
        if there or not account or existing is None
        else read(lambda: offers.is_name_free(place, account)),
        files=files,
        nodes=None
        if existing is None
        else nodes_to_resize(planned, existing, plan.values, planned.names.get(ENVIRONMENT, "")),
        login=stated_login(plan.values),
        models=models,
    )


def read(ask: Callable[[], T]) -> T | Unread:
    """What can't be had is said with its reason: it stops nobody."""
    try:
        return ask()
    except Cancelled:
        raise
    except SlipwayError as error:
        return Unread(error.message)


def _share(
    place: GroupPlace, account: str, share: str, server: Server | None, kind: str | None
) -> tuple[SlipwayError | Unread | None, ModelFacts | None]:
    """ARM may be well while the file service refuses: another host, other rules. None where it answers, or is
    to be made. And the models on it, where the folder holds our server (`server` None: another one)."""
    try:
        with open_share(place, account, share) as opened:
            if server is not None:
                look = model_facts if server.ours else facts_by_place
                return None, look(opened, "", server.settings, kind)
            opened.list("")
    except NotFound:
        return None, None
    except NotAuthorized as error:
        return error, None
    except Unreachable as error:
        return Unread(error.message), None
    except Cancelled:
        raise
    except SlipwayError as error:
        return error, None
    return None, None


@dataclass(frozen=True)
class Server:
    """What the app will start. `settings`: as variables. `ours`: whether it is our server, not only its code in the folder."""

    settings: Settings
    ours: bool


def server_of(plan: Plan, app: apps.App | None) -> Server | None:
    """By what is stated, else by what the app has; None where the folder holds another server than ours."""
    planned, script = template_env(plan.planned.app_template), start_script(plan.planned.app_template)
    if not plan.ours or "SLIPWAY_MOUNT" not in planned:
        return None
    if app is None:
        return Server({**planned, **commanded(script)}, starts_our_server(script))
    if "SLIPWAY_MOUNT" not in app.env:
        return None
    stated = "defaultCommands" in plan.values
    commands = script if stated else script_of(app)
    base = (planned if "baseModel" in plan.values else app.env).get("SLIPWAY_BASE_MODEL", "")
    hub = (planned if "hubModel" in plan.values else app.env).get("SLIPWAY_HUB_MODEL", "")
    env = {**app.env, **(planned if stated else {}), "SLIPWAY_BASE_MODEL": base, "SLIPWAY_HUB_MODEL": hub}
    return Server({**env, **commanded(commands)}, starts_our_server(commands))


def _gpu_kind(wanted: Wanted | None, existing: Existing | None) -> str | None:
    """The type of profile that the app runs on, or will; None for one without a GPU."""
    environment, app = (None, None) if existing is None else (existing.environment, existing.app)
    named = app.profile if app is not None else None if wanted is None else wanted.name
    known = None if environment is None else kind_of(environment, named)
    kind = known or (None if wanted is None or app is not None else wanted.kind)
    return kind if has_gpu(kind) else None


def _location(plan: Plan) -> str:
    stated = plan.stated.get("location", {}).get("value")
    return str(stated) if stated else plan.group.location


def _instances(plan: Plan) -> int:
    """How many the template asks for at most: of a dedicated profile's nodes, else of the app's replicas."""
    counts = [each.get("maximumCount") for each in plan.planned.profiles]
    scale = (plan.planned.app_template or {}).get("scale")
    replicas = cast("dict[str, object]", scale).get("maxReplicas") if isinstance(scale, dict) else None
    found = [each for each in (*counts, replicas) if isinstance(each, int)]
    return found[0] if found else 1


def stop_where_it_fails(
    workspace: Workspace, checks: Sequence[Check], journal: Journal, fitting: Fitting | None = None
) -> None:
    """Says what is doubtful or unverified; raises for what fails: all of it at once, before anything is written, and with what
    would fit."""
    for each in checks:
        if each.verdict == "WARN":
            journal.log(each.sentence if each.problem is None else each.problem.told(), "warning")
        elif each.verdict == "UNVERIFIED":
            journal.log(Text("Unverified: {problem}", problem=each.sentence), "warning")
    failed = failures(checks)
    if not failed:
        return
    first = failed[0]
    others = "\n".join(f"{each.name}: {each.sentence} {each.remedy or ''}".rstrip() for each in failed[1:])
    detail = "\n\n".join(part for part in (others, "" if fitting is None else fitting_lines(fitting)) if part)
    error = PreflightFailed(first.sentence, first.remedy, code=first.code, detail=detail or None)
    error.problems = problems_of(workspace, failed)
    raise error


def problems_of(workspace: Workspace, checks: Sequence[Check]) -> tuple[Problem, ...]:
    """Checks that something in the person's files decides, where it stands."""
    found: list[Problem] = []
    for each in checks:
        if each.problem is not None:
            found.append(each.problem)
        if each.parameter is None or each.verdict not in ("FAIL", "WARN"):
            continue
        at = stated_at(workspace, each.parameter)
        if at is not None:
            found.append(Problem(str(at.file), at.shown, at.line, at.column, each.sentence, each.verdict == "FAIL"))
    return tuple(found)
