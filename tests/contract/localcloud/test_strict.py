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
ACCOUNT = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
ENVIRONMENT = f"/resourcegroups/g/providers/Microsoft.App/managedEnvironments/heard{APP}"
WORKSPACE = f"/resourcegroups/g/providers/Microsoft.OperationalInsights/workspaces/heard{LOGS}"
SHARES = f"/resourcegroups/g/providers/Microsoft.Storage/storageAccounts/heard/fileServices/default/shares{STORAGE}"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory, strict=True)


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """As a person's is, whatever the other tests' clouds are."""
    yield from started(tmp_path_factory, strict=False)


def started(folders: pytest.TempPathFactory, *, strict: bool) -> Iterator[World]:
    made = start_cloud(folders.mktemp("strict"), "--throwaway", settings={**QUICK, "strict": strict})
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


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", ENVIRONMENT, {"location": "westus3", "kind": "plain", "properties": {}}),
        ("PUT", WORKSPACE, {"location": "westus3", "etag": "1"}),
        ("GET", f"/locations{V}&includeExtendedLocations=true", None),
        ("PUT", f"/resourcegroups/g/providers/Microsoft.Storage/storageAccounts/heard{STORAGE}", ACCOUNT),
        ("GET", f"{SHARES}&$expand=deleted", None),
        ("PATCH", f"/resourcegroups/g{V}", {"name": "h"}),
    ],
)
def test_without_it_what_is_ignored_is_taken(lenient: World, method: str, path: str, body: dict[str, Any] | None):
    with lenient.http() as http:
        answer = http.request(method, f"/subscriptions/{lenient.subscription}{path}", json=body)
    assert answer.status_code in (200, 201), answer.text


@pytest.mark.parametrize("word", ["certificateKeyVaultProperties", "certificateValue"])
def test_what_asks_for_what_is_not_here_is_refused_in_what_is_ignored(lenient: World, word: str):
    """A strict cloud refuses the object that it stands in."""
    body = {"location": "westus3", "properties": {"customDomainConfiguration": {word: {"identity": "system"}}}}
    with lenient.http() as http:
        answer = http.put(f"/subscriptions/{lenient.subscription}{ENVIRONMENT.replace('heard', 'x')}", json=body)
    assert word in declined(answer, 400, "InvalidRequestContent")


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
