"""Workflow *Releases*: which ones are kept, who put them there and when, and how they differ from what is current."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.releases import Generation
from sidecar.core.sync import diff
from sidecar.core.workspace import Workspace
from sidecar.gateway.files import open_share
from sidecar.gateway.session import Session
from sidecar.workflows.beforehand import Difference
from sidecar.workflows.records import manifest_on, read_record
from sidecar.workflows.stage import look


@dataclass(frozen=True)
class Kept:
    """`there`: whether its bundle is on the share. `changes`: what going back to it would change; None where nobody knows."""

    generation: Generation
    current: bool
    served: bool
    there: bool
    changes: Difference | None


def releases(workspace: Workspace, session: Session, journal: Journal) -> list[Kept]:
    """The newest first. Nothing is sent to the endpoint."""
    stage = look(workspace, session, journal, None)
    if stage.where.plain:
        return []
    with open_share(stage.place.around, stage.where.share.account, stage.where.share.share) as share:
        record = read_record(share, stage.home, journal)
        wanted = {each.release for each in record.generations.values()} & record.there
        manifests = {each: manifest_on(share, stage.home, each) for each in sorted(wanted)}
    current = record.current
    now = None if current is None else manifests.get(current.release)

    def changes(release: str) -> Difference | None:
        then = manifests.get(release)
        if then is None or now is None:
            return None
        found = diff(then, now)
        return Difference(found, tuple(path for path in found.upload if path not in now), uploads=False)

    return [
        Kept(
            each,
            current=each is current,
            served=each.number in record.served,
            there=each.release in record.there,
            changes=changes(each.release),
        )
        for _, each in sorted(record.generations.items(), reverse=True)
    ]
