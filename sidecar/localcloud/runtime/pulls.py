"""The pull of a container's image, as far as there is one: its registry may refuse, and nothing is fetched."""

from collections.abc import Sequence
from pathlib import Path

from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.runtime.configuration import ContainerTemplate
from sidecar.localcloud.runtime.containers import NotPulled
from sidecar.localcloud.runtime.images import SIZE, Credential, refusal


def pulled(
    settings: Settings, entry: ContainerTemplate, credentials: Sequence[Credential], image_python: Path | None
) -> int:
    """The size of the image in bytes; NotPulled in its registry's words, or because nothing stands in for it here."""
    refused = refusal(settings, entry.image, credentials)
    if refused:
        raise NotPulled(refused.text, unauthorized=refused.unauthorized)
    if not entry.command:
        raise NotPulled(
            f"The local cloud pulls no images, so '{entry.image}' has no command of its own here. Give the container a command.",
            unauthorized=False,
        )
    if image_python is None:
        raise NotPulled(
            "The environment that stands in for the image has not been built: `python -m sidecar.localcloud.image`.",
            unauthorized=False,
        )
    return SIZE
