"""The rules give values, or refuse what could not be read as one once the app runs."""

from typing import Any

import pytest

from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.resources.containerapps_rules import (
    PLAIN,
    checked_configuration,
    checked_template,
    repeats_a_variable,
    room_of,
)
from sidecar.localcloud.runtime.configuration import configuration_of, template_of
from tests.support.evidence import evidence

CONTAINER = {"name": "c", "image": "i", "command": ["run"], "resources": {"cpu": 0.5, "memory": "1Gi"}}


def template(**parts: Any) -> dict[str, Any]:
    return {"containers": [CONTAINER], **parts}


def test_what_is_let_through_is_what_is_read_from_the_store_later():
    stated = template(revisionSuffix="one", terminationGracePeriodSeconds=5)
    assert checked_template("app", stated, [], PLAIN) == template_of(stated)
    assert checked_template("app", stated, [], PLAIN).suffix == "one"
    configuration = {"ingress": {"targetPort": 80}}
    assert checked_configuration(configuration) == configuration_of(configuration)


@pytest.mark.parametrize(
    "parts",
    [
        {"terminationGracePeriodSeconds": "soon"},
        {"terminationGracePeriodSeconds": -1},
        {"containers": [{**CONTAINER, "probes": [{"type": "Liveness", "httpGet": {"port": 1, "httpHeaders": [{}]}}]}]},
        {"scale": {"rules": "none"}},
        {"volumes": [1]},
    ],
    ids=str,
)
def test_what_no_running_app_could_read_is_refused_at_the_put(parts: dict[str, Any]):
    with pytest.raises(ArmError) as refused:
        checked_template("app", template(**parts), [], PLAIN)
    assert refused.value.status == 400


@pytest.mark.parametrize("ingress", ["yes", {"traffic": "all"}, {"traffic": [{"weight": "most"}]}], ids=str)
def test_an_ingress_that_can_not_be_read_is_refused_at_the_put(ingress: Any):
    with pytest.raises(ArmError) as refused:
        checked_configuration({"ingress": ingress})
    assert refused.value.status == 400


def refused(room: Any = PLAIN, **container: Any) -> tuple[str, str]:
    with pytest.raises(ArmError) as problem:
        checked_template("app", {"containers": [{**CONTAINER, **container}]}, [], room)
    return problem.value.code, problem.value.message


@pytest.mark.fact(90)
def test_too_many_cores_for_a_dedicated_profile_are_refused_in_azures_words():
    captured = evidence("captured-outputs/profile-too-small.json")["error"]
    d4 = room_of("D4", Settings().profiles["D4"])
    assert refused(d4, resources={"cpu": 8, "memory": "16Gi"}) == (captured["code"], captured["message"])


@pytest.mark.fact(90)
def test_a_mount_of_no_volume_and_a_reference_to_no_secret_are_refused_in_azures_words():
    assert refused(volumeMounts=[{"volumeName": "share", "mountPath": "/m"}]) == (
        "ContainerAppInvalidVolumeMount",
        "Volume 'share' to mount doesn't defined in the Container App 'app'.",
    )
    assert refused(env=[{"name": "K", "secretRef": "no"}])[0] == "ContainerAppSecretRefNotFound"


@pytest.mark.fact(50)
@pytest.mark.parametrize(
    ("probe", "code", "words"),
    [
        (
            {"failureThreshold": 31},
            "ContainerAppProbeFailureThresholdOutOfRange",
            "FailureThreshold",
        ),
        ({"initialDelaySeconds": 61}, "ContainerAppProbeInitialDelaySecondsOutOfRange", "InitialDelaySeconds"),
        ({"periodSeconds": 0}, "ContainerAppProbePeriodSecondsOutOfRange", "PeriodSeconds"),
    ],
)
def test_a_probe_beyond_a_limit_is_refused_in_azures_words(probe: dict[str, Any], code: str, words: str):
    limits = {"FailureThreshold": (1, 30), "InitialDelaySeconds": (0, 60), "PeriodSeconds": (1, 240)}[words]
    said = refused(name="x", probes=[{"type": "Liveness", "tcpSocket": {"port": 80}, **probe}])
    low, high = limits
    assert said == (code, f"Container 'x' 'Liveness' probe's {words} must be in the range of ['{low}', '{high}'].")


@pytest.mark.fact(134)
def test_consumption_goes_in_steps_and_a_gpu_profile_to_its_size():
    for cpu, memory in ((0.25, "0.5Gi"), (1, "2Gi"), (4, "8Gi")):
        sized = {**CONTAINER, "resources": {"cpu": cpu, "memory": memory}}
        checked_template("app", {"containers": [sized]}, [], PLAIN)
    for cpu, memory in ((1, "1Gi"), (0.3, "0.6Gi"), (4.25, "8.5Gi")):
        assert refused(resources={"cpu": cpu, "memory": memory})[0] == "ContainerAppInvalidResourceTotal"
    t4 = room_of("Consumption-GPU-NC8as-T4", Settings().profiles["Consumption-GPU-NC8as-T4"])
    checked_template("app", {"containers": [{**CONTAINER, "resources": {"cpu": 8, "memory": "56Gi"}}]}, [], t4)
    assert refused(t4, resources={"cpu": 9, "memory": "56Gi"})[0] == "ContainerAppContainersInvalidCpu"


def test_a_variable_that_is_stated_twice_is_seen():
    twice: dict[str, Any] = {**CONTAINER, "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    assert repeats_a_variable({"containers": [CONTAINER, twice]})
    assert not repeats_a_variable({"containers": [CONTAINER, {**CONTAINER, "env": twice["env"][:1]}]})
