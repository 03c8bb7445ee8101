"""Names of container images, by the grammar of the Open Container Initiative's distribution specification. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?"
    r"(?P<digest>@sha256:[0-9a-f]{64})?"
)


def is_fixed(image: str) -> bool | None:
    """Whether a name says which image it is, by a digest or by a tag other than `latest`; None for what is no image's name."""
    found = _REFERENCE.fullmatch(image)
    return None if found is None else found["digest"] is not None or found["tag"] not in (None, "latest")


def image_of(app_template: Mapping[str, object] | None) -> str | None:
    """The first container's image; None where it can't be told."""
    containers = (app_template or {}).get("containers")
    if not isinstance(containers, list) or not containers:
        return None
    image = cast("list[dict[str, object]]", containers)[0].get("image")
    return image if isinstance(image, str) and image else None
