"""What other people's clients send Azure Files and once was taken without effect: honoured, or refused by name. Raw HTTP."""

import datetime

import httpx
import pytest
from azure.storage.fileshare import FileSasPermissions, generate_file_sas

from tests.contract.localcloud import raw
from tests.contract.localcloud.conftest import World
from tests.contract.localcloud.raw import ACCOUNT, OF_STORAGE, Files, at, declined, refused

arm, files = raw.arm, raw.files


def test_the_tier_of_a_share_is_changed_and_shown(files: Files):
    assert files("GET", "share", "restype=share").headers["x-ms-access-tier"] == "TransactionOptimized"
    assert files("PUT", "share", "restype=share&comp=properties", x_ms_access_tier="Hot").status_code == 200
    shown = files("GET", "share", "restype=share")
    assert shown.headers["x-ms-access-tier"] == "Hot"
    assert shown.headers["x-ms-access-tier-change-time"].endswith("GMT")
    assert "<AccessTier>Hot</AccessTier>" in files("GET", "", "comp=list").text
    refused(files("PUT", "share", "restype=share&comp=properties", x_ms_access_tier="Tepid"), 400, "InvalidHeaderValue")
    refused(files("PUT", "share", "restype=share&comp=properties", x_ms_share_quota="0"), 400, "InvalidHeaderValue")


def test_a_share_made_through_arm_has_its_tier_and_metadata(world: World, group: str, arm: httpx.Client, files: Files):
    account = f"{at(world, group)}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
    share = f"{account}/fileServices/default/shares/byarm"
    made = arm.put(
        f"{share}{OF_STORAGE}", json={"properties": {"accessTier": "Cool", "shareQuota": 7, "metadata": {"of": "arm"}}}
    )
    assert made.status_code in (200, 201), made.text
    shown = files("GET", "byarm", "restype=share").headers
    assert (shown["x-ms-access-tier"], shown["x-ms-meta-of"], shown["x-ms-share-quota"]) == ("Cool", "arm", "7")


def test_the_tiers_of_a_share_follow_the_kind_of_its_account(world: World, group: str, arm: httpx.Client):
    account = f"{at(world, group)}/providers/Microsoft.Storage/storageAccounts/premiumfiles"
    body = {"location": "westus3", "kind": "FileStorage", "sku": {"name": "Premium_LRS"}}
    assert arm.put(f"{account}{OF_STORAGE}", json=body).status_code == 200
    share = f"{account}/fileServices/default/shares/fast{OF_STORAGE}"
    assert arm.put(share, json={"properties": {"accessTier": "Premium"}}).status_code in (200, 201)
    declined(arm.put(share, json={"properties": {"accessTier": "Hot"}}), 400, "InvalidHeaderValue")


def test_shares_are_listed_page_by_page_with_their_metadata(files: Files):
    for name in ("page-a", "page-b"):
        files("PUT", name, "restype=share", x_ms_meta_of=name)
    first = files("GET", "", "comp=list&prefix=page-&maxresults=1&include=metadata").text
    assert "<Metadata><of>page-a</of></Metadata>" in first
    assert "page-b</Name>" not in first
    assert "<NextMarker>page-b</NextMarker>" in first
    second = files("GET", "", "comp=list&prefix=page-&maxresults=1&marker=page-b").text
    assert "<Name>page-b</Name>" in second
    assert "Metadata" not in second
    assert "<NextMarker></NextMarker>" in second
    refused(files("GET", "", "comp=list&include=everything"), 400, "InvalidQueryParameterValue")
    refused(files("GET", "", "comp=list&maxresults=0"), 400, "OutOfRangeQueryParameterValue")


def test_dots_at_the_end_of_a_name_are_kept_where_that_is_asked(files: Files):
    kept = {"x_ms_allow_trailing_dot": "true"}
    files("PUT", "share/dots", "restype=directory")
    files.made("share/dots/t...", **kept)
    assert "<Name>t...</Name>" in files("GET", "share/dots", "restype=directory&comp=list").text
    assert files("HEAD", "share/dots/t...", **kept).status_code == 200
    assert files("HEAD", "share/dots/t...").status_code == 404
    source = {"x_ms_file_rename_source": f"{files.url}/share/dots/t...?{files.sas}"}
    refused(files("PUT", "share/dots/u..", "comp=rename", **source, **kept), 404, "ResourceNotFound")
    moved = files("PUT", "share/dots/u..", "comp=rename", **source, **kept, x_ms_source_allow_trailing_dot="true")
    assert moved.status_code == 200, moved.text
    assert "<Name>u..</Name>" in files("GET", "share/dots", "restype=directory&comp=list").text


