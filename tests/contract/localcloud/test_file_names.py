"""Azure Files: names that UTF-8 or XML can't hold, and answers that have no body."""

from typing import Any

import httpx
import pytest

from tests.contract.localcloud.conftest import World


@pytest.fixture(scope="module")
def share(world: World, group: str) -> Any:
    body: Any = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    world.storage.storage_accounts.begin_create(group, "oddnames", body).result()
    world.storage.file_shares.create(group, "oddnames", "share", {})
    return world.share("oddnames", "share", group)


@pytest.mark.parametrize("path", ["%ff%fe", "%c0%ae", "a/%ff"])
def test_a_name_that_is_no_utf8_is_refused(world: World, share: Any, path: str):
    answer = httpx.put(f"{share.url.split('?')[0]}/{path}", verify=world.known["caFile"])
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidUri")


def test_names_that_xml_can_not_hold_are_listed_encoded_page_by_page(world: World, share: Any):
    folder = share.create_directory("odd")
    names = ["a\ufffe", "b\uffff", "c&d", "plain"]
    for name in names:
        folder.get_file_client(name).upload_file(b"x")
    pages = folder.list_directories_and_files(results_per_page=1).by_page()
    found = [entry.name for page in pages for entry in page]
    assert found == sorted(names)
    inside = folder.create_subdirectory("sub\ufffe")
    inside.get_file_client("f").upload_file(b"x")
    assert [entry.name for entry in inside.list_directories_and_files()] == ["f"]
    raw = world.state / "shares"
    assert next(raw.rglob("a\ufffe")).is_file()


def test_a_failed_head_has_neither_body_nor_type(world: World, share: Any):
    assert not share.get_file_client("nowhere").exists()
    answer = httpx.head(f"{share.url.split('?')[0]}/nowhere", verify=world.known["caFile"])
    assert answer.status_code == 401
    assert "content-type" not in answer.headers
    assert answer.headers["x-ms-error-code"] == "NoAuthenticationInformation"
