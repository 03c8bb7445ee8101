"""What a coding assistant is told of a project: read-only, without what is secret, and no more than it can make use of."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, cast

from sidecar.core.journal import Event
from sidecar.core.workspace import open_workspace, target_of
from sidecar.decisions.redaction import redacted_document, redacted_lines
from sidecar.gateway import apps, resources
from sidecar.wire import protocol as wire
from sidecar.wire.message import text_of
from sidecar.words.errors import SlipwayError
from sidecar.workflows.context import Context, place_of, session_for

MOST = 30_000
"""Characters of an answer."""
MOST_OF_A_TEXT = 4_000
MOST_OF_A_LIST = 200


def secrets_of(folder: str, context: Context) -> list[str]:
    """The app's and its account's, to be taken out. Where they can't be read, nothing else that is read here holds them: ARM
    shows them to nobody else."""
    found: list[str] = []
    try:
        target = target_of(open_workspace(folder))
        place = place_of(session_for(folder, "auto", context), target)
    except SlipwayError:
        return found  # there is no app
    for read in (
        lambda: list(apps.secrets(place).values()),
        lambda: resources.storage_keys(place.around, target.storage_account),
    ):
        try:
            found += read()
        except SlipwayError as error:
            context.listen(Event("log", "warning", error.message))
    return found


def document_told(answer: wire.Message, secrets: Collection[str]) -> str:
    """As JSON, sentences whole."""
    # Before it is cut: of a secret that is cut through, what is left would not be known again.
    clean = shortened(redacted_document(spoken(answer.model_dump(by_alias=True)), secrets))
    return text_told(json.dumps(clean, indent=1, ensure_ascii=False), ())


def text_told(text: str, secrets: Collection[str]) -> str:
    """Its end, where it is too long: of a log that is the newest."""
    clean = redacted_lines(text, secrets) if secrets else text
    if len(clean) <= MOST:
        return clean
    return f"(cut: the last {MOST} of {len(clean)} characters)\n{clean[-MOST:]}"


def spoken(document: Any) -> Any:
    """Sentences as English texts, those within others too. Pure."""
    if isinstance(document, Mapping):
        found = cast("Mapping[str, Any]", document)
        if set(found) == {"message", "args"}:
            return str(text_of(wire.Sentence.model_validate(found)))
        return {name: spoken(value) for name, value in found.items()}
    if isinstance(document, list):
        return [spoken(each) for each in cast("list[Any]", document)]
    return document


def shortened(document: Any) -> Any:
    """With long texts and lists cut, which says so. Pure."""
    if isinstance(document, str) and len(document) > MOST_OF_A_TEXT:
        return f"{document[:MOST_OF_A_TEXT]} … (cut: {len(document)} characters)"
    if isinstance(document, Mapping):
        return {name: shortened(value) for name, value in cast("Mapping[str, Any]", document).items()}
    if isinstance(document, list):
        items = cast("list[Any]", document)
        more = [f"… (cut: {len(items)} entries)"] if len(items) > MOST_OF_A_LIST else []
        return [*(shortened(each) for each in items[:MOST_OF_A_LIST]), *more]
    return document
