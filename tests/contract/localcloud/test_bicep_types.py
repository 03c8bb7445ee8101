"""Bodies that passed the door in these tests against Microsoft's bicep types, which are newer than the Swagger files."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.localcloud.bicep_types import BicepTypes, Body, Problem, bodies_of
from tests.contract.localcloud.conftest import TRAFFIC, World
from tests.contract.localcloud.replay import SPECS
from tests.contract.localcloud.test_apps import app_body, deployed

GENERATED = SPECS / "bicep-types-az" / "generated"
BICEP_SUMMARY = TRAFFIC.parent / "bicep.json"
FILES = {
    "microsoft.app": "app_0/microsoft.app/2026-01-01",
    "microsoft.storage": "storage/microsoft.storage/2025-06-01",
    "microsoft.operationalinsights": "operationalinsights/microsoft.operationalinsights/2025-07-01",
    "microsoft.resources": "resources_7/microsoft.resources/2025-04-01",
}

pytestmark = pytest.mark.skipif(
    not GENERATED.exists(), reason="the bicep types are not beside the project (../shared/azure-specs/bicep-types-az)"
)


@dataclass(frozen=True)
class Known:
    """A difference of real Azure (or of its newer versions) from the types, by name."""

    name: str
    code: str
    path: str
    """A regular expression that the whole path matches."""
    reason: str
    side: str = "response"
    value: str = ".*"
    """The same for the value, where it is one that no literal names."""


_DEPLOYMENT = r"Microsoft.Resources/deployments( validate)?"
KNOWN = (
    Known("null in an answer", "null", ".*", "Azure answers explicit nulls, as in the recordings"),
    Known("null in a request", "null", ".*", "a client may send null for what it leaves out", "request"),
    Known(
        "transport is capitalised",
        "not-in-enum",
        r"Microsoft.App/containerApps\.properties\.configuration\.ingress\.transport",
        "ingress.transport comes back capitalised, as in the recordings",
    ),
    Known(
        "what Azure showed",
        "unknown-key",
        r"Microsoft.App/containerApps\.properties\.(.*\.)?(imageType|revisionTransitionThreshold|targetLabel|"
        r"targetPortHttpScheme|patchingMode)",
        "clients send back what a GET showed them",
        "request",
    ),
    Known(
        "transport as it was read",
        "not-in-enum",
        r"Microsoft.App/containerApps\.properties\.configuration\.ingress\.transport",
        "clients send back what a GET showed them",
        "request",
    ),
    Known(
        "state outside the enum",
        "not-in-enum",
        r"Microsoft.App/containerApps/revisions\.properties\.runningState",
        "Azure answers these too: the states are an open set",
        value="Activating|ScaledToZero|RunningAtMaxScale|Deprovisioning",
    ),
    Known(
        "delegatedIdentities",
        "unknown-key",
        r"Microsoft.App/containerApps\.properties\.delegatedIdentities",
        "Azure returns it, as in the recordings",
    ),
    Known(
        "seen on Azure",
        "unknown-key",
        r"Microsoft.App/containerApps\S*\.properties\.(.*\.)?(imageType|revisionTransitionThreshold|targetLabel|"
        r"targetPortHttpScheme|patchingMode|runningStateDetails|debugEndpoint)",
        "captured from Azure, and in no published types",
    ),
    Known(
        "runtime of another kind",
        "unknown-key",
        r"Microsoft.App/containerApps\.properties\.configuration\.runtime\.dotnet",
        "a recorded template states it; the types know java alone",
    ),
    Known(
        "permissions in capitals",
        "not-in-enum",
        r"Microsoft.Storage/storageAccounts (listKeys|regenerateKey)\.keys\[\]\.permissions",
        "Azure answers FULL where the types say Full",
    ),
    Known(
        "what-if without a location",
        "required-missing",
        r"Microsoft.Resources/deployments whatIf\.location",
        "the types describe the scope of a subscription; in a group there is none",
        "request",
    ),
    Known(
        "answer of validate",
        "unknown-key",
        r"Microsoft.Resources/deployments validate\.(location|tags)",
        "what was asked comes back, as in the recordings",
    ),
    Known(
        "apiVersion of a dependency",
        "unknown-key",
        _DEPLOYMENT + r"\.properties\.dependencies\[\]\.dependsOn\[\]\.apiVersion",
        "Azure returns it, as in the recordings",
    ),
    Known(
        "action of a dependency",
        "unknown-key",
        _DEPLOYMENT + r"\.properties\.dependencies\[\]\.dependsOn\[\]\.actionName",
        "Azure names the list function that makes a dependency; the types do not know it",
    ),
    Known(
        "type of a parameter",
        "unknown-key",
        _DEPLOYMENT + r"\.properties\.parameters\.\*\.type",
        "Azure returns it, as in the recordings; the types describe what is sent",
    ),
)
# What the cloud claims to know: each of these must have been asked for and answered.
OURS = (
    "Microsoft.App/managedEnvironments",
    "Microsoft.App/managedEnvironments/storages",
    "Microsoft.App/containerApps",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.Storage/storageAccounts/fileServices/shares",
    "Microsoft.OperationalInsights/workspaces",
    "Microsoft.Resources/deployments",
)


@pytest.fixture(scope="module")
def types() -> dict[str, BicepTypes]:
    return {namespace: BicepTypes.read(GENERATED / folder / "types.json") for namespace, folder in FILES.items()}


@pytest.fixture(scope="module")
def one_of_each(world: World, group: str) -> None:
    """A resource of every type of ours, so that this file stands alone; other tests ask for much more."""
    plain: Any = {"location": "westus3", "properties": {}}
    world.logs.workspaces.begin_create_or_update(group, "bicep-logs", plain).result()
    account: Any = {**plain, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    world.storage.storage_accounts.begin_create(group, "biceptypes", account).result()
    world.storage.file_shares.create(group, "biceptypes", "share", {})
    key = world.storage.storage_accounts.list_keys(group, "biceptypes").keys_property[0].value
    environment = world.apps.managed_environments.begin_create_or_update(group, "bicep-env", plain).result()
    azure = {"accountName": "biceptypes", "accountKey": key, "shareName": "share", "accessMode": "ReadOnly"}
    storage: Any = {"properties": {"azureFile": azure}}
    world.apps.managed_environments_storages.create_or_update(group, "bicep-env", "share", storage)
    deployed(world, group, "bicep", app_body(environment.id))
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [],
    }
    deployment: Any = {"properties": {"mode": "Incremental", "template": template}}
    world.deployments.deployments.begin_create_or_update(group, "bicep", deployment).result()


@pytest.fixture(scope="module")
def summary(one_of_each: None, types: dict[str, BicepTypes]) -> dict[str, Any]:
    bodies: Counter[str] = Counter()
    deviations: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for body in recorded():
        found = types.get(body.kind.split("/")[0].lower())
        if found is None or not found.knows(body):
            continue
        bodies[f"{body.side} {body.kind}"] += 1
        for problem in found.problems(body):
            known = explained(problem, body)
            if known:
                deviations[known.name] += 1
            else:
                problems[f"{body.side} {problem.code} {problem.path} {problem.value}".strip()] += 1
    shown = {
        "bodies": bodies,
        "deviations": deviations,
        "reasons": {known.name: known.reason for known in KNOWN},
        "problems": problems,
    }
    BICEP_SUMMARY.write_text(json.dumps(shown, indent=1))
    return shown


def recorded() -> Iterator[Body]:
    for file in sorted(TRAFFIC.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            yield from bodies_of(json.loads(line))


def explained(problem: Problem, body: Body) -> Known | None:
    return next(
        (
            known
            for known in KNOWN
            if (known.code, known.side) == (problem.code, body.side)
            and re.fullmatch(known.path, problem.path, re.IGNORECASE)
            and re.fullmatch(known.value, problem.value)
        ),
        None,
    )


def test_every_body_is_what_the_types_say(summary: dict[str, Any]):
    assert dict(summary["problems"]) == {}


def test_bodies_of_every_type_of_ours_were_checked(summary: dict[str, Any]):
    unchecked = [f"{side} {kind}" for side in ("request", "response") for kind in OURS]
    assert [each for each in unchecked if not summary["bodies"][each]] == []


def test_what_the_types_do_not_allow_would_be_noticed(types: dict[str, BicepTypes]):
    container = {"name": "main", "image": 7, "probes": [{"type": "Nonsense"}]}
    app = {
        "tags": {"any": "key"},
        "properties": {
            "provisioningState": "Succeeded",
            "strange": None,
            "configuration": {"registries": [{"server": True}], "ingress": {"allowInsecure": "yes"}},
            "template": {"containers": [container, {"name": None}], "scale": "many"},
        },
    }
    kind = "Microsoft.App/containerApps"
    found = {
        (problem.code, problem.path.removeprefix(kind).removeprefix(".properties."), problem.value)
        for problem in types["microsoft.app"].problems(Body("request", kind, app))
    }
    assert found == {
        ("required-missing", ".location", ""),
        ("read-only-sent", "provisioningState", ""),
        ("unknown-key", "strange", ""),
        ("wrong-type", "configuration.registries[].server", "bool for StringType"),
        ("wrong-type", "configuration.ingress.allowInsecure", "str for BooleanType"),
        ("wrong-type", "template.containers[].image", "int for StringType"),
        ("not-in-enum", "template.containers[].probes[].type", "Nonsense"),
        ("null", "template.containers[].name", ""),
        ("wrong-type", "template.scale", "str for ObjectType"),
    }
    patched = types["microsoft.app"].problems(Body("request", kind, {"tags": {}}, partial=True))
    assert patched == [], "a PATCH need not state what is required"


def test_which_bodies_of_a_pair_are_checked():
    base = "https://127.0.0.1:1/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps"
    pair: dict[str, Any] = {"method": "GET", "url": f"{base}?api-version=1", "body": None, "status": 200}
    listed = bodies_of({**pair, "answer": {"value": [{"name": "a"}, {"name": "b"}]}})
    assert [body.value["name"] for body in listed] == ["a", "b"]
    acted = bodies_of({**pair, "method": "POST", "url": f"{base}/a/listSecrets", "answer": {"value": []}})
    assert [(body.side, body.kind) for body in acted] == [("response", "Microsoft.App/containerApps listSecrets")]
    refused = {**pair, "method": "PUT", "url": f"{base}/a", "body": {"odd": 1}, "status": 400, "answer": {"error": {}}}
    assert bodies_of(refused) == [], "what was refused is another test's business"
