"""What may not leave this machine, taken out of text: known secrets wherever they stand, and what looks like one. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, cast

HIDDEN = "[redacted]"
LEAST = 6
"""A known secret that is shorter would strike words that are none."""

_SHAPES = (
    re.compile(r"(?i)(bearer\s+)[\w.~+/=-]{6,}"),
    re.compile(r"(?i)([?&](?:sig|code|token|key)=)[^&\s\"']+"),
    re.compile(r"(?i)(/login/)[\w.-]{8,}"),
    re.compile(r"(?i)((?:account|sharedaccess|primary|secondary)key\s*=\s*)[^;\"'\s]+"),
    re.compile(r"(?i)((?:SharedAccessSignature)[\s=]+)[^;\"'\s]+"),
    re.compile(r"(?i)(\b(?:pwd|password|client_?secret)\s*=\s*)[^;\"'\s]+"),
    re.compile(r"(\b[A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD)[A-Z0-9_]*=)[^\s\"']+"),
    re.compile(r"(?i)(\"[\w-]*(?:api_?key|token|secret|password|credential)\"\s*:\s*\")[^\"]+"),
    re.compile(r"()\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
    re.compile(r"()\b(?:hf|ghp|gho|ghs|ghu|github_pat)_\w{16,}"),
    re.compile(r"()\bsk-[\w-]{16,}"),
    re.compile(r"()[A-Za-z0-9+/]{86}=="),
)
"""What comes before the secret is in the first group, and stays."""

PLAIN = frozenset({"SLIPWAY_APP", "SLIPWAY_RELEASE", "SLIPWAY_MOUNT", "SLIPWAY_BASE_MODEL"})
"""Variables of an app whose values are names; those of others are a person's own."""


def redacted(text: str, secrets: Collection[str]) -> str:
    """`secrets`: values that are known to be some; the longest first, so that none is left in part."""
    for each in sorted(secrets, key=len, reverse=True):
        if len(each) >= LEAST:
            text = text.replace(each, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(rf"\g<1>{HIDDEN}", text)
    return text


def without_values(document: Any) -> Any:
    """A resource as ARM tells it, without the values of variables that a person set."""
    if isinstance(document, list):
        return [without_values(each) for each in cast("list[Any]", document)]
    if not isinstance(document, dict):
        return document
    entries = cast("dict[str, Any]", document)
    if "value" in entries and "name" in entries and entries["name"] not in PLAIN:
        return {**entries, "value": HIDDEN}
    return {name: without_values(each) for name, each in entries.items()}
