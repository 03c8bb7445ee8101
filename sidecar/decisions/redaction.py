"""What may not leave this machine, taken out of text and documents: known secrets, and what looks like one. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, cast
from urllib.parse import quote, quote_plus

HIDDEN = "[redacted]"
LEAST = 6
"""A known secret that is shorter would strike words that are none."""

LEAST_LINE = 16
"""Of a known secret of several lines, each of which a log has for itself."""

_NAME = (
    r"(?:[\w.-]*[_-]key"
    r"|[\w.-]*(?:api|access|account|private|primary|secondary|shared|signing|master|auth|client|storage)\.?key"
    r"|[\w.-]*(?<!eos_)(?<!bos_)(?<!pad_)(?<!unk_)(?<!sep_)(?<!cls_)(?<!mask_)(?<!stop_)token"
    r"|[\w.-]*(?:secret|password|passwd|passphrase|pwd|credentials?))[_-]?\d{0,3}"
)
"""A name that holds a secret ends so. `tokenizer`, `max_tokens`, `secretRef` and a model's `eos_token` do not."""

_SPOKEN_NAME = re.compile(f"(?i:{_NAME})")
_VARIABLE = r"(?=[A-Z0-9_]*?(?:KEY|TOKEN|SECRET|PASSW|CREDENTIAL))[A-Z][A-Z0-9_]*"
_VARIABLE_NAME = re.compile(_VARIABLE)

_PLAIN_VALUE = r"(?:null|none|true|false|-?\d{1,5}(?:\.\d+)?(?:ms|s|%)?)"
_NO_SECRET = re.compile(f"(?i:{_PLAIN_VALUE})?")

_QUOTED = r"(?P<q>\\*[\"'`])(?:.*?(?<!\\)(?P=q)|.*)(?:\\?[\"'`]\S*)?"
"""To the quote that ends it, escaped as often as the first; and what a shell would take as a part of it."""

_PLAIN_END = r"[\"'`,;)\]}\\]*(?:\s|$)"
_PLAIN = rf"(?:{_PLAIN_VALUE}|(?P<p>\\*[\"'`]){_PLAIN_VALUE}(?P=p)){_PLAIN_END}"
"""What is quoted is so to its closing quote: a passphrase may begin with a number."""

_VALUE = rf"(?!{_PLAIN})(?:{_QUOTED}|\S+)"
"""What is unquoted ends where a space is: rather too much is taken than the rest of a secret left."""

_Q = r"\\*[\"']"
_PRIVATE_KEY = re.compile(r"(?s)()-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)")

_SHAPES = (
    _PRIVATE_KEY,
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,20}:(?:\\?/){2})[^\s/\"'<>]+(?=@)"),
    re.compile(r"(?i)(\b(?:proxy-)?authorization\\*[\"']?\s*[:=]\s*\\*[\"']?)[^\r\n\"'\\]+"),
    re.compile(r"(?i)(\b(?:set-)?cookie\\*[\"']?\s*:\s*\\*[\"']?)[^\r\n\"'\\]+"),
    re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]{6,}"),
    re.compile(r"(?i)([?&](?:sig|code|token|key)=)[^&\s\"']+"),
    re.compile(r"(?i)(/login/)[\w.-]{8,}"),
    re.compile(r"(?i)((?:account|sharedaccess|primary|secondary)key\s*=\s*)[^;\"'\s]+"),
    re.compile(r"(?i)((?:SharedAccessSignature)[\s=]+)[^;\"'\s]+"),
    re.compile(r"((?<![\w-])(?:-u|--user)[ \t=]+)[^\s:]+:\S+"),
    re.compile(rf"((?<![\w-])--?(?i:{_NAME})(?:\\*[\"'])?(?:[ \t]*,[ \t]*|[ \t]+)){_VALUE}"),
    re.compile(rf"((?<![\w.-])(?:{_VARIABLE}|(?i:{_NAME}))(?:\\*[\"'`])?[ \t]*(?:[:=]>?|:=)[ \t]*){_VALUE}"),
    re.compile(rf"((?<!\\){_Q}name{_Q}\s*:\s*{_Q}(?:{_VARIABLE}|(?i:{_NAME})){_Q}\s*,\s*{_Q}value{_Q}\s*:\s*){_VALUE}"),
    re.compile(r"()\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
    re.compile(r"()\b(?:hf|ghp|gho|ghs|ghu|github_pat)_\w{16,}"),
    re.compile(r"()\b(?:sk|glpat|xox[abprs])-[\w-]{16,}"),
    re.compile(r"()[A-Za-z0-9+/]{86}=="),
)
"""What comes before the secret is in the first group, and stays."""

