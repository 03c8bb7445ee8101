"""What is asked of an app's revisions while something is waited for."""

from __future__ import annotations

import pytest

from sidecar.gateway.revisions import Revision
from sidecar.workflows.watch import may_run


@pytest.mark.fact(17, 38)
def test_inactive_revisions_are_not_asked_for_replicas_that_they_say_they_have_not() -> None:
    old = [Revision(f"app--{number}", active=False, replicas=0, state="Stopped") for number in range(100)]
    ends = Revision("app--100", active=False, replicas=1, state="Deprovisioning")
    sleeps = Revision("app--101", active=True, replicas=0, state="ScaledToZero")
    assert may_run([*old, ends, sleeps]) == [ends, sleeps]
