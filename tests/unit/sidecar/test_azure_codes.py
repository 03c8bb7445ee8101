"""Azure's error codes: each that our notes on Azure name has a meaning and a next step, and every error brings them along."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.gateway.patience import BUSY_CODES
from sidecar.gateway.resources import Deployment, Operation, failure_of
from sidecar.gateway.share_errors import REFUSALS
from sidecar.gateway.translation import innermost_of
from sidecar.words.azure_codes import CODES, advice_for, known_code
from tests.support.evidence import evidence

NOTES = Path(__file__).resolve().parents[3].parent / "shared" / "design"

NOT_ERRORS = {
    "states": "NotRunning RunningAtMaxScale ScaledToZero",
    "events that tell of no fault": "AssigningReplica ConnectedToEventsServer ContainerAppReady ContainerCreated "
    "ContainerStarted ContainerTerminated ManuallyStopped PulledImage PullingImage RevisionCreation RevisionDeactivating "
    "RevisionReady RevisionUpdate RollingRevisionCompleted StartingGettingEvents",
    "warnings that mean nothing": "FailedGetContainerResourceMetric FailedGetScale ScaledObjectCheckFailed "
    "ScaledObjectDeleted",
    "events that nobody saw": "BackOff ContainerUnhealthy PodUnhealthy ReplicaCreated ReplicaRemoved RevisionFailed "
    "RevisionRestarted",
    "fields and names": "AsyncOperation ContainerApp ContainerAppController ContainerAppName ContainerApps ContainerImage "
    "ErrorMessage EventSource FailureThreshold ManagedEnvironmentConsumptionCores ManagedEnvironments OperationalInsights "
    "ReplicaName RestartCount RevisionName SharedKey StartUp StatusCode StdErr TargetPort TimeStamp",
    "Python's": "ContainerAppsAPIClient DeploymentsMgmtClient HttpResponseError KeyError PyTorch ResourceManagementClient "
    "ShareClient SubscriptionClient",
}
"""Words of the notes that look like codes and are none, by what they are."""


def named(text: str) -> set[str]:
    """Words written like codes: at least two parts, each with a capital."""
    words = set(re.findall(r"(?<![\w./-])[A-Z][a-z]+(?:[A-Z][a-z]+)+(?![\w/-]|\.\w)", text))
    return {each for each in words if not each.startswith(("Subscription", "Microsoft"))} | set(
        re.findall(r"(?<![\w./-])(?:ContainerApp|ManagedEnvironment)[A-Za-z]+", text)
    )


def test_every_code_that_the_notes_on_azure_name_has_a_row_or_is_no_error() -> None:
    files = [NOTES / name for name in ("azure.md", "azure-observed.md")]
    if not all(each.exists() for each in files):
        pytest.skip("the notes on Azure are not beside the project (../shared/design)")
    known = {word for words in NOT_ERRORS.values() for word in words.split()} | CODES.keys()
    found = {word for each in files for word in named(each.read_text(encoding="utf-8"))}
    assert {"ContainerAppOperationError", "WorkloadProfileInUse", "VolumeMountFailure"} <= found, "they are read"
    assert sorted(found - known) == []


def test_every_code_that_is_handled_elsewhere_or_played_as_a_fault_has_a_row_too() -> None:
    played = {"AuthorizationFailed", "MissingSubscriptionRegistration", "MaxRegionalQuotaExceeded", "ServerBusy"}
    assert played <= CODES.keys()
    assert BUSY_CODES | REFUSALS.keys() - {"Md5Mismatch", "AccountIsDisabled"} <= CODES.keys()


def test_codes_are_known_in_any_casing_and_what_has_no_row_is_not_guessed() -> None:
    assert known_code("containerappoperationinprogress") == CODES["ContainerAppOperationInProgress"]
    assert advice_for("SomethingNew") is None
    assert advice_for(None) is None


def test_each_row_says_what_it_means_and_what_to_do_in_whole_sentences() -> None:
    for code, known in CODES.items():
        for text in (str(known.meaning), str(known.step)):
            assert text[0].isupper(), code
            assert text[-1] in ".", code


@pytest.mark.fact(80, 86, 87)
def test_a_failed_deployment_is_told_by_its_operation_with_resource_code_and_next_step() -> None:
    """The deployment's own error ends at a wrapping code; only the operation knows."""
    result = evidence("acr-pull-failure/01-deployment-result.json")
    (captured,) = evidence("acr-pull-failure/01-deployment-operations-failed.json")
    code, message = innermost_of(captured["statusMessage"])
    operation = Operation(captured["resourceType"], captured["resourceName"], "Failed", code, message)
    outer, said = innermost_of(result["error"])
    error = failure_of([operation], Deployment("", "main", "Failed", {}, outer, said))
    assert error.code == "ContainerAppOperationError"
    assert "ca-labacr-rnnljl" in str(error)
    assert "MANIFEST_UNKNOWN" in str(error)
    assert "the message names the field" in str(error.suggestion)
    alone = failure_of([], Deployment("", "main", "Failed", {}, outer, said))
    assert alone.code == "ResourceDeploymentFailure"
    assert "only wraps its error" in str(alone.suggestion)


@pytest.mark.fact(90)
def test_cores_that_do_not_fit_a_profile_are_told_with_those_that_do() -> None:
    captured: Any = evidence("captured-outputs/profile-too-small.json")
    code, message = innermost_of({"error": captured["error"]})
    assert message == "Invalid 8.0 cores for workloadprofile type D4. Please keep total CPU cores below 4."
    assert "State cpu and memory that fit it" in str(advice_for(code))
