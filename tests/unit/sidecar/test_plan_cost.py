"""What a dedicated profile costs: its plan's management, and its nodes for as long as they are there."""

from __future__ import annotations

import pytest

from sidecar.decisions.plan_cost import Cost, Nodes, nodes_of
from sidecar.decisions.prices import Price
from sidecar.decisions.resizing import Resized
from sidecar.words.text import Text

KIND, LIST = "NC24-A100", Text("list")
PRICE = Price(5.0, 0.1, "USD", LIST)


def dedicated(nodes: Nodes | None, price: Price = PRICE) -> Cost:
    return Cost(price, 9, 600, Text(""), dedicated=True, nodes=nodes)


def test_a_dedicated_profile_is_paid_by_its_nodes_and_not_by_the_replicas() -> None:
    cost = dedicated(Nodes(1, 3))
    assert (cost.asleep, cost.month) == (pytest.approx(5.1), pytest.approx((3 * 5.0 + 0.1) * 730))
    assert dedicated(Nodes(0, 3)).asleep == pytest.approx(0.1)


def test_a_part_that_is_unknown_makes_the_sum_unknown() -> None:
    """The management's price was taken as nothing where no meter was found for it."""
    no_fee, no_node = Price(5.0, None, "USD", LIST), Price(None, 0.1, "USD", LIST)
    assert no_fee.month(1) is None
    assert (dedicated(Nodes(1, 3), no_fee).asleep, dedicated(Nodes(1, 3), no_fee).month) == (None, None)
    assert (dedicated(None).asleep, dedicated(None).month) == (None, None)
    assert (dedicated(Nodes(1, 3), no_node).asleep, dedicated(Nodes(1, 3), no_node).month) == (None, None)
    assert dedicated(Nodes(0, 3), no_node).asleep == pytest.approx(0.1), "no node stays"


def test_a_serverless_profile_is_paid_by_its_replicas() -> None:
    cost = Cost(Price(2.0, 0.0, "USD", LIST), 3, 600, Text(""))
    assert (cost.asleep, cost.month) == (0.0, pytest.approx(3 * 2.0 * 730))


def profile(name: str, least: object, most: object, kind: str = KIND) -> dict[str, object]:
    return {"name": name, "workloadProfileType": kind, "minimumCount": least, "maximumCount": most}


def test_nodes_are_the_environments_else_the_templates() -> None:
    planned = [profile("gpu", 0, 2)]
    assert nodes_of(KIND, "gpu", [profile("cpu", 1, 9, "D4")], planned, ()) == Nodes(0, 2)
    there = [profile("other", 3, 4), profile("GPU", 1, 5)]
    assert nodes_of(KIND.lower(), "gpu", there, planned, ()) == Nodes(1, 5), "the one that the app runs on"
    assert nodes_of(KIND, None, there, planned, ()) == Nodes(3, 4)
    assert nodes_of(KIND, "gpu", there, planned, [Resized("env", "gpu", 5, 7)]) == Nodes(1, 7)
    assert nodes_of(KIND, "gpu", [profile("gpu", None, 5)], planned, ()) is None
    assert nodes_of(KIND, "gpu", [], [], ()) is None