def test_a_signature_states_headers_of_the_answer(files: Files):
    files.made("share/signed", x_ms_content_type="text/plain")
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10)
    sas = generate_file_sas(
        ACCOUNT,
        "share",
        ["signed"],
        files.key,
        permission=FileSasPermissions(read=True),
        expiry=until,
        cache_control="max-age=5",
        content_disposition="inline",
        content_type="text/sas",
        content_language="de",
    )
    answer = files.http.get(f"{files.url}/share/signed?{sas}", headers={"x-ms-version": "2026-10-06"})
    shown = [
        answer.headers[name] for name in ("cache-control", "content-disposition", "content-type", "content-language")
    ]
    assert shown == ["max-age=5", "inline", "text/sas", "de"]
    assert files("GET", "share/signed", "rsct=text/unsigned").headers["content-type"] == "text/plain"


def test_a_signature_is_for_the_addresses_that_it_states(files: Files):
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10)
    files.made("share/from")
    for stated, status in (("10.1.2.3", 403), ("127.0.0.1", 200), ("127.0.0.0-127.0.0.9", 200), ("nowhere", 403)):
        permission = FileSasPermissions(read=True)
        sas = generate_file_sas(ACCOUNT, "share", ["from"], files.key, permission=permission, expiry=until, ip=stated)
        answer = files.http.get(f"{files.url}/share/from?{sas}", headers={"x-ms-version": "2026-10-06"})
        assert answer.status_code == status, answer.text
    assert answer.headers["x-ms-error-code"] == "AuthorizationSourceIPMismatch"


def test_attributes_and_times_of_smb_are_kept_and_a_read_only_file_stays(files: Files):
    made = "2021-01-01T00:00:00.0000000Z"
    stated = {
        "x_ms_file_attributes": "ReadOnly|Hidden",
        "x_ms_file_creation_time": made,
        "x_ms_file_last_write_time": made,
    }
    files.made("share/attr", **stated)
    shown = files("HEAD", "share/attr").headers
    assert shown["x-ms-file-attributes"] == "ReadOnly | Hidden"
    assert (shown["x-ms-file-creation-time"], shown["x-ms-file-last-write-time"]) == (made, made)
    write = {"x_ms_write": "update", "x_ms_range": "bytes=0-0", "body": "x"}
    refused(files("PUT", "share/attr", "comp=range", **write), 409, "ReadOnlyAttribute")
    refused(files("DELETE", "share/attr"), 409, "ReadOnlyAttribute")
    files("PUT", "share/attr", "comp=properties", x_ms_file_attributes="None")
    assert files("PUT", "share/attr", "comp=range", **write, x_ms_file_last_write_time="preserve").status_code == 201
    assert files("HEAD", "share/attr").headers["x-ms-file-last-write-time"] == made
    files("PUT", "share/attr", "comp=range", **write)
    assert files("HEAD", "share/attr").headers["x-ms-file-last-write-time"] > made
    assert files("HEAD", "share/attr").headers["x-ms-file-creation-time"] == made
    for wrong in ({"x_ms_file_attributes": "Shiny"}, {"x_ms_file_creation_time": "yesterday"}):
        answer = files("PUT", "share/never", x_ms_type="file", x_ms_content_length="1", **wrong)
        refused(answer, 400, "InvalidHeaderValue")
        assert files("HEAD", "share/never").status_code == 404


def test_a_read_only_file_is_replaced_where_that_is_asked(files: Files):
    files.made("share/kept-file", x_ms_file_attributes="ReadOnly")
    files.made("share/new-file")
    renamed = {
        "x_ms_file_rename_source": f"{files.url}/share/new-file?{files.sas}",
        "x_ms_file_rename_replace_if_exists": "true",
    }
    refused(files("PUT", "share/kept-file", "comp=rename", **renamed), 409, "ReadOnlyAttribute")
    answer = files("PUT", "share/kept-file", "comp=rename", **renamed, x_ms_file_rename_ignore_readonly="true")
    assert answer.status_code == 200, answer.text


def test_what_is_made_is_a_file(files: Files):
    refused(files("PUT", "share/blob", x_ms_type="BlockBlob", x_ms_content_length="1"), 400, "InvalidHeaderValue")


def test_a_range_is_read_with_its_md5(files: Files):
    files.made("share/summed")
    asked = {"x_ms_range": "bytes=0-1"}
    assert "content-md5" not in files("GET", "share/summed", **asked).headers
    assert files("GET", "share/summed", **asked, x_ms_range_get_content_md5="true").headers["content-md5"]


def test_a_version_of_the_service_is_a_date(files: Files):
    assert files("GET", "share", "restype=share", x_ms_version="2024-11-04").headers["x-ms-version"] == "2024-11-04"
    for wrong in ("newest", "2008-01-01", "2024-13-45"):
        refused(files("GET", "share", "restype=share", x_ms_version=wrong), 400, "InvalidHeaderValue", "x-ms-version")


