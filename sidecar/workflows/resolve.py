"""What *Provision* is about to do, before anything is looked at: the template, its parameters, the names that they give."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sidecar.armlang.deployment import (
    GroupFacts,
    Planned,
    Template,
    deployment_name,
    merge_parameters,
    plan_names,
)
from sidecar.core.journal import Journal
from sidecar.core.template import load_template
from sidecar.core.workspace import Workspace, known_project_id, read_config, read_finetuning, read_parameters
from sidecar.decisions.profiles import Parameters
from sidecar.decisions.provisioning import APP, whose
from sidecar.gateway import apps, resources
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.text import Text


@dataclass(frozen=True)
class Request:
    subscription_id: str
    tenant_id: str
    resource_group: str
    consents: tuple[str, ...]
    environ: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """What is deployed where, before anything was looked at."""

    template: Template
    values: dict[str, object]
    """What the parameters files state."""
    stated: Parameters
    """The same as ARM takes it."""
    planned: Planned
    project: str
    group: resources.Group
    name: str
    """Of the deployment."""
    fresh: bool = False
    """Whether the project's id was made up just now: nothing knows it yet."""


def resolve(workspace: Workspace, session: Session, request: Request, journal: Journal) -> Plan:
    """Raises SlipwayError for a template or parameters that can't be read, and for a group that is not there."""
    compiled = load_template(workspace.bicep_file, workspace.template_file, request.environ)
    parameters = read_parameters(workspace)
    journal.log(compiled.how)
    for note in (*parameters.notes, *differences(workspace, request)):
        journal.log(note, "warning")
    group = resources.group(session, request.subscription_id, request.resource_group)
    facts = GroupFacts(request.subscription_id, request.tenant_id, group.name, group.id, group.location)
    stated = merge_parameters(compiled.template, parameters.values, {})
    planned = plan_names(compiled.template, stated, facts)
    known = this_project(workspace, GroupPlace(session, request.subscription_id, group.name), planned)
    project = known or str(uuid.uuid4())
    name = deployment_name(compiled.template, stated, group.id, project)
    return Plan(compiled.template, parameters.values, stated, planned, project, group, name, fresh=known is None)


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
