"""Azure Files: names that UTF-8 or XML can't hold, ranges that were never written, what answers state beside their body."""

from typing import Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import World, code_of


@pytest.fixture(scope="module")
def share(world: World, group: str) -> Any:
    body: Any = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    world.storage.storage_accounts.begin_create(group, "oddnames", body).result()
    world.storage.file_shares.create(group, "oddnames", "share", {})
    return world.share("oddnames", "share", group)


@pytest.mark.parametrize("path", ["%ff%fe", "%c0%ae", "a/%ff"])
def test_a_name_that_is_no_utf8_is_refused(world: World, share: Any, path: str):
    answer = httpx.put(f"{share.url.split('?')[0]}/{path}", verify=world.known["caFile"], timeout=60)
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
    answer = httpx.head(f"{share.url.split('?')[0]}/nowhere", verify=world.known["caFile"], timeout=60)
    assert answer.status_code == 401
    assert "content-type" not in answer.headers
    assert answer.headers["x-ms-error-code"] == "NoAuthenticationInformation"


def test_only_written_ranges_are_listed(share: Any):
    file = share.get_file_client("sparse")
    file.create_file(4 * 2**20)
    assert file.get_ranges() == []
    page = b"x" * 65536
    file.upload_range(page, offset=2**20, length=len(page))
    written = {"start": 2**20, "end": 2**20 + len(page) - 1}
    assert file.get_ranges() == [written]
    assert file.get_ranges(offset=0, length=512) == []
    half = file.get_ranges(offset=2**20 + 512, length=1024)
    assert half == [{"start": 2**20 + 512, "end": 2**20 + 1535}]


def test_ranges_are_listed_by_pages_also_beside_ones_that_were_never_written_or_were_cleared(share: Any, world: World):
    """Ranges that were never written are not listed as written, however coarse the blocks of this machine's disk are."""
    file = share.get_file_client("pages")
    file.create_file(2048)
    file.upload_range(b"x" * 512, offset=0, length=512)
    file.upload_range(b"x" * 512, offset=1024, length=512)
    assert file.get_ranges() == [{"start": 0, "end": 511}, {"start": 1024, "end": 1535}]
    file.clear_range(offset=0, length=512)
    assert file.get_ranges() == [{"start": 1024, "end": 1535}]
    file.set_file_metadata({"a": "1"})
    file.resize_file(1280)
    assert file.get_ranges() == [{"start": 1024, "end": 1279}]
    moved = file.rename_file("pages.moved", metadata={"b": "2"})
    assert moved.get_ranges() == [{"start": 1024, "end": 1279}]
    assert moved.get_file_properties().metadata == {"b": "2"}
    seen = next((world.state / "shares").rglob("pages.moved"))
    seen.write_bytes(b"y" * 4096)
    assert moved.get_ranges() == [{"start": 0, "end": 4095}], "as a replica writes: by what the disk holds"


def test_a_download_says_its_type_as_it_was_stored_and_that_nothing_is_locked(share: Any):
    from azure.storage.fileshare import ContentSettings  # noqa: PLC0415  (the SDKs load slowly; only who asks waits)

    file = share.get_file_client("typed.x")
    file.upload_file(b"hello", content_settings=ContentSettings(content_type="text/x"), metadata={"a": "1"})
    for shown in (file.download_file().properties, file.get_file_properties()):
        assert shown.content_settings.content_type == "text/x"
        assert (shown.lease.status, shown.lease.state) == ("unlocked", "available")
        assert shown.server_encrypted is True
    assert share.get_share_properties().lease.state == "available"
    moved = file.rename_file("renamed.y", content_type="text/y", metadata={"b": "2"})
    shown = moved.get_file_properties()
    assert (shown.content_settings.content_type, shown.metadata) == ("text/y", {"b": "2"})


@pytest.mark.parametrize("name", ["CON", "nul", "Com1", "LPT9", "clock$", "a\x81b", "say:cheese"])
def test_names_of_devices_and_control_characters_are_refused(share: Any, name: str):
    with pytest.raises(HttpResponseError) as refused:
        share.get_file_client(name).create_file(1)
    assert code_of(refused.value) == "InvalidFileOrDirectoryPathName"
    share.get_file_client("com0").create_file(1)


def test_names_are_compared_character_by_character_whatever_their_case(share: Any):
    """As Windows compares: one sharp s is not two, so both names are there."""
    share.get_file_client("straße").upload_file(b"1")
    share.get_file_client("strasse").upload_file(b"22")
    assert share.get_file_client("STRASSE").get_file_properties().size == 2
    assert share.get_file_client("STRAßE").get_file_properties().size == 1
    pages = share.list_directories_and_files(name_starts_with="STRA", results_per_page=1).by_page()
    assert sorted(each.name for page in pages for each in page) == ["strasse", "straße"]


def test_the_longest_name_can_be_renamed_and_keeps_its_metadata(share: Any):
    """It was answered with 500: beside a name of this length the cloud's own note had no room."""
    file = share.get_file_client("a" * 255)
    file.upload_file(b"1", metadata={"of": "mine"})
    moved = file.rename_file("b" * 255)
    assert moved.get_file_properties().metadata == {"of": "mine"}
