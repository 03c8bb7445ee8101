"""Workflow *Cancel provisioning*: ends in the cloud what a Provision of this project has begun there, and tells what exists."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, known_project_id, read_config
from sidecar.gateway import resources
from sidecar.gateway.place import GroupPlace
from sidecar.words.errors import WorkspaceError
from sidecar.words.names import CLOUDS, CloudName
from sidecar.words.text import Text
from sidecar.workflows.bearing import borne
from sidecar.workflows.follow import cancelled_outcome

ENDED_SECONDS = 60
"""For a deployment whose cancel was taken to say that it has ended."""


@dataclass(frozen=True)
class Where:
    """Where a Provision was begun; `cloud` is never `auto`."""

    cloud: CloudName
    subscription_id: str
    resource_group: str


@dataclass(frozen=True)
class Stopped:
    """`deployments`: those that were under way."""

    deployments: tuple[str, ...]
    sentence: Text


def facts_of(where: Where) -> dict[str, str]:
    """What is written beside each step of a Provision, so that the next window knows where it was."""
    return {"cloud": where.cloud, "subscription": where.subscription_id, "group": where.resource_group}


def where_in(facts: Mapping[str, object]) -> Where | None:
    """None where a journal of before says nothing of it."""
    clouds: dict[object, CloudName] = {each: each for each in CLOUDS}
    cloud = clouds.get(facts.get("cloud"))
    subscription, group = facts.get("subscription"), facts.get("group")
    if cloud is None or not isinstance(subscription, str) or not isinstance(group, str):
        return None
    return Where(cloud, subscription, group)


def where_configured(workspace: Workspace, cloud: CloudName) -> Where:
    """Where the configuration says that this project's resources are."""
    config = read_config(workspace)
    if not config.SUBSCRIPTION_ID or not config.RESOURCE_GROUP_NAME:
        raise WorkspaceError(
            Text("No Provision of this folder is known that could be cancelled."),
            Text("A deployment that somebody else began is cancelled where it was begun, or in the portal."),
            code="NothingToCancel",
        )
    return Where(cloud, config.SUBSCRIPTION_ID, config.RESOURCE_GROUP_NAME)


def cancel(workspace: Workspace, place: GroupPlace, journal: Journal) -> Stopped:
    """Of this project alone: another project's deployments in the group go on."""
    project = known_project_id(workspace)
    running = resources.active_of(place, project) if project else []
    told = [cancelled_outcome(place, name).message for name in running]
    for name in running:
        _until_ended(place, name, journal)
    if not told:
        return Stopped(
            (), Text("Nothing of this project is being provisioned in {group}. What exists stays.", group=place.group)
        )
    return Stopped(tuple(running), together(told))


def _until_ended(place: GroupPlace, name: str, journal: Journal) -> None:
    """What is under way ends by itself; the next Provision waits for it where it has not ended here."""
    patience, pause = place.session.patience, place.session.poll_seconds
    deadline = patience.deadline(ENDED_SECONDS)
    while time.monotonic() < deadline:
        found = borne(journal, patience, pause, lambda: resources.find_deployment(place, name))
        if found is None or found.finished:
            return
        journal.progress(Text("Waiting for the deployment {name} to end…", name=name))
        journal.wait(pause)


def together(told: list[Text]) -> Text:
    return told[0] if len(told) == 1 else Text.listed(told, " ")
