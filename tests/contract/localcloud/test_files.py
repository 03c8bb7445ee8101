"""Azure Files through Microsoft's SDK: names, ranges, renames, metadata, paging, signatures, what is refused."""

import datetime
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.fileshare import (
    AccountSasPermissions,
    ResourceTypes,
    ShareClient,
    ShareSasPermissions,
    generate_account_sas,
    generate_share_sas,
)

from tests.contract.localcloud.conftest import World, code_of

ACCOUNT = "filestests"


@pytest.fixture(scope="module")
def account(world: World, group: str) -> str:
    body = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {}}
    world.storage.storage_accounts.begin_create(group, ACCOUNT, body).result()
    return ACCOUNT


@pytest.fixture
def share(world: World, group: str, account: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    name = "s" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    client = world.share(account, name, group)
    client.create_share(quota=10)
    yield client
    client.delete_share()


def folder_of(world: World, share: Any) -> Path:
    return world.state / "shares" / ACCOUNT / share.share_name


def test_what_is_uploaded_is_a_plain_file_and_what_is_written_there_is_read(world: World, share: Any):
    share.create_directory("models")
    share.get_file_client("models/a.bin").upload_file(b"hello")
    assert (folder_of(world, share) / "models" / "a.bin").read_bytes() == b"hello"
    (folder_of(world, share) / "models" / "log.txt").write_text("from a replica")
    assert share.get_file_client("models/log.txt").download_file().readall() == b"from a replica"


def test_large_files_go_in_ranges_and_come_back_whole(share: Any):
    data = os.urandom(9 * 1024 * 1024 + 17)
    client = share.get_file_client("big.bin")
    client.upload_file(data, max_concurrency=4)
    assert client.download_file(max_concurrency=4).readall() == data
    assert client.get_file_properties().size == len(data)
    assert client.download_file(offset=5, length=10).readall() == data[5:15]


def test_create_with_data_is_one_request_and_its_md5_is_checked(share: Any):
    client = share.get_file_client("one.bin")
    client.create_file(5, data=b"hello", validate_content="md5")
    assert client.download_file().readall() == b"hello"
    with pytest.raises(HttpResponseError):
        client.upload_range(b"hello!", 0, 6)


def test_a_wrong_md5_is_refused(world: World, share: Any):
    share.get_file_client("sum.bin").create_file(5)
    url = share.get_file_client("sum.bin").url
    token = generate_share_sas(
        ACCOUNT, share.share_name, share.credential.account_key, ShareSasPermissions(write=True), expiry=soon()
    )
    headers = {"x-ms-range": "bytes=0-4", "x-ms-write": "update", "Content-MD5": "AAAA", "x-ms-version": "2024-11-04"}
    answer = httpx.put(
        f"{url}?comp=range&{token}", content=b"hello", headers=headers, verify=world.known["caFile"], timeout=60
    )
    assert answer.status_code == 400
    assert "Md5Mismatch" in answer.text
    assert answer.headers["x-ms-error-code"] == "Md5Mismatch"


def test_rename_without_replace_is_create_if_absent(share: Any):
    share.get_file_client("new").upload_file(b"1")
    share.get_file_client("taken").upload_file(b"2")
    with pytest.raises(ResourceExistsError) as refused:
        share.get_file_client("new").rename_file("taken", overwrite=False)
    assert code_of(refused.value) == "ResourceAlreadyExists"
    share.get_file_client("new").rename_file("taken", overwrite=True)
    assert share.get_file_client("taken").download_file().readall() == b"1"
    with pytest.raises(ResourceNotFoundError):
        share.get_file_client("new").get_file_properties()


def test_a_directory_is_renamed_with_all_in_it_and_their_metadata(share: Any):
    share.create_directory("one")
    share.get_file_client("one/f").upload_file(b"x", metadata={"colour": "red"})
    share.get_directory_client("one").rename_directory("two")
    properties = share.get_file_client("two/f").get_file_properties()
    assert properties.metadata == {"colour": "red"}


def test_names_match_whatever_their_case_and_keep_it(share: Any):
    share.create_directory("Models")
    share.get_file_client("models/File.TXT").upload_file(b"x")
    assert [entry.name for entry in share.list_directories_and_files("MODELS")] == ["File.TXT"]
    assert share.get_file_client("MODELS/file.txt").download_file().readall() == b"x"


def test_listing_pages_and_includes(share: Any):
    for number in range(7):
        share.get_file_client(f"f{number}").upload_file(b"x" * number)
    pages = [list(page) for page in share.list_directories_and_files(results_per_page=3).by_page()]
    assert [len(page) for page in pages] == [3, 3, 1]
    entries = list(share.list_directories_and_files(include=["timestamps", "Etag", "Attributes"]))
    assert [entry.size for entry in entries] == list(range(7))
    assert all(entry.last_modified and entry.etag for entry in entries)
    assert [entry.name for entry in share.list_directories_and_files(name_starts_with="f3")] == ["f3"]


def test_what_is_missing_or_in_the_way_is_named(share: Any):
    with pytest.raises(ResourceNotFoundError) as missing:
        share.get_file_client("no/such").create_file(1)
    assert code_of(missing.value) == "ParentNotFound"
    share.create_directory("d")
    share.get_file_client("d/f").upload_file(b"")
    with pytest.raises(HttpResponseError) as full:
        share.delete_directory("d")
    assert code_of(full.value) == "DirectoryNotEmpty"
    with pytest.raises(HttpResponseError) as kind:
        share.get_file_client("d").create_file(1)
    assert code_of(kind.value) == "ResourceTypeMismatch"
    with pytest.raises(ResourceNotFoundError) as directory:
        share.get_directory_client("d/f").get_directory_properties()
    assert directory.value.status_code == 404, "asking for a directory at a file's path is 404"


@pytest.mark.parametrize("name", ["a|b", "a?b", 'a"b', "a<b", "a*b", "a:b", "x" * 256])
def test_forbidden_names_are_refused(share: Any, name: str):
    with pytest.raises(HttpResponseError) as refused:
        share.get_file_client(name).create_file(1)
    assert refused.value.status_code == 400


def test_trailing_dots_are_dropped(share: Any):
    share.get_file_client("name..").upload_file(b"x")
    assert [entry.name for entry in share.list_directories_and_files()] == ["name"]


def test_paths_and_links_never_lead_out_of_the_share(world: World, share: Any, account: str):
    outside = world.state / "outside.txt"
    outside.write_text("private")
    (folder_of(world, share) / "link").symlink_to(outside)
    (folder_of(world, share) / "up").symlink_to(world.state)
    for path in ("link", "up/outside.txt", "up/identity.json"):
        with pytest.raises(HttpResponseError) as refused:
            share.get_file_client(path).download_file().readall()
        assert refused.value.status_code == 404
    for path in ("..%2f..%2foutside.txt", "%2e%2e/%2e%2e/outside.txt", "a%5c..%5c..%5coutside.txt"):
        answer = signed(world, share, path)
        assert 400 <= answer.status_code < 500, path
        assert "private" not in answer.text


def signed(world: World, share: Any, path: str) -> httpx.Response:
    permissions = AccountSasPermissions(read=True, list=True)
    types = ResourceTypes(service=True, container=True, object=True)
    token = generate_account_sas(ACCOUNT, share.credential.account_key, types, permissions, soon())
    url = f"{share.url.split('?')[0]}/{path}?{token}"
    return httpx.get(url, headers={"x-ms-version": "2024-11-04"}, verify=world.known["caFile"], timeout=60)


def soon(minutes: int = 10) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)


