"""What parameters state of an app that is there, and can only be had by a new one: said, and not applied."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.decisions.app_changes import Standing, app_change

TEMPLATE: dict[str, Any] = {"containers": [{"name": "one", "resources": {"cpu": 8, "memory": "56Gi"}}]}
AT = Standing("Consumption-GPU-NC8as-T4", "gpu", "West Europe")


@pytest.mark.parametrize(
    ("stated", "noted"),
    [
        ({"gpuProfileName": "other"}, ["gpuProfileName is other in the parameters and gpu in the app"]),
        ({"location": "eastus"}, ["location is eastus in the parameters and West Europe in the app"]),
        ({"gpuProfileName": "GPU", "location": "westeurope"}, []),
        ({"gpuProfileName": None, "location": None}, []),
        ({}, []),
    ],
)
def test_another_profile_name_and_region_are_said(stated: dict[str, object], noted: list[str]) -> None:
    """They used to be called "as the parameters state it", also where the profile's type is the same."""
    change = app_change("app", TEMPLATE, AT, TEMPLATE, stated)
    assert change.texts == ()
    assert [str(each).split(": ")[1].split(". ")[0] for each in change.notes] == noted


def test_what_is_not_known_of_an_app_does_not_differ() -> None:
    stated: dict[str, object] = {"gpuProfileName": "other", "location": "eastus", "gpuProfileType": "x"}
    assert app_change("app", TEMPLATE, Standing(), TEMPLATE, stated).notes == ()
    assert app_change("app", TEMPLATE, Standing(None, "", ""), TEMPLATE, stated).notes == ()
