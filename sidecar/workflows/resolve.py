"""What *Provision* is about to do, before anything is looked at: the template, its parameters, the names that they give."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.core.deployment import (
    GroupFacts,
    Planned,
    Template,
    VaultSecret,
    built,
    deployment_name,
    has_parameter,
    hiding,
    in_casing_of,
    merge_parameters,
    plan_names,
)
from sidecar.core.journal import Journal
from sidecar.core.masking import NOTHING, Mask
from sidecar.core.parameter_forms import with_problems
from sidecar.core.parameters import Parameters as Stated
from sidecar.core.parameters import parameters_at, read_parameters, stated_at
from sidecar.core.template import load_template
from sidecar.core.workspace import Workspace, known_project_id, read_config, read_finetuning
from sidecar.decisions.models_on_share import OUR_SERVER
from sidecar.decisions.profiles import Parameters
from sidecar.decisions.provisioning import APP, whose
from sidecar.decisions.stated_parameters import SET_BY_US, misstated, with_documented_defaults, without_value
from sidecar.gateway import apps, resources
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import WorkspaceError
from sidecar.words.problems import Problem
from sidecar.words.text import Text


@dataclass(frozen=True)
class Request:
    subscription_id: str
    tenant_id: str
    resource_group: str
    consents: tuple[str, ...]
    environ: dict[str, str]
    state: Path | None = None
    """Where what was read is kept for the editor; None: nowhere."""
    app: str | None = None
    """Ours of several, by a person's word."""


@dataclass(frozen=True)
class Plan:
    """What is deployed where, before anything was looked at."""

    template: Template
    values: dict[str, object]
    """What the parameters files state, without what only ARM reads."""
    stated: Parameters
    """The same as ARM takes it."""
    planned: Planned
    project: str
    group: resources.Group
    name: str
    """Of the deployment."""
    ours: bool = True
    """Whether what is deployed to the app is our server, as far as the folder tells."""
    warnings: tuple[Problem, ...] = ()
    """What the compiler has to say of the template, and stops nothing."""
    mask: Mask = NOTHING
    """What of it is shown nowhere."""
    all_values: dict[str, object] = field(default_factory=dict[str, object])
    """Those that only ARM reads among them."""
    fresh: bool = False
    """Whether the project's id was made up just now: nothing knows it yet."""


def resolve(workspace: Workspace, session: Session, request: Request, journal: Journal) -> Plan:
    """Raises SlipwayError for a template or parameters that can't be read, and for a group that is not there."""
    files = workspace.bicep_file, workspace.template_file
    compiled = load_template(*files, request.environ, workspace.folder, journal)
    parameters = read_parameters(workspace, request.environ)
    mask = journal.mask = Mask(parameters.hidden, parameters.values)
    refuse_vaults(workspace, parameters, session)
    values = usable(compiled.template, parameters)
    template = hiding(with_documented_defaults(compiled.template, values), parameters.hidden)
    refuse_misstated(workspace, template, values)
    values = in_casing_of(template, values)
    plain = {name: each for name, each in values.items() if not isinstance(each, VaultSecret)}
    journal.log(compiled.how)
    for note in (*parameters.notes, *differences(workspace, request)):
        journal.log(note, "warning")
    group = resources.group(session, request.subscription_id, request.resource_group)
    facts = GroupFacts(request.subscription_id, request.tenant_id, group.name, group.id, group.location)
    stated = merge_parameters(template, values, {})
    hide_built(mask, template, stated, parameters.hidden, facts)
    planned = plan_names(template, stated, facts, request.app or read_config(workspace).ACA_APP_NAME)
    known = this_project(workspace, GroupPlace(session, request.subscription_id, group.name), planned)
    project = known or str(uuid.uuid4())
    name = deployment_name(template, stated, group.id, project)
    ours = not workspace.code.is_dir() or (workspace.code / OUR_SERVER).is_file()
    return Plan(
        template,
        plain,
        stated,
        planned,
        project,
        group,
        name,
        ours=ours,
        fresh=known is None,
        warnings=compiled.warnings,
        mask=mask,
        all_values=values,
    )