PLAIN = frozenset({"SLIPWAY_APP", "SLIPWAY_RELEASE", "SLIPWAY_MOUNT", "SLIPWAY_BASE_MODEL", "SLIPWAY_HUB_MODEL"})
"""Variables of an app whose values are names; those of others are a person's own."""


def looks_secret(name: str) -> bool:
    """Whether what has this name is likely a secret."""
    return bool(_SPOKEN_NAME.fullmatch(name) or _VARIABLE_NAME.fullmatch(name))


def redacted(text: str, secrets: Collection[str]) -> str:
    """`secrets`: values that are known to be some; the longest first, so that none is left in part."""
    forms = {form for each in secrets for form in _forms(each)}
    for each in sorted(forms, key=len, reverse=True):
        text = text.replace(each, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(rf"\g<1>{HIDDEN}", text)
    return text


def redacted_document(document: Any, secrets: Collection[str]) -> Any:
    """As `redacted`, before the document becomes text: there a quote in a value would be written in another way."""
    if isinstance(document, str):
        return redacted(document, secrets)
    if isinstance(document, list | tuple):
        given = list(cast("list[Any]", document))
        return [
            HIDDEN if _is_flag(flag) and isinstance(each, str) else redacted_document(each, secrets)
            for flag, each in zip([None, *given], given, strict=False)
        ]
    if isinstance(document, Mapping):
        entries = cast("Mapping[str, Any]", document)
        called = str(entries.get("name"))
        return {
            redacted(str(name), secrets): _entry(called if name == "value" else str(name), each, secrets)
            for name, each in entries.items()
        }
    return document


def redacted_lines(text: str, secrets: Collection[str]) -> str:
    """A log: each line that is JSON is read first, for in it every quote of what was written is escaped."""
    whole = _PRIVATE_KEY.sub(HIDDEN, text)  # the one secret that goes over many lines
    return "\n".join(_line(each, secrets) for each in whole.split("\n"))


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


def secret_values(document: Any) -> list[str]:
    """Of a resource as ARM tells it: the values of variables whose name looks like a secret's."""
    if isinstance(document, list):
        return [found for each in cast("list[Any]", document) for found in secret_values(each)]
    if not isinstance(document, dict):
        return []
    entries = cast("dict[str, Any]", document)
    name, value = entries.get("name"), entries.get("value")
    if isinstance(name, str) and isinstance(value, str) and looks_secret(name) and not _NO_SECRET.fullmatch(value):
        return [value]
    return [found for each in entries.values() for found in secret_values(each)]


def _forms(secret: str) -> set[str]:
    """Ways in which a secret is written: as it is, in JSON, in JSON in JSON, in Python, in a URL, line by line."""
    if len(secret) < LEAST:
        return set()
    once = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    twice = {json.dumps(each)[1:-1] for each in once}
    lines = {each for each in secret.splitlines() if len(each) >= LEAST_LINE}
    return {*once, *twice, *lines, repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret), quote(secret)}


def _line(line: str, secrets: Collection[str]) -> str:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return redacted(line, secrets)
    if not isinstance(said, dict | list):
        return redacted(line, secrets)
    return json.dumps(redacted_document(said, secrets), ensure_ascii=False)


def _entry(name: str, value: Any, secrets: Collection[str]) -> Any:
    scalar = isinstance(value, str | int | float)
    if scalar and looks_secret(name) and not _NO_SECRET.fullmatch(str(value)):
        return HIDDEN
    return redacted_document(value, secrets)


def _is_flag(before: Any) -> bool:
    """Whether what follows in a list of arguments belongs to a flag that takes a secret."""
    return isinstance(before, str) and before.startswith("-") and looks_secret(before.lstrip("-"))
