"""What a request asks that is not understood is refused as Azure refuses it: types, versions, OData, a deployment's options."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from sidecar.localcloud.cloud import odata
from sidecar.localcloud.core.errors import ArmError
from tests.contract.localcloud.conftest import QUICK, World, eventually, start_cloud
from tests.contract.localcloud.raw import TEMPLATE, declined

V, APP, STORAGE = "?api-version=2025-04-01", "?api-version=2025-07-01", "?api-version=2025-06-01"
ACCOUNT: dict[str, Any] = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}


@pytest.fixture(scope="module")
def arm(world: World) -> Iterator[httpx.Client]:
    with world.http() as http:
        http.base_url = f"{world.arm}/subscriptions/{world.subscription}"
        for group in ("asked", "asked-too"):
            assert http.put(f"/resourcegroups/{group}{V}", json={"location": "westus3"}).status_code in (200, 201)
        made = http.put(
            f"/resourceGroups/asked/providers/Microsoft.Storage/storageAccounts/askedone{STORAGE}", json=ACCOUNT
        )
        assert made.status_code == 200, made.text
        tagged = {**ACCOUNT, "tags": {"of": "mine"}}
        http.put(
            f"/resourceGroups/asked-too/providers/Microsoft.Storage/storageAccounts/askedtwo{STORAGE}", json=tagged
        )
        yield http


def names(arm: httpx.Client, wanted: str) -> set[str]:
    answer = arm.get(f"/resources{V}", params={"api-version": "2025-04-01", "$filter": wanted})
    assert answer.status_code == 200, answer.text
    return {each["name"] for each in answer.json()["value"]}


@pytest.mark.parametrize("kind", ["nothings", "containerApp", "billingMeters"])
def test_a_type_that_an_own_namespace_does_not_have(arm: httpx.Client, kind: str):
    path = f"/resourceGroups/asked/providers/Microsoft.App/{kind}"
    for answer in (arm.put(f"{path}/x{APP}", json={"location": "westus3"}), arm.get(f"{path}{APP}")):
        assert kind in declined(answer, 404, "InvalidResourceType")


def test_a_type_that_is_only_kept_is_listed(arm: httpx.Client):
    path = "/resourceGroups/asked/providers/Microsoft.App/jobs"
    assert arm.get(f"{path}{APP}").json() == {"value": []}


def test_unknown_types_are_taken_with_a_warning_where_the_setting_says_so(another: Callable[..., World]):
    cloud = another(
        settings={**QUICK, "unknown_types": "stored", "preregistered": ["Microsoft.App", "Microsoft.Resources"]}
    )
    with cloud.http() as http:
        http.base_url = f"{cloud.arm}/subscriptions/{cloud.subscription}"
        http.put(f"/resourcegroups/g{V}", json={"location": "westus3"})
        for kind in ("Microsoft.App/nothings", "Contoso.Nothing/things"):
            made = http.put(f"/resourceGroups/g/providers/{kind}/x{APP}", json={"location": "westus3"})
            assert made.status_code == 201, made.text
            assert made.json()["properties"]["provisioningState"] == "Succeeded"
    said = "".join(each.read_text() for each in (cloud.state / "logs").glob("*"))
    assert "Microsoft.App/nothings is a type that Azure may not have" in said


def test_a_version_that_a_type_does_not_have(arm: httpx.Client):
    account = "/resourceGroups/asked/providers/Microsoft.Storage/storageAccounts/askedone"
    said = declined(arm.get(f"{account}?api-version=1999-01-01"), 400, "NoRegisteredProviderFound")
    assert "for location 'westus3' and API version '1999-01-01' for type 'storageAccounts'" in said
    assert "2023-05-01" in said
    declined(arm.get(f"{account}/fileServices?api-version=2018-11-01"), 400, "NoRegisteredProviderFound")
    for path in (
        "/resourcegroups/asked",
        "/resources",
        "/providers/Microsoft.App",
        "/providers/Microsoft.Resources/deployments",
    ):
        said = declined(arm.get(f"{path}?api-version=2025-04-02"), 400, "InvalidApiVersionParameter")
        assert "2025-04-01" in said
    resource = {
        "type": "Microsoft.App/jobs",
        "apiVersion": "2022-03-01",
        "name": "j",
        "location": "westus3",
        "properties": {},
    }
    answer = validate(arm, {"template": {**TEMPLATE, "resources": [resource]}})
    assert "NoRegisteredProviderFound" in answer.text


def validate(arm: httpx.Client, properties: dict[str, Any], scope: str = "/resourcegroups/asked") -> httpx.Response:
    body = {"location": "westus3", "properties": {"mode": "Incremental", "template": TEMPLATE, **properties}}
    if scope:
        del body["location"]
    return arm.post(f"{scope}/providers/Microsoft.Resources/deployments/d/validate{V}", json=body)


def test_a_filter_lets_through_what_it_says(arm: httpx.Client):
    both = {"askedone", "askedtwo"}
    assert names(arm, "resourceGroup eq 'asked'") == {"askedone"}
    kind = "resourceType eq 'Microsoft.Storage/storageAccounts'"
    assert names(arm, f"substringof('asked', name) and {kind}") == both
    assert names(arm, f"substringof('ASKED', name) and {kind} and resourceGroup ne 'asked'") == {"askedtwo"}
    assert names(arm, "name eq 'askedone' or name eq 'askedtwo'") == both
    assert both & names(arm, "resourceType ne 'Microsoft.Storage/storageAccounts'") == set()
    assert names(arm, "tagName eq 'OF' and tagValue eq 'mine'") == {"askedtwo"}
    assert names(arm, "tagName eq 'of' and tagValue eq 'yours'") == set()


def test_groups_are_listed_by_their_tag_and_as_many_as_asked(arm: httpx.Client):
    arm.put(f"/resourcegroups/asked-tagged{V}", json={"location": "westus3", "tags": {"asked": "yes"}})
    found = arm.get(f"/resourcegroups{V}&$filter=tagName eq 'asked' and tagValue eq 'yes'").json()["value"]
    assert [each["name"] for each in found] == ["asked-tagged"]
    assert len(arm.get(f"/resourcegroups{V}&$top=2").json()["value"]) == 2
    assert len(arm.get(f"/resources{V}&$top=1").json()["value"]) == 1


def test_operations_are_as_many_as_asked(arm: httpx.Client):
    kind = "Microsoft.Storage/storageAccounts/fileServices/shares"
    shares = [
        {"type": kind, "apiVersion": "2023-05-01", "name": f"askedtwo/default/op-{n}", "properties": {}} for n in (1, 2)
    ]
    at = "/resourcegroups/asked-too/providers/Microsoft.Resources/deployments/operated"
    arm.put(f"{at}{V}", json={"properties": {"mode": "Incremental", "template": {**TEMPLATE, "resources": shares}}})
    eventually(lambda: arm.get(f"{at}{V}").json()["properties"]["provisioningState"] == "Succeeded")
    assert [len(arm.get(f"{at}/operations{V}{top}").json()["value"]) for top in ("", "&$top=1")] == [2, 1]


@pytest.mark.parametrize(
    "wanted",
    [
        "name gt 'a'",
        "kind eq 'StorageV2'",
        "name eq 'a' but not 'b'",
        "tagName eq 'a' and name eq 'b'",
        "substringof(name, 'a')",
        "(name eq 'a')",
        "name eq a",
    ],
)
def test_a_filter_that_is_not_understood(arm: httpx.Client, wanted: str):
    answer = arm.get("/resources", params={"api-version": "2025-04-01", "$filter": wanted})
    assert wanted in declined(answer, 400, "InvalidFilterInQueryString")


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/resources", "$top=some", "InvalidTopInQueryString"),
        ("/resources", "$expand=owner", "InvalidExpandQueryString"),
        ("/resourcegroups", "$filter=name eq 'a'", "InvalidFilterInQueryString"),
        ("/resourcegroups/asked", "$expand=all", "InvalidQueryOption"),
        ("/locations", "$top=1", "InvalidQueryOption"),
        (
            "/resourcegroups/asked/providers/Microsoft.Resources/deployments",
            "$filter=name eq 'd'",
            "InvalidFilterInQueryString",
        ),
    ],
)
def test_options_that_a_list_does_not_take(arm: httpx.Client, path: str, query: str, code: str):
    declined(arm.get(f"{path}{V}&{query}"), 400, code)


def test_options_of_a_resource_and_of_its_keys(arm: httpx.Client):
    account = "/resourceGroups/asked/providers/Microsoft.Storage/storageAccounts/askedone"
    declined(arm.get(f"{account}{STORAGE}&$expand=geoReplicationStats"), 400, "InvalidQueryOption")
    assert len(arm.post(f"{account}/listKeys{STORAGE}&$expand=kerb").json()["keys"]) == 2
    declined(arm.post(f"{account}/listKeys{STORAGE}&$expand=all"), 400, "InvalidQueryOption")


def test_an_account_has_one_file_service(arm: httpx.Client):
    services = "/resourceGroups/asked/providers/Microsoft.Storage/storageAccounts/askedone/fileServices"
    assert arm.get(f"{services}/default{STORAGE}").json()["name"] == "default"
    declined(arm.get(f"{services}/other{STORAGE}"), 404, "ResourceNotFound")


def test_a_snapshot_of_a_share_is_not_there(arm: httpx.Client):
    share = "/resourceGroups/asked/providers/Microsoft.Storage/storageAccounts/askedone/fileServices/default/shares/s"
    answer = arm.get(f"{share}{STORAGE}", headers={"x-ms-snapshot": "2026-01-01T00:00:00.0000000Z"})
    declined(answer, 400, "UnsupportedHeader")


def test_shares_are_listed_in_pages_and_by_their_beginning(arm: httpx.Client):
    shares = "/resourceGroups/asked/providers/Microsoft.Storage/storageAccounts/askedone/fileServices/default/shares"
    for name in ("aa-1", "aa-2", "bb-1"):
        assert arm.put(f"{shares}/{name}{STORAGE}", json={}).status_code == 201
    first = arm.get(f"{shares}{STORAGE}&$maxpagesize=2").json()
    second = arm.get(first["nextLink"]).json()
    assert [each["name"] for each in (*first["value"], *second["value"])] == ["aa-1", "aa-2", "bb-1"]
    assert "nextLink" not in second
    found = arm.get(f"{shares}{STORAGE}&$filter=startswith(name, 'aa')").json()["value"]
    assert [each["name"] for each in found] == ["aa-1", "aa-2"]
    declined(arm.get(f"{shares}{STORAGE}&$filter=name eq 'aa-1'"), 400, "InvalidFilterInQueryString")
    declined(arm.get(f"{shares}{STORAGE}&$maxpagesize=0"), 400, "InvalidQueryOption")


def test_deployments_are_listed_by_their_state_and_as_many_as_asked(arm: httpx.Client):
    at = "/resourcegroups/asked-too/providers/Microsoft.Resources/deployments"
    for name in ("one", "two"):
        body = {"properties": {"mode": "Incremental", "template": TEMPLATE}}
        arm.put(f"{at}/{name}{V}", json=body)
        eventually(
            lambda name=name: arm.get(f"{at}/{name}{V}").json()["properties"]["provisioningState"] == "Succeeded"
        )
    found = arm.get(f"{at}{V}&$filter=provisioningState eq 'Succeeded'").json()["value"]
    assert {each["name"] for each in found} >= {"one", "two"}
    assert arm.get(f"{at}{V}&$filter=provisioningState eq 'Failed'").json()["value"] == []
    assert len(arm.get(f"{at}{V}&$top=1").json()["value"]) == 1


@pytest.mark.parametrize(
    ("stated", "word"),
    [
        ({"onErrorDeployment": {"type": "LastSuccessful"}}, "onErrorDeployment"),
        ({"debugSetting": {"detailLevel": "requestContent"}}, "requestContent"),
        ({"parametersLink": {"uri": "https://x"}}, "parametersLink"),
        ({"extensionConfigs": {"k8s": {}}}, "extensionConfigs"),
        ({"validationLevel": "Some"}, "validationLevel"),
        ({"expressionEvaluationOptions": {"scope": "both"}}, "expressionEvaluationOptions"),
    ],
)
def test_options_of_a_deployment_that_nothing_here_does(arm: httpx.Client, stated: dict[str, Any], word: str):
    assert word in declined(validate(arm, stated), 400, "InvalidRequestContent")


def test_what_says_nothing_is_no_option(arm: httpx.Client):
    stated = {"onErrorDeployment": None, "debugSetting": {"detailLevel": "none"}, "validationLevel": "Provider"}
    assert validate(arm, stated).status_code == 200


def test_providers_are_not_asked_where_only_the_template_is_to_be_looked_at(arm: httpx.Client):
    wrong = {**ACCOUNT, "type": "Microsoft.Storage/storageAccounts", "apiVersion": "2023-05-01", "name": "Not-A-Name"}
    template = {**TEMPLATE, "resources": [wrong]}
    assert "AccountNameInvalid" in validate(arm, {"template": template}).text
    assert validate(arm, {"template": template, "validationLevel": "Template"}).status_code == 200


def test_complete_is_for_groups_and_not_for_what_is_nested(arm: httpx.Client):
    declined(validate(arm, {"mode": "Complete"}, scope=""), 400, "InvalidDeploymentMode")
    nested = {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2021-04-01",
        "name": "inner",
        "properties": {"mode": "Complete", "template": TEMPLATE},
    }
    declined(validate(arm, {"template": {**TEMPLATE, "resources": [nested]}}), 400, "InvalidDeploymentMode")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = start_cloud(tmp_path_factory.mktemp("complete"), settings=QUICK)
    made.register()
    yield made
    made.stop()


def test_complete_deletes_what_the_template_does_not_name_and_tells_so_before(alone: World):
    with alone.http() as http:
        http.base_url = f"{alone.arm}/subscriptions/{alone.subscription}/resourcegroups/whole"
        http.put(f"{V}", json={"location": "westus3"})
        for name in ("keptaccount", "goneaccount"):
            http.put(f"/providers/Microsoft.Storage/storageAccounts/{name}{STORAGE}", json=ACCOUNT)
        kept = {
            **ACCOUNT,
            "type": "Microsoft.Storage/storageAccounts",
            "apiVersion": "2023-05-01",
            "name": "keptaccount",
        }
        body = {"properties": {"mode": "Complete", "template": {**TEMPLATE, "resources": [kept]}}}
        at = "/providers/Microsoft.Resources/deployments/all"
        told = http.get(http.post(f"{at}/whatIf{V}", json=body).headers["location"]).json()["properties"]["changes"]
        assert {each["resourceId"].rsplit("/", 1)[-1]: each["changeType"] for each in told}["goneaccount"] == "Delete"
        assert http.put(f"{at}{V}", json=body).status_code == 201
        eventually(lambda: http.get(f"{at}{V}").json()["properties"]["provisioningState"] == "Succeeded")
        assert [each["name"] for each in http.get(f"/resources{V}").json()["value"]] == ["keptaccount"]


@pytest.mark.parametrize(
    ("text", "alternatives"),
    [
        ("", []),
        ("name eq 'it''s and or'", [[("name", "eq", "it's and or")]]),
        (
            "name eq 'a' and name ne 'b' or startswith(name, 'c')",
            [[("name", "eq", "a"), ("name", "ne", "b")], [("name", "startswith", "c")]],
        ),
        ("Name EQ true", [[("name", "eq", "true")]]),
    ],
)
def test_a_filter_is_read(text: str, alternatives: Any):
    found = [[(c["name"], c["kind"], c["value"]) for c in each] for each in odata.parsed_filter(text, ("name",))]
    assert found == alternatives


def test_a_filter_that_is_cut_off_is_not_read():
    for text in ("name eq 'a' and", "and", "name eq 'a", "startswith('a', name)"):
        with pytest.raises(ArmError):
            odata.parsed_filter(text, ("name",))
