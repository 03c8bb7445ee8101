"""Failures that Azure tells at the write already: *Provision* gets them, and leaves something to go on from."""

from __future__ import annotations

from typing import Any

from tests.faults.situations.row import Came, Situation, came, same, shape, word
from tests.faults.situations.stage import IMAGE, PASSWORD, REGISTRY, Sign, Stage
from tests.support.evidence import without_nulls


def unknown_registry(stage: Stage) -> Came:
    """The app is there all the same, without a revision, a host or events."""
    stage.template((IMAGE, "no-such-registry.invalid/fake/image:notexist"))
    with stage.watching(lambda: stage.shown()["properties"]["provisioningState"] == "Failed" and stage.shown()) as sign:
        told = stage.provision()
        ours = sign().shown["properties"]
        revisions = stage.shown("/revisions")["value"]

    def compare(capture: Any) -> list[str]:
        unlike = [] if not revisions and "eventStreamEndpoint" not in ours else ["it has revisions or events"]
        unlike += same(capture, ours, "provisioningState", "latestRevisionName", "latestRevisionFqdn")
        read = ("fqdn", "traffic", "transport", "exposedPort", "external")
        return unlike + same(capture["ingress"], ours["configuration"]["ingress"], *read)

    return came(told, sign(), compare)


def missing_tag(stage: Stage) -> Came:
    """The deployment itself says only that it failed."""
    secret = f"secrets: [\n        {{\n          name: 'registry'\n          value: '{PASSWORD}'\n        }}"
    credential = f"{{ server: '{REGISTRY}', username: 'me', passwordSecretRef: 'registry' }}"
    registries = f"registries: [\n        {credential}\n      ]"
    replaced = (("registries: logins", registries), ("secrets: [", secret))
    stage.template((IMAGE, f"{REGISTRY}/app:gone"), *replaced)

    def failed() -> dict[str, Any] | None:
        group = f"/subscriptions/{stage.world.subscription}/resourcegroups/{stage.name}"
        deployments = f"{group}/providers/Microsoft.Resources/deployments"
        with stage.world.http() as http:
            version = {"api-version": "2025-04-01"}
            for each in http.get(deployments, params=version).json()["value"]:
                if each["properties"]["provisioningState"] == "Failed":
                    operations = http.get(f"{deployments}/{each['name']}/operations", params=version).json()["value"]
                    found = [one["properties"] for one in operations if one["properties"].get("statusMessage")]
                    return {"deployment": each["properties"], "operations": found}
        return None

    with stage.watching(failed) as sign:
        told = stage.provision()
        shown = sign().shown

    def compare(capture: Any) -> list[str]:
        (theirs,), (ours,) = capture, shown["operations"]
        unlike = shape(without_nulls(theirs["statusMessage"]), without_nulls(ours["statusMessage"]))
        unlike += same(theirs["statusMessage"]["error"], ours["statusMessage"]["error"], "code")
        said = ours["statusMessage"]["error"]["message"]
        unlike += word(theirs["statusMessage"]["error"]["message"], "MANIFEST_UNKNOWN: manifest tagged by", said)
        if "MANIFEST_UNKNOWN" in str(shown["deployment"]):
            unlike.append("the deployment itself names the cause")
        return unlike

    return came(told, sign(), compare)


def profile_too_small(stage: Stage) -> Came:
    stage.template(("param cpu string = '8'", "param cpu string = '32'"), ("'56Gi'", "'220Gi'"))
    told = stage.provision()

    def compare(capture: Any) -> list[str]:
        code, message = capture["error"]["code"], capture["error"]["message"]
        theirs = (
            message.replace("8.0", "32.0")
            .replace("type D4", "type Consumption-GPU-NC8as-T4")
            .replace("below 4", "below 8")
        )
        return word(f"{code}: {theirs}", theirs, told.sentence) + word(code, told.code, told.code)

    return came(told, Sign(told.at, None), compare)


WRITES = (
    Situation(
        "unknown-registry", "the image's registry does not exist", "acr-pull-failure/02-containerapp-show-baseline.json",
        unknown_registry, "ContainerAppOperationError", "no such host", "none",
    ),
    Situation(
        "missing-tag", "the image's tag does not exist", "acr-pull-failure/01-deployment-operations-failed.json",
        missing_tag, "ContainerAppOperationError", "MANIFEST_UNKNOWN", "none",
    ),
    Situation(
        "profile-too-small", "more cores than the profile has", "captured-outputs/profile-too-small.json",
        profile_too_small, "ContainerAppContainersInvalidCpu", "Invalid 32.0 cores", "none",
    ),
)  # fmt: skip
