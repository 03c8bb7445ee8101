"""Why a write of an app was refused, when whoever asked for it has gone: the words stay with the deployment's operations."""

from __future__ import annotations

from datetime import UTC, datetime

from sidecar.gateway.place import AppPlace
from sidecar.gateway.resources import deployment_operations, deployments_client
from sidecar.gateway.translation import translated, word
from sidecar.words.text import Text

APP = "Microsoft.App/containerApps"
NEWEST = 3
"""Failed deployments that are looked into: the app's last write is among the last."""

NEVER = datetime.min.replace(tzinfo=UTC)


def words_of_last(place: AppPlace) -> str | None:
    """What the newest deployment that could not write this app was told; None where none of the last says it: a change that was
    no deployment leaves no words."""
    around = place.around
    with (
        translated(Text("Listing the deployments of {name}", name=place.group)),
        deployments_client(around.session, around.subscription_id) as client,
    ):
        failed = [
            (each.properties.timestamp or NEVER, str(each.name))
            for each in client.deployments.list_by_resource_group(place.group)
            if each.properties is not None and word(each.properties.provisioning_state) == "Failed"
        ]
    for _, name in sorted(failed, reverse=True)[:NEWEST]:
        for operation in deployment_operations(around, name):
            mine = (operation.resource_type.lower(), operation.name.lower()) == (APP.lower(), place.name.lower())
            if mine and operation.state == "Failed" and operation.message:
                return operation.message
    return None