def test_what_is_missing_is_the_parent_where_that_is_missing_too(files: Files):
    refused(files("GET", "share/no/where", "restype=directory"), 404, "ParentNotFound")
    refused(files("GET", "share/no/where"), 404, "ParentNotFound")
    refused(files("PUT", "share/no/where", "restype=directory"), 404, "ParentNotFound")
    refused(files("GET", "share/nowhere", "restype=directory"), 404, "ResourceNotFound")


@pytest.mark.parametrize(
    ("query", "headers", "feature"),
    [
        ("", {"x_ms_copy_source": "https://x"}, "copying from a URL"),
        ("comp=range", {"x_ms_copy_source": "https://x", "x_ms_source_range": "bytes=0-1"}, "copying from a URL"),
        ("comp=range", {"x_ms_structured_body": "XSM/1.0; properties=crc64"}, "structured bodies (crc64)"),
        ("", {"x_ms_file_permission": "O:S-1-5-21"}, "permissions of files (SDDL)"),
        ("", {"x_ms_mode": "0644"}, "NFS"),
    ],
)
def test_headers_that_ask_for_what_is_not_here(files: Files, query: str, headers: dict[str, str], feature: str):
    refused(files("PUT", "share/feature", query, **headers), 400, "UnsupportedHeader", feature)


def test_a_checked_upload_is_refused_for_its_checksum_and_not_for_its_length(files: Files):
    files.made("share/crc", str(5 * 2**20))
    stated = {
        "x_ms_structured_body": "XSM/1.0; properties=crc64",
        "x_ms_range": "bytes=0-4194303",
        "x_ms_write": "update",
    }
    refused(
        files("PUT", "share/crc", "comp=range", **stated, body="x" * (2**22 + 39)), 400, "UnsupportedHeader", "crc64"
    )


@pytest.mark.parametrize(
    ("method", "path", "query", "feature"),
    [
        ("PUT", "share", "restype=share&comp=snapshot", "snapshots"),
        ("PUT", "share/crc", "comp=lease", "leases"),
        ("PUT", "share", "restype=share&comp=acl", "stored access policies"),
        ("PUT", "share", "restype=share&comp=filepermission", "permissions of files (SDDL)"),
        ("PUT", "share/link", "restype=hardlink", "hard links"),
        ("GET", "share/crc", "sharesnapshot=2026-01-01T00:00:00.0000000Z", "snapshots"),
        ("PUT", "share", "restype=share&comp=undelete", "deleted shares that come back"),
    ],
)
def test_operations_that_are_not_here(files: Files, method: str, path: str, query: str, feature: str):
    refused(files(method, path, query), 400, "UnsupportedQueryParameter", feature)


def test_a_lease_that_nobody_took_is_not_there(files: Files):
    files.made("share/unleased")
    lease = {"x_ms_lease_id": "6279414c-c573-4517-ac80-9ff3ec9d5935"}
    refused(files("DELETE", "share/unleased", **lease), 412, "LeaseNotPresentWithFileOperation")
    refused(files("DELETE", "share", "restype=share", **lease), 412, "LeaseNotPresentWithContainerOperation")


def test_a_rename_states_leases_that_nobody_took(files: Files):
    files.made("share/unleased-too")
    source = {"x_ms_file_rename_source": f"{files.url}/share/unleased-too?{files.sas}"}
    for name in ("x_ms_source_lease_id", "x_ms_destination_lease_id"):
        answer = files(
            "PUT", "share/elsewhere", "comp=rename", **source, **{name: "6279414c-c573-4517-ac80-9ff3ec9d5935"}
        )
        refused(answer, 412, "LeaseNotPresentWithFileOperation")


def test_a_token_for_the_account_itself_is_taken(world: World, files: Files):
    headers = {"x-ms-version": "2026-10-06", "x-ms-file-request-intent": "backup"}
    for audience in (f"https://{ACCOUNT}.file.core.windows.net", "https://another.file.core.windows.net"):
        token = world.credential().get_token(f"{audience}/.default").token
        found = files.http.get(
            f"{files.url}/share?restype=share", headers={**headers, "Authorization": f"Bearer {token}"}
        )
        assert found.status_code == (200 if ACCOUNT in audience else 401), found.text
    assert found.headers["www-authenticate"].startswith("Bearer authorization_uri=")


def test_what_is_told_of_content_is_told_again(files: Files):
    told = {
        "x_ms_cache_control": "no-cache",
        "x_ms_content_disposition": "attachment",
        "x_ms_content_encoding": "identity",
        "x_ms_content_language": "de,en",
    }
    files.made("share/told", **told)
    shown = files("HEAD", "share/told").headers
    assert [shown[name.removeprefix("x_ms_").replace("_", "-")] for name in told] == list(told.values())
