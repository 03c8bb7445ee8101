"""Whether our server can read the tokenizer's files in a model's folder, by their sizes and their settings. Pure.

The rules are the model server's (inference/engine/adapters/tokenizer.py, inference/engine/text/tokenizer.py); whether a chat
template compiles, and a tokenizer.json is one, only the server can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sidecar.decisions.checks import Unread
from sidecar.decisions.model_facts import Broken, Json
from sidecar.words.text import Text

SETTINGS = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
FILES = ("tokenizer.json", SETTINGS, TEMPLATE)
TOKENIZERS = (("tokenizer.json",), ("tokenizer.model",), ("vocab.json", "merges.txt"))
"""Any of these is a tokenizer."""
MOST_BYTES = 64 << 20
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


def unusable(files: Mapping[str, int], settings: Json | Broken | Unread | None) -> Broken | None:
    """Why the server refuses what lies there; None where nothing that was read says so. `settings`: of SETTINGS."""
    for name in FILES:
        if files.get(name, 0) > MOST_BYTES:
            return Broken(Text("{file} is larger than {size} MiB", file=name, size=MOST_BYTES >> 20))
    if isinstance(settings, Broken):
        return Broken(Text("{file}: {reason}", file=SETTINGS, reason=settings.reason))
    if settings is None or isinstance(settings, Unread):
        return None
    for name in SPECIAL:
        value = settings.get(name)
        if value and not isinstance(value, str) and not (isinstance(value, dict) and "content" in value):
            return Broken(Text("{file} describes its {name} wrongly", file=SETTINGS, name=name))
    written = settings.get("chat_template")
    if TEMPLATE not in files and written is not None and not _is_template(written):
        return Broken(Text("the chat_template of {file} is none", file=SETTINGS))
    return None


def has_template(files: Mapping[str, int], settings: Json | Broken | Unread | None) -> bool | Unread:
    """Whether a chat template of its own is there: a file, or in the settings; of several by name the server takes `default`."""
    if TEMPLATE in files:
        return True
    if isinstance(settings, Unread):
        return settings
    if settings is None or isinstance(settings, Broken):
        return False
    written = settings.get("chat_template")
    if not isinstance(written, list):
        return bool(written)
    named = _named(cast("list[object]", written))
    return any(each.get("name") == "default" and bool(each.get("template")) for each in named)


def _is_template(written: object) -> bool:
    """A text, or several by name."""
    if not isinstance(written, list):
        return isinstance(written, str)
    entries = cast("list[object]", written)
    named = _named(entries)
    return len(named) == len(entries) and all({"name", "template"} <= set(each) for each in named)


def _named(entries: list[object]) -> list[Json]:
    return [cast("Json", each) for each in entries if isinstance(each, dict)]
