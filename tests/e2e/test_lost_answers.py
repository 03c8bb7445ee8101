"""A *Deploy* some of whose answers are lost on the way, after what they answer has taken effect."""

from __future__ import annotations

import pytest

from .conftest import Place, Sample
from .rollouts import Told, faults, look, run


@pytest.mark.long
def test_a_deploy_whose_deactivation_is_not_answered_goes_on_right(place: Place, sample: Sample) -> None:
    """With one GPU the old replica goes first: in between, nothing serves, and nobody may stop."""
    place.upload_models(sample[0])
    first = run(place, Told())
    lost = [
        {"method": "POST", "path": f"/{verb}", "kind": "reset-after", "times": 1} for verb in ("deactivate", "activate")
    ]
    faults(place, *lost)
    told = Told()
    second = run(place, told)
    assert [rule["hits"] for rule in faults(place)] == [1, 1]
    assert second.verified
    assert "Ending the replica of" in told.text
    assert not set(first.replicas) & set(second.replicas)
    assert look(place).state == "ready"
