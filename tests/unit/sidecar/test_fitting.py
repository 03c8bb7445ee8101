"""What would fit: the order of regions, a row a profile, what is unknown; and members of documents as plans show them."""

from __future__ import annotations

from sidecar.decisions.checks import failed, passed
from sidecar.decisions.fitting import Fitting, Looked, fits_of, is_wanted, nearest, why_these
from sidecar.decisions.fitting_text import fitting_lines
from sidecar.decisions.members import Member, changed
from sidecar.decisions.prices import Meter
from sidecar.gateway.offers import Offer
from sidecar.gateway.resources import Region
from sidecar.words.text import Text

T4, A100, DEDICATED = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100", "NC48-A100"
WEST = Region("westus3", "West US 3", "US", (33.4, -112.1))
EAST = Region("eastus", "East US", "US", (37.4, -79.8))
FAR = Region("japaneast", "Japan East", "Asia Pacific", (35.7, 139.8))
NOWHERE = Region("moon", "Moon", "", None)
NEAR = Region("westus", "West US", "US", (37.8, -122.4))


def test_the_same_geography_comes_first_and_there_the_nearest() -> None:
    found = nearest([FAR, NOWHERE, EAST, WEST, NEAR], "West US 3")
    assert [each.name for each in found] == ["westus", "eastus", "japaneast", "moon"]
    assert [each.name for each in nearest([FAR, EAST], "mars")] == ["eastus", "japaneast"]


def test_a_row_for_each_gpu_profile_with_quota_price_and_whether_the_model_fits() -> None:
    offers = {
        T4: Offer(1, "GPU", 8, 56),
        A100: Offer(1, "GPU", 24, 220),
        DEDICATED: Offer(2, "GPU", 48, 440),
        "D4": Offer(0, ""),
    }
    usage = {"SubscriptionConsumptionT4Gpus": (1, 1), "SubscriptionNCA100Gpus": (0, 4)}
    meters = [
        Meter("Standard vCPU Active Usage", "eastus", 0.00002, "1 Second", "USD"),
        Meter("Standard Memory Active Usage", "eastus", 0.000003, "1 GiB Second", "USD"),
        Meter("Standard NC T4 v3 GPU Usage", "eastus", 0.0001, "1 Second", "USD"),
    ]
    looked = [
        Looked("eastus", {**offers, "Consumption-GPU-New": Offer(1, "GPU", 8, 56)}, usage),
        Looked("westus", {T4: Offer(1, "GPU", 8, 56)}, None),
    ]
    found = {(each.region, each.profile): each for each in fits_of(looked, meters, Text("list"), 20 << 30)}
    assert len(found) == 5, "what has no GPU is left out"
    t4, a100 = found["eastus", T4], found["eastus", A100]
    assert (t4.used, t4.limit, t4.room, t4.fits) == (1, 1, False, False)
    assert t4.price.awake
    assert (a100.used, a100.room, a100.fits, a100.price.awake) == (None, None, True, None), "a missing row is unknown"
    assert (found["eastus", DEDICATED].needed, found["eastus", DEDICATED].room) == (2, True)
    new = found["eastus", "Consumption-GPU-New"]
    assert (new.memory, new.fits) == (None, None), "a type that no table knows"
    assert found["westus", T4].limit is None
    assert all(each.fits is None for each in fits_of(looked, meters, Text("list"), None)), "a model of unknown size"


def test_the_table_says_unknown_where_it_is_and_how_regions_were_chosen() -> None:
    fits = fits_of([Looked("eastus", {A100: Offer(1, "GPU", 24, 220)}, None)], [], Text("list"), None)
    why = why_these("westus3", WEST, 3, 18, whole=False)
    text = fitting_lines(Fitting(fits, why))
    assert text.splitlines()[2].split() == ["eastus", A100, "1", *["unknown"] * 3, "86", "GB", "unknown"]
    for said in ("same geography (US)", "3 of 18 others", "at most 12 reads and 10 s, which were used up"):
        assert said in text


def test_only_what_another_place_may_pass_asks_for_it() -> None:
    assert is_wanted([passed("names", Text("")), failed("quota", "x", Text(""), Text(""))])
    assert not is_wanted([failed("names", "x", Text(""), Text("")), passed("quota", Text(""))])


def test_members_are_named_by_the_entries_of_lists_and_strangers_variables_stay_hidden() -> None:
    def template(image: str, **env: str) -> dict[str, object]:
        listed = [{"name": name, "value": value} for name, value in env.items()]
        return {"containers": [{"name": "inference", "image": image, "env": listed}], "scale": {"maxReplicas": 1}}

    found = changed(
        template("a", SLIPWAY_BASE_MODEL="x", PASSWORD="old"), template("b", SLIPWAY_BASE_MODEL="y", PASSWORD="new")
    )
    assert found == (
        Member("containers[inference].image", "a", "b"),
        Member("containers[inference].env[SLIPWAY_BASE_MODEL].value", "x", "y"),
        Member("containers[inference].env[PASSWORD]", "…", "…"),
    )
    assert changed({"a": [1, 2]}, {"a": [1, 3]}) == (Member("a", "[1, 2]", "[1, 3]"),)
    (long,) = changed({"a": "x" * 500}, {"a": None})
    assert (len(long.before), long.after) == (101, "–")
