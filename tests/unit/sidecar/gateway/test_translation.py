"""Errors of the cloud as ours: what the innermost cause is, read as Azure was captured to write it."""

from __future__ import annotations

import pytest

from sidecar.gateway.translation import innermost_of
from tests.support.evidence import evidence


@pytest.mark.fact(88)
def test_the_activity_logs_error_is_read_through_its_text() -> None:
    """JSON in a string, the cause in its details."""
    (captured,) = evidence("acr-pull-failure/06-activity-log-failed.json")
    code, message = innermost_of(captured["statusMessage"])
    assert code == "ContainerAppOperationError"
    assert message.startswith("Failed to provision revision for container app 'ca-labacr-rnnljl'.")
