"""The stamp of a compiled template: which source it was made from, and whether anybody changed it since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import cast

from sidecar.armlang.bicep_emit import Json


def normalise(source: str) -> str:
    """The text that the stamp is made of: no byte-order mark, LF line ends."""
    return source.removeprefix("\ufeff").replace("\r\n", "\n")


def stamped(template: dict[str, Json], source: str) -> dict[str, Json]:
    """The template with a stamp of the source and of its content, so that a hand-made edit of either shows."""
    stamp: dict[str, Json] = {"sourceSha256": source_digest(source), "contentSha256": content_digest(template)}
    metadata = template.get("metadata")
    named: dict[str, Json] = dict(metadata) if isinstance(metadata, dict) else {}
    made = {key: value for key, value in template.items() if key != "metadata"}
    head = {key: made.pop(key) for key in ("$schema", "languageVersion", "contentVersion")}
    return {**head, "metadata": {**named, "slipway": stamp}, **made}


def source_digest(source: str) -> str:
    return hashlib.sha256(normalise(source).encode("utf-8", "surrogatepass")).hexdigest()


def content_digest(template: Mapping[str, object]) -> str:
    """sha256 over everything but the metadata."""
    content = {key: value for key, value in template.items() if key != "metadata"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def stamp_of(template: Mapping[str, object]) -> dict[str, str] | None:
    metadata = template.get("metadata")
    stamp = cast("dict[str, object]", metadata).get("slipway") if isinstance(metadata, dict) else None
    if not isinstance(stamp, dict):
        return None
    found = {str(key): str(value) for key, value in cast("dict[object, object]", stamp).items()}
    return found if {"sourceSha256", "contentSha256"} <= found.keys() else None
