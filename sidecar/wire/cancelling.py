"""Messages of *Cancel provisioning*, and where a Provision was begun."""

from __future__ import annotations

from sidecar.wire.message import Message, Operation, Sentence
from sidecar.words.names import CloudName


class ProvisionTarget(Message):
    """Where a Provision was begun: it goes on there without being asked."""

    cloud: CloudName
    subscription_id: str
    resource_group: str


class CancelParams(Operation):
    """`target`: where a Provision was begun; None: wherever one of this folder was cut off."""

    folder: str
    cloud: CloudName
    target: ProvisionTarget | None


class ProvisionCancelled(Message):
    """`deployments`: those that were under way, and are cancelled, or told in the sentence why not."""

    deployments: list[str]
    sentence: Sentence
