"""List prices from meters: what is put together, what is unknown, and never a guess."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.decisions.price_table import SOURCE, TABLE
from sidecar.decisions.prices import Meter, Size, meters_of, price_of
from sidecar.words.text import Text

T4, A100, DEDICATED = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100", "NC24-A100"
SIZE = Size(8, 56, 1)
SAID = Text("list")


def line(name: str, price: float, unit: str = "1 Second", **more: Any) -> dict[str, Any]:
    return {
        "meterName": name, "retailPrice": price, "unitOfMeasure": unit, "armRegionName": "eastus", "currencyCode": "USD",
        "type": "Consumption", **more,
    }  # fmt: skip


LIST = {
    "Items": [
        line("Standard vCPU Active Usage", 0.0, tierMinimumUnits=0),
        line("Standard vCPU Active Usage", 0.00002, tierMinimumUnits=180000),
        line("Standard vCPU Idle Usage", 0.5),
        line("Standard Memory Active Usage", 0.000003, "1 GiB Second"),
        line("Standard NC T4 v3 GPU Usage", 0.0001),
        line("Standard NC T4 v3 GPU Usage", 99.0, type="Reservation"),
        line("Dedicated vCPU Usage", 0.07, "1 Hour"),
        line("Dedicated Memory Usage", 0.006, "1 GiB Hour"),
        line("Dedicated GPU Usage", 2.0, "1 Hour"),
        line("Dedicated Plan Management", 0.1, "1 Hour"),
        "nonsense",
        line("Standard NC A100 v4 GPU Usage", 0.001, "1 Fortnight"),
    ]
}


def test_a_serverless_hour_is_cores_memory_and_gpu_beyond_the_free_grant() -> None:
    found = price_of(T4, SIZE, "East US", meters_of(LIST), SAID)
    assert found.awake == pytest.approx(3600 * (8 * 0.00002 + 56 * 0.000003 + 0.0001))
    assert (found.asleep, found.currency, found.source) == (0.0, "USD", SAID)
    assert found.month(2) == pytest.approx((found.awake or 0) * 2 * 730)
    assert found.start(1200) == pytest.approx((found.awake or 0) / 3)


def test_a_dedicated_node_has_its_own_meters_and_a_charge_while_nothing_runs() -> None:
    found = price_of(DEDICATED, Size(24, 220, 1), "eastus", meters_of(LIST), SAID)
    assert found.awake == pytest.approx(24 * 0.07 + 220 * 0.006 + 2.0)
    assert found.asleep == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("kind", "region", "said"),
    [
        (A100, "eastus", "no meter for gpus"),  # its unit is none that is known
        (T4, "westus9", "nothing for westus9"),
        ("Consumption-GPU-Next", "eastus", "no meter for gpus"),
    ],
)
def test_what_no_meter_fits_is_unknown(kind: str, region: str, said: str) -> None:
    found = price_of(kind, SIZE, region, meters_of(LIST), SAID)
    assert (found.awake, found.month(1), found.start(60)) == (None, None, None)
    assert said in str(found.source)


def test_two_meters_that_fit_alike_are_not_told_apart() -> None:
    meters = (*meters_of(LIST), Meter("Premium NC T4 GPU Usage", "eastus", 1.0, "1 Second", "USD"))
    assert price_of(T4, SIZE, "eastus", meters, SAID).awake is None


@pytest.mark.parametrize("said", [None, [], {"Items": None}, {"Items": [1, {"retailPrice": "free"}]}])
def test_an_answer_that_is_no_list_has_no_meters(said: object) -> None:
    assert meters_of(said) == ()


def test_the_table_names_its_date_and_knows_serverless_gpus_of_one_region() -> None:
    assert "2026-01" in str(SOURCE)
    for kind in (T4, A100):
        assert price_of(kind, SIZE, "eastus", TABLE, SOURCE).awake
    assert price_of(T4, SIZE, "westus3", TABLE, SOURCE).awake is None
    assert price_of(DEDICATED, SIZE, "eastus", TABLE, SOURCE).awake is None
