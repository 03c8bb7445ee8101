"""The setting `strict`: everything that is taken and ignored is refused, and only that; what is written down agrees."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sidecar.localcloud.resources.strict import IGNORED
from tests.contract.localcloud.conftest import QUICK, World, start_cloud
from tests.contract.localcloud.raw import TEMPLATE, declined
from tests.support import fates

V, APP, STORAGE, LOGS = (f"?api-version={each}" for each in ("2025-04-01", "2025-07-01", "2025-06-01", "2025-07-01"))
ENVIRONMENT = f"/resourcegroups/g/providers/Microsoft.App/managedEnvironments/heard{APP}"
WORKSPACE = f"/resourcegroups/g/providers/Microsoft.OperationalInsights/workspaces/heard{LOGS}"
SHARES = f"/resourcegroups/g/providers/Microsoft.Storage/storageAccounts/heard/fileServices/default/shares{STORAGE}"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = start_cloud(tmp_path_factory.mktemp("strict"), "--throwaway", settings={**QUICK, "strict": True})
    made.register()
    made.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("method", "path", "body", "word"),
    [
        ("PUT", ENVIRONMENT, {"location": "westus3", "kind": "plain"}, "kind"),
        ("PUT", ENVIRONMENT, {"location": "westus3", "properties": {"daprAIConnectionString": "x"}}, "daprAI"),
        ("PATCH", ENVIRONMENT, {"properties": {"customDomainConfiguration": {"dnsSuffix": "x.org"}}}, "customDomain"),
        (
            "PUT",
            ENVIRONMENT,
            {"location": "westus3", "properties": {"infrastructureResourceGroup": "i"}},
            "infrastructure",
        ),
        ("PUT", WORKSPACE, {"location": "westus3", "etag": "1"}, "etag"),
        ("DELETE", f"{WORKSPACE}&force=true", None, "force"),
        ("GET", f"{SHARES}&$expand=deleted", None, "$expand"),
        ("GET", f"/locations{V}&includeExtendedLocations=true", None, "includeExtendedLocations"),
        ("POST", f"/providers/Microsoft.App/register{V}", {"thirdPartyProviderConsent": {"x": True}}, "*"),
        ("PATCH", f"/resourcegroups/g{V}", {"name": "h"}, "name"),
        (
            "PUT",
            f"/resourcegroups/g/providers/Microsoft.Resources/deployments/d{V}",
            {"properties": {"externalInputDefinitions": {"i": {"kind": "sys.cliArg"}}}},
            "externalInputDefinitions",
        ),
    ],
)
def test_what_is_ignored_is_refused(strict: World, method: str, path: str, body: dict[str, Any] | None, word: str):
    with strict.http() as http:
        answer = http.request(method, f"/subscriptions/{strict.subscription}{path}", json=body)
    assert word in declined(answer, 400, "IgnoredByLocalCloud")


def test_what_is_heard_is_taken(strict: World):
    with strict.http() as http:
        http.base_url = httpx.URL(f"{strict.arm}/subscriptions/{strict.subscription}")
        assert (
            http.put(ENVIRONMENT, json={"location": "westus3", "properties": {"zoneRedundant": False}}).status_code
            == 201
        )
        assert (
            http.put(WORKSPACE, json={"location": "westus3", "properties": {"retentionInDays": 30}}).status_code == 201
        )
        assert http.get(f"/locations{V}").status_code == 200


def test_what_is_ignored_in_a_template_is_refused_before_it_begins(strict: World):
    resource = {
        "type": "Microsoft.App/managedEnvironments",
        "apiVersion": "2025-07-01",
        "name": "deaf",
        "location": "westus3",
    }
    template = {**TEMPLATE, "resources": [{**resource, "kind": "plain", "properties": {}}]}
    path = (
        f"/subscriptions/{strict.subscription}/resourcegroups/g/providers/Microsoft.Resources/deployments/d/validate{V}"
    )
    with strict.http() as http:
        answer = http.post(path, json={"properties": {"mode": "Incremental", "template": template}})
    assert answer.status_code == 400
    assert "IgnoredByLocalCloud" in answer.text


def test_it_refuses_what_the_tables_call_ignored():
    ignored = {(row.service, row.what, row.name) for row in fates.rows() if row.fate == "ignored"}
    assert {each.row for each in IGNORED} == ignored
