"""Numbers of an environment and a share that exist: changed where they are stated and differ, and nothing else of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.core.deployment import merge_parameters, plan_names
from sidecar.decisions.provisioning import SHARE, Existing
from sidecar.decisions.resizing import nodes_to_resize, quota_to_set, with_count
from tests.unit.sidecar.test_provision import ENVIRONMENT, GROUP, TEMPLATE, app

DEDICATED = {"name": "gpu-inference", "workloadProfileType": "NC24-A100", "minimumCount": 0, "maximumCount": 1}
PLAIN = {"name": "Consumption", "workloadProfileType": "Consumption"}
WITH_NODES = replace(ENVIRONMENT, profiles=(PLAIN, DEDICATED))


def stated(**values: object):
    return plan_names(TEMPLATE, merge_parameters(TEMPLATE, values, {}), GROUP)


def existing(environment: object = WITH_NODES, profile: str | None = "GPU-inference") -> Existing:
    there = replace(app(), profile=profile)
    return Existing(frozenset(), True, environment, None, there)  # type: ignore[arg-type]


def test_the_nodes_of_a_dedicated_profile_follow_the_stated_maximum() -> None:
    values: dict[str, object] = {"gpuProfileType": "NC24-A100", "maximumInstanceCount": 3}
    change = nodes_to_resize(stated(**values), existing(), values, "env")
    assert change is not None
    assert str(change.text) == "The maximum of nodes of GPU-inference in env changes from 1 to 3."
    assert with_count(WITH_NODES.profiles, change) == [PLAIN, {**DEDICATED, "maximumCount": 3}]


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({"gpuProfileType": "NC24-A100", "maximumInstanceCount": 1}, existing()),
        ({"gpuProfileType": "NC24-A100"}, existing()),
        ({"maximumInstanceCount": 3}, existing(ENVIRONMENT)),
        ({"gpuProfileType": "NC24-A100", "maximumInstanceCount": 3}, existing(None)),
        ({"gpuProfileType": "NC24-A100", "maximumInstanceCount": 3}, existing(profile="Consumption")),
    ],
)
def test_equal_unstated_serverless_and_foreign_profiles_stay(values: dict[str, object], there: Existing) -> None:
    assert nodes_to_resize(stated(**values), there, values, "env") is None


def test_the_quota_of_a_share_changes_where_it_is_stated() -> None:
    """Another one than the template's own default says nothing: fine-tuning may have made the share."""
    assert stated().share_quota == 1024
    values: dict[str, object] = {"shareQuota": 2048}
    planned = stated(**values)
    change = quota_to_set(planned, values, 100)
    assert change is not None
    assert str(change.text) == f"The quota of {planned.names[SHARE]} changes from 100 to 2048 GiB."
    assert quota_to_set(planned, values, 2048) is None
    assert quota_to_set(planned, values, None) is None
    assert quota_to_set(stated(), {}, 100) is None
