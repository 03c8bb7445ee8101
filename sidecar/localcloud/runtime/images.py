"""Images: which of them a registry would hand out, in its words. None is pulled here; a stated registry may still refuse."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.localcloud.core.settings import Registry, Settings

SIZE = 33_554_432
"""Bytes that a pull is said to have taken: nothing is pulled here, and nobody should read anything into it."""
_REFERENCE = re.compile(
    r"^(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::\d+/[a-z0-9._/-]+)?)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@sha256:[0-9a-f]{64})?$"
)


@dataclass(frozen=True)
class Credential:
    """What an app presents to a registry."""

    server: str
    password: str
    identity: str = ""


@dataclass(frozen=True)
class Refusal:
    """A registry's answer to who may not have an image."""

    text: str
    unauthorized: bool = False


def refusal(settings: Settings, image: str, credentials: Sequence[Credential]) -> Refusal | None:
    """Why a registry does not hand out the image; None where it does."""
    server, repository, tag = split_image(image)
    if not _REFERENCE.match(image):
        return Refusal(f"could not parse reference: {image}")
    if server.endswith(".invalid"):  # reserved: such a host exists nowhere
        return Refusal(f"failed to resolve registry '{server}': lookup {server} on 10.0.0.4:53: no such host")
    known = settings.registries.get(server)
    if known is None:
        return None
    given: Mapping[str, Credential] = {each.server.lower(): each for each in credentials}
    if not _admitted(known, given.get(server)):
        scope = f"scope=repository%3A{repository}%3Apull&service={server}"
        return Refusal(f"GET https:?{scope}: UNAUTHORIZED: authentication required", unauthorized=True)
    if f"{repository}:{tag}" in known.missing:
        return Refusal(f'GET https:: MANIFEST_UNKNOWN: manifest tagged by "{tag}" is not found; map[Tag:{tag}]')
    if f"{repository}:{tag}" in known.other_platform:
        return Refusal("no child with platform linux/amd64 found in manifest list")
    return None


def _admitted(known: Registry, shown: Credential | None) -> bool:
    if shown is None:
        return False
    if shown.identity:
        return shown.identity.lower() in {each.lower() for each in known.pullers}
    return shown.password == known.password


def split_image(image: str) -> tuple[str, str, str]:
    """Registry's server, repository, tag."""
    name, _, _digest = image.partition("@")
    first, slash, rest = name.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    server, path = (first.lower(), rest) if named else ("docker.io", name)
    repository, colon, tag = path.rpartition(":")
    return (server, repository, tag) if colon else (server, path, "latest")
