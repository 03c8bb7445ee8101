"""What would fit, through the SDKs: a region without the GPU, near ones that have it, in few reads and not for long."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from sidecar.core.journal import Journal
from sidecar.decisions.fitting import READS, REGIONS, SECONDS, Fitting
from sidecar.gateway.patience import Patience
from sidecar.words.errors import PreflightFailed
from sidecar.workflows.preflight import preflight_with_fitting
from sidecar.workflows.regions import regions_by_gpu
from tests.contract.provision.conftest import Arm, Project
from tests.contract.provision.requests import Requests

T4, A100 = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100"


def fitting(project: Project, scale: float = 1.0) -> Fitting | None:
    journal = Journal(None, "", lambda _: None, project.stop)
    session = replace(project.session, patience=Patience(project.stop, scale=scale))
    return preflight_with_fitting(project.workspace, session, project.request(), journal)[1]


def test_where_the_region_lacks_the_gpu_near_ones_that_have_it_are_told_with_quota_and_price(project: Project) -> None:
    assert fitting(project) is None, "nothing speaks against the place"
    project.state(location="westeurope", gpuProfileType=A100, cpu="24", memory="220Gi")
    asked = Requests(project.world)
    with pytest.raises(PreflightFailed) as stopped:
        project.provision()
    told = str(stopped.value.detail)
    lines = [line.split() for line in told.splitlines() if T4 in line or A100 in line]
    assert lines[0][:5] == ["westeurope", T4, "1", "0", "1"]
    regions = list(dict.fromkeys(line[0] for line in lines))
    assert regions == ["westeurope", "francecentral", "italynorth", "swedencentral", regions[-1]]
    assert ["italynorth", A100] in [line[:2] for line in lines]
    assert "northeurope" not in told, "no GPU is offered there"
    assert "same geography (Europe)" in told
    assert "made up" not in told
    assert "Azure Retail Prices API" in told
    reads = [path for _, path, _ in asked.all() if path.endswith(("/locations", "/usages", "ProfileTypes"))]
    assert len(reads) - 2 <= READS, "two of them are the checks' own"
    assert asked.writes() == []


def test_a_region_that_does_not_answer_is_left_out_in_time(project: Project, faults: Arm) -> None:
    project.state(location="westeurope", gpuProfileType=A100, cpu="24", memory="220Gi")
    faults({"method": "GET", "path": "/locations/francecentral/", "kind": "hold", "seconds": 240, "times": None})
    began = time.monotonic()
    found = fitting(project, scale=0.2)
    assert time.monotonic() - began < 10 * SECONDS
    assert found is not None
    assert {each.region for each in found.fits} == {"westeurope"}
    assert len({each.region for each in found.fits}) <= REGIONS + 1


def test_regions_to_choose_from_come_with_their_gpus_those_that_have_some_first(project: Project, faults: Arm) -> None:
    faults({"method": "GET", "path": "/locations/francecentral/", "kind": "hold", "seconds": 240, "times": None})
    session = replace(project.session, patience=Patience(project.stop, scale=0.4))
    found = {each.name: each for each in regions_by_gpu(session, project.place.subscription_id)}
    assert found["swedencentral"].gpus == ("A100", "T4")
    assert found["westeurope"].gpus == ("T4",)
    assert found["northeurope"].gpus == ()
    assert found["francecentral"].gpus is None, (
        "a region that does not answer is not known, and is waited for no longer"
    )
    order = [("none", "some")[bool(each.gpus)] if each.gpus is not None else "unknown" for each in found.values()]
    assert order == sorted(order, key=["some", "unknown", "none"].index)
    some = [each.shown for each in found.values() if each.gpus]
    assert some == sorted(some)
