"""Every operation of Microsoft's OpenAPI files that the tables of fates call refused: asked, and refused with what they say."""

import re

import httpx
import pytest

from tests.contract.localcloud import raw
from tests.contract.localcloud.conftest import World
from tests.contract.localcloud.raw import OF_STORAGE, Files
from tests.contract.localcloud.replay import SPECS
from tests.contract.spec_items import SERVICES, Operation, operations
from tests.support import fates

pytestmark = pytest.mark.skipif(not SPECS.exists(), reason="Microsoft's OpenAPI files are not beside the project")
arm, files = raw.arm, raw.files
VERSIONS = {"app": "?api-version=2025-07-01", "storage": OF_STORAGE, "loganalytics": "?api-version=2025-07-01"}


def refused(service: str) -> list[tuple[Operation, str]]:
    table = fates.rows()
    found = [(each, fates.row_of(table, service, each.name, "operation", "")) for each in operations(service)]
    return [(each, row.why) for each, row in found if row and row.fate == "refused"]


@pytest.mark.parametrize("service", [each for each in SERVICES if each != "files"])
def test_operations_of_arm(world: World, group: str, arm: httpx.Client, service: str):
    values = {"subscriptionId": world.subscription, "resourceGroupName": group, "sourceResourceGroupName": group}
    wrong: list[str] = []
    for operation, why in refused(service):
        path = re.sub(
            r"\{(\w+)\}",
            lambda hole: values.get(hole[1], "Microsoft.App" if "Provider" in hole[1] else "x"),
            operation.path,
        )
        version = VERSIONS.get(service, "?api-version=2022-12-01")
        answer = arm.request(operation.method, f"{path}{version}", json=None if operation.method == "GET" else {})
        said = f"{answer.status_code}"
        if operation.method != "HEAD" and answer.status_code >= 400:
            said += f" {answer.json()['error']['code']}"
        if not why.startswith(said) or answer.status_code < 400:
            wrong.append(f"{operation.name} {operation.method} {path}: {said}, {why} is written")
    assert not wrong, "\n".join(wrong)


def test_operations_of_azure_files(files: Files):
    wrong: list[str] = []
    for operation, why in refused("files"):
        path, _, query = operation.path.partition("?")
        place = re.sub(r"\{\w+\}", "x", path.replace("{shareName}", "share")).strip("/").replace("share/x/x", "share/x")
        # What the files call a query is told by a header.
        headers = {"x_ms_copy_source": "https://example.org/x"} if "fromURL" in query or query == "comp=copy" else {}
        query = "&".join(
            each for each in query.split("&") if "=" in each and (each != "comp=copy" or "copyid" in query)
        )
        answer = files(operation.method, place, query, **headers)
        said = f"{answer.status_code} {answer.headers.get('x-ms-error-code')}"
        if not why.startswith(said):
            wrong.append(f"{operation.name} {operation.method} {place}?{query}: {said}, {why} is written")
    assert not wrong, "\n".join(wrong)