def test_a_wrong_key_is_refused(world: World, share: Any):
    key = "A" * 86 + "=="
    stranger = ShareClient(
        share.url.rsplit("/", 2)[0] + "/" + ACCOUNT,
        share.share_name,
        credential={"account_name": ACCOUNT, "account_key": key},
        connection_verify=world.known["caFile"],
    )
    with pytest.raises(ClientAuthenticationError) as refused:
        stranger.get_share_properties()
    assert code_of(refused.value) == "AuthenticationFailed"


def test_a_sas_permits_what_it_says_until_it_ends(world: World, share: Any):
    share.get_file_client("f").upload_file(b"x")
    key, base = share.credential.account_key, share.url.rsplit("/", 1)[0]

    def client(expiry: datetime.datetime, **permissions: bool) -> Any:
        token = generate_share_sas(ACCOUNT, share.share_name, key, ShareSasPermissions(**permissions), expiry=expiry)
        return ShareClient(base, share.share_name, credential=token, connection_verify=world.known["caFile"])

    reader = client(soon(), read=True)
    assert reader.get_file_client("f").download_file().readall() == b"x"
    with pytest.raises(HttpResponseError) as refused:
        reader.get_file_client("g").create_file(1)
    assert code_of(refused.value) == "AuthorizationPermissionMismatch"
    with pytest.raises(HttpResponseError) as late:
        client(soon(-5), read=True).get_file_client("f").download_file().readall()
    assert code_of(late.value) == "AuthenticationFailed"


def test_a_token_works_with_backup_intent(world: World, share: Any):
    base = share.url.rsplit("/", 1)[0]
    client = ShareClient(
        base,
        share.share_name,
        credential=world.credential(),
        token_intent="backup",
        connection_verify=world.known["caFile"],
    )
    client.get_file_client("f").upload_file(b"x")
    assert client.get_file_client("f").download_file().readall() == b"x"


def test_metadata_and_content_headers_are_kept(share: Any):
    from azure.storage.fileshare import ContentSettings  # noqa: PLC0415  (the SDKs load slowly; only who asks waits)

    client = share.get_file_client("typed")
    client.upload_file(b"{}", content_settings=ContentSettings(content_type="application/json"), metadata={"a": "1"})
    properties = client.get_file_properties()
    assert properties.content_settings.content_type == "application/json"
    assert properties.metadata == {"a": "1"}
    client.set_file_metadata({"b": "2"})
    assert client.get_file_properties().metadata == {"b": "2"}


def test_shares_seen_through_arm_and_the_data_plane_are_the_same(world: World, group: str, account: str, share: Any):
    names = [each.name for each in world.storage.file_shares.list(group, account)]
    assert share.share_name in names
    assert world.storage.file_shares.get(group, account, share.share_name).share_quota == 10


def test_a_share_that_is_full_refuses_more_and_names_the_limit(world: World, share: Any):
    with pytest.raises(HttpResponseError) as full:
        share.get_file_client("too-large.bin").create_file(11 * 2**30)
    assert full.value.status_code == 413
    assert code_of(full.value) == "ShareSizeLimitReached"
    assert list(share.list_directories_and_files()) == []


def test_a_small_file_is_refused_too_where_the_share_is_full(world: World, group: str) -> None:
    """Only what was large beside the share's limit was counted: a full share took small files without end."""
    world.storage.storage_accounts.begin_create(
        group, "fullshare", {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    ).result()
    world.storage.file_shares.create(group, "fullshare", "share", {"properties": {"shareQuota": 1}})
    share = world.share("fullshare", "share", group)
    share.get_file_client("small").create_file(1000)
    share.get_file_client("large").create_file(2**30 - 2000)
    with pytest.raises(HttpResponseError) as refused:
        share.get_file_client("another").create_file(1001)
    assert code_of(refused.value) == "ShareSizeLimitReached"
    share.get_file_client("small").delete_file()
    share.get_file_client("another").create_file(1001)
