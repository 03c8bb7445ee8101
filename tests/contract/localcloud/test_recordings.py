"""Recorded Azure traffic, replayed: the same status, headers that clients rely on, keys and types; the same plans and outputs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.localcloud.conftest import QUICK, World, start_cloud
from tests.contract.localcloud.replay import SPECS, Pair, differences, read_pairs, replay_all

pytestmark = pytest.mark.skipif(
    not SPECS.exists(), reason="the recordings are not beside the project (../shared/azure-specs)"
)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def replayed(another_for_recordings: World) -> list[tuple[Pair, Any, list[str]]]:
    return replay_all(another_for_recordings)


@pytest.fixture(scope="module")
def another_for_recordings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    subscriptions = sorted({pair.subscription for pair in read_pairs()})
    ours = ("App", "Storage", "OperationalInsights", "Resources", "Authorization")
    preregistered = [f"Microsoft.{name}" for name in ours]
    # Never strict: azd asks for the deletion of a workspace by force, which is ignored here.
    settings = {**QUICK, "subscription_ids": subscriptions, "preregistered": preregistered, "strict": False}
    running = start_cloud(tmp_path_factory.mktemp("recordings"), "--throwaway", settings=settings)
    yield running
    running.stop()


def test_every_recorded_pair_is_read():
    files = list((SPECS / "recordings").glob("*.json"))
    assert len(read_pairs()) == len(files) == 98


def test_at_least_93_of_the_98_answers_have_the_recorded_shape(replayed: list[tuple[Pair, Any, list[str]]]):
    wrong = {pair.name: problems for pair, _, problems in replayed if problems}
    assert len(replayed) == 98
    unexplained = {name: problems for name, problems in wrong.items() if name not in EXPLAINED}
    assert not unexplained, json.dumps(unexplained, indent=1)
    assert len(wrong) <= 5


# Pairs whose answers can't have the recorded shape, and why.
EXPLAINED: dict[str, str] = {
    "0172": "the recorded list shows a tag that no recorded request sets on that deployment",
}


def _deployments(replayed: list[tuple[Pair, Any, list[str]]]) -> list[tuple[Pair, Json, Json]]:
    found = [
        (pair, pair.response["properties"], answer.json()["properties"])
        for pair, answer, _ in replayed
        if pair.method == "GET"
        and "/deployments/" in pair.path
        and isinstance(pair.response, dict)
        and "provisioningState" in (pair.response.get("properties") or {})
    ]
    assert len(found) >= 7
    return found


def test_dependencies_and_providers_are_those_recorded(replayed: list[tuple[Pair, Any, list[str]]]):
    for pair, recorded, ours in _deployments(replayed):
        assert ours["dependencies"] == recorded["dependencies"], pair.name
        assert ours["providers"] == recorded["providers"], pair.name


def test_output_resources_are_those_recorded(replayed: list[tuple[Pair, Any, list[str]]]):
    for pair, recorded, ours in _deployments(replayed):
        wanted = sorted(each["id"].lower() for each in recorded.get("outputResources") or [])
        assert sorted(each["id"].lower() for each in ours.get("outputResources") or []) == wanted, pair.name


def test_outputs_have_the_recorded_names_types_and_values(replayed: list[tuple[Pair, Any, list[str]]]):
    for pair, recorded, ours in _deployments(replayed):
        wanted, found = recorded.get("outputs") or {}, ours.get("outputs") or {}
        assert list(found) == list(wanted), pair.name
        for name, output in wanted.items():
            assert found[name]["type"] == output["type"], (pair.name, name)
            # A host name that Azure draws by lot can't be the same here.
            if "value" in output and "azurecontainerapps.io" not in str(output["value"]):
                assert found[name]["value"] == output["value"], (pair.name, name)


def test_what_ifs_agree_in_resource_and_change(replayed: list[tuple[Pair, Any, list[str]]]):
    found = [(pair, answer.json()) for pair, answer, _ in replayed if "changes" in str(pair.response)[:400]]
    assert len(found) == 2
    for pair, answer in found:
        wanted = sorted((c["resourceId"].lower(), c["changeType"]) for c in pair.response["properties"]["changes"])
        assert sorted((c["resourceId"].lower(), c["changeType"]) for c in answer["properties"]["changes"]) == wanted, (
            pair.name
        )


def test_a_changed_shape_would_be_noticed():
    recorded = {"a": [{"b": 1}], "c": None}
    assert differences(recorded, {"a": [{"b": "1"}], "c": None}) == ["a[].b: number recorded, string answered"]
    assert differences(recorded, {"a": [{"b": 2}]}) == []
    assert differences(recorded, {"c": None}) == ["a: missing"]
