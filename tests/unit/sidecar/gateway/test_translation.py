"""Errors of the cloud as ours: what the innermost cause is, read as Azure was captured to write it."""

from __future__ import annotations

import json

import pytest

from sidecar.gateway.translation import innermost_of, translated
from sidecar.words.errors import Unreachable
from sidecar.words.text import Text
from tests.support.evidence import evidence


@pytest.mark.fact(88)
def test_the_activity_logs_error_is_read_through_its_text() -> None:
    """JSON in a string, the cause in its details."""
    (captured,) = evidence("acr-pull-failure/06-activity-log-failed.json")
    code, message = innermost_of(captured["statusMessage"])
    assert code == "ContainerAppOperationError"
    assert message.startswith("Failed to provision revision for container app 'ca-labacr-rnnljl'.")


def test_a_page_in_place_of_an_answer_is_no_crash() -> None:
    """Some of the SDKs read JSON without a look at what it is, and let Python's own error through."""
    with (
        pytest.raises(Unreachable, match="Looking: no usable answer \\(what came is no JSON\\)"),
        translated(Text("Looking")),
    ):
        json.loads("<html>Welcome</html>")
