"""What a new replica is made of: its app's and revision's settings, put together before it starts."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sidecar.localcloud.core.capacity import gpu_need
from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.core.state import Resource, Store
from sidecar.localcloud.runtime.archive import Archive
from sidecar.localcloud.runtime.configuration import ContainerTemplate, app_of, template_of
from sidecar.localcloud.runtime.mounts import mounts_of
from sidecar.localcloud.runtime.pulls import pulled
from sidecar.localcloud.runtime.replicas import ReplicaSpec


@dataclass(frozen=True)
class Surroundings:
    """What an app's runtime needs of the cloud that it runs in."""

    folder: Path
    settings: Settings
    store: Store
    ingress_host: str
    image_python: Callable[[], Path | None]
    """The python of the built image; None as long as there is none."""


@dataclass(frozen=True)
class Assignment:
    """Which replica is made, and for what."""

    name: str
    revision: Resource
    folder: Path
    """The app's."""
    target_port: int | None
    hostname: str


def archive_of(around: Surroundings, app_id: str) -> Archive:
    return Archive(around.folder, around.store, app_id, around.settings.times)


def assembled(around: Surroundings, app: Resource, made: Assignment) -> ReplicaSpec:
    template = template_of(made.revision.properties["template"])
    times = around.settings.times
    has_gpu = gpu_need(around.settings, around.store, app) is not None

    def pull(entry: ContainerTemplate) -> int:
        # The app as it is now: a changed password reaches the next pull.
        current = app_of(around.store.get(app.id) or app)
        return pulled(around.settings, entry, current.credentials, around.image_python())

    return ReplicaSpec(
        revision=made.revision.name,
        template=template,
        target_port=made.target_port,
        grace=min(template.grace, times.gpu_grace) if has_gpu else template.grace,
        folder=made.folder / "layers" / made.name,
        environment={
            "CONTAINER_APP_NAME": app.name,
            "CONTAINER_APP_REVISION": made.revision.name,
            "CONTAINER_APP_HOSTNAME": made.hostname,
            "SLIPWAY_BIND_HOST": "127.0.0.1",
        },
        machine=os.environ,
        secrets=app_of(app).secrets,
        image_python=around.image_python(),
        pull=pull,
        mounts=lambda folder: mounts_of(around.store, around.folder, app_of(app), template, folder),
        times=times,
        keep=lambda container: archive_of(around, app.id).console(made.revision.name, made.name, container),
        bare=around.settings.bare_image,
    )
