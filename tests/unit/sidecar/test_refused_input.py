"""What comes over the wire and is refused is in no error's words: an error may be written into a log."""

from __future__ import annotations

import traceback

import pytest
from pydantic import ValidationError

from sidecar.wire import chat
from sidecar.wire import protocol as wire

SECRET = "a-token-a-prompt-or-an-answer"


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (wire.Token, {"token": [SECRET], "expiresOn": SECRET}),
        (wire.Token, {"token": "", "expiresOn": 1, SECRET[:7]: SECRET}),
        (chat.ChatMessage, {"role": "user", "content": {"text": SECRET}}),
    ],
)
def test_a_refused_message_tells_where_and_not_what(kind: type[wire.Message], given: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        kind.model_validate(given)
    told = "".join(traceback.format_exception(refused.value))
    assert SECRET not in told
    assert kind.__name__ in told