def hide_built(mask: Mask, template: Template, stated: Parameters, hidden: Collection[str], group: GroupFacts) -> None:
    """Hides what the template makes of what is hidden, too."""
    names = {each.lower() for each in hidden}
    shown = {
        name: {"value": mask.document(each.get("value"))} if name.lower() in names else each
        for name, each in stated.items()
    }
    for value, told in built(template, stated, shown, group) if names else ():
        mask.know(value, told)


def usable(template: Template, parameters: Stated) -> dict[str, object]:
    """What is stated, without fine-tuning's names that this template has no use for."""
    left = {name for name in parameters.inherited if not has_parameter(template, name)}
    return {name: value for name, value in parameters.values.items() if name not in left}


def refuse_vaults(workspace: Workspace, parameters: Stated, session: Session) -> None:
    """Raises WorkspaceError for secrets of a vault where nobody reads them, with all places, before anything is made."""
    secrets = {name: each for name, each in parameters.values.items() if isinstance(each, VaultSecret)}
    if session.profile.vaults or not secrets:
        return
    told = {name: _unread(name, each) for name, each in secrets.items()}
    error = WorkspaceError(
        next(iter(told.values())),
        Text("State a value for the local cloud, in another parameters file, or provision in Azure."),
        code="KeyVaultReference",
    )
    places = [(sentence, stated_at(workspace, name)) for name, sentence in told.items()]
    error.problems = tuple(
        Problem(str(at.file), at.shown, at.line, at.column, sentence) for sentence, at in places if at is not None
    )
    raise error


def _unread(name: str, secret: VaultSecret) -> Text:
    return Text(
        "{file}: {name} is a secret of a key vault, which the local cloud can't read.", file=secret.where, name=name
    )


def refuse_misstated(workspace: Workspace, template: Template, stated: Mapping[str, object]) -> None:
    """Raises WorkspaceError for what the template would refuse, with all places, before anything is asked of Azure."""
    wrong = misstated(template, stated)
    places = [(each, stated_at(workspace, each.name)) for each in wrong]
    told = [Problem(str(at.file), at.shown, at.line, at.column, each.sentence) for each, at in places if at is not None]
    missing = without_value(template, stated, SET_BY_US)
    lacking = Text(
        "The template's parameters {names} have no default, and no value is stated.", names=", ".join(missing)
    )
    at = parameters_at(workspace) if missing else None
    if at is not None:
        told.append(Problem(str(at.file), at.shown, at.line, at.column, lacking))
    if told:
        raise with_problems(told, wrong[0].code if wrong else WITHOUT_VALUE)
    if missing:
        raise WorkspaceError(
            lacking,
            Text("State them in {file}.", file="infra/provision/inference.parameters.json"),
            code=WITHOUT_VALUE,
        )


WITHOUT_VALUE = "ParameterWithoutValue"


def this_project(workspace: Workspace, place: GroupPlace, planned: Planned) -> str | None:
    """This project's id. A clone without infra/slipway.json whose configuration names the app has the app's own.
    None: it has none yet."""
    known = known_project_id(workspace)
    configured = read_config(workspace).ACA_APP_NAME
    name = planned.names.get(APP)
    app = apps.find_app(place.app(name)) if known is None and configured and name else None
    return whose(known, configured, app)


def differences(workspace: Workspace, request: Request) -> list[Text]:
    """Warnings where the choice differs from fine-tuning's: its share and model would not be found."""
    known = read_finetuning(workspace)
    pairs = (
        ("subscription", known.SUBSCRIPTION_ID, request.subscription_id),
        ("resource group", known.RESOURCE_GROUP_NAME, request.resource_group),
    )
    return [
        Text(
            "Fine-tuning used the {what} {theirs}, this is {ours}: its models are not on this share.",
            what=what,
            theirs=theirs,
            ours=ours,
        )
        for what, theirs, ours in pairs
        if theirs and theirs.lower() != ours.lower()
    ]
