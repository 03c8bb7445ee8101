"""Plans of templates: output names, mount paths, SharedKey texts."""

from pathlib import Path

import pytest

from sidecar.localcloud.core.resource_id import parse_resource_id
from sidecar.localcloud.deployments.planning import mangled
from sidecar.localcloud.files.sharedkey import signature, signed_by, string_to_sign
from sidecar.localcloud.files.tree import FilesError, check_name
from sidecar.localcloud.runtime.layers import replace_mounts


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ACA_APP_ENDPOINT", "acA_APP_ENDPOINT"),
        ("AZURE_GOVERSION", "azurE_GOVERSION"),
        ("ARRAY_INT", "arraY_INT"),
        ("STRING", "string"),
        ("nullableParamOutput", "nullableParamOutput"),
        ("URLValue", "urlValue"),
        ("A", "a"),
        ("", ""),
    ],
)
def test_output_names_are_mangled_as_arm_does(name: str, shown: str):
    assert mangled(name) == shown


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("/mount", "/share"),
        ("cd /mount/inference && python3 -m x", "cd /share/inference && python3 -m x"),
        ("--root=/mount", "--root=/share"),
        ("/mountain /data/mount x/mount /mount.bak /mount-2", "/mountain /data/mount x/mount /mount.bak /mount-2"),
        ("\"/mount\":'/mount'", "\"/share\":'/share'"),
    ],
)
def test_a_mount_path_is_replaced_as_a_whole_path_only(text: str, replaced: str):
    assert replace_mounts(text, {"/mount": Path("/share")}) == replaced


def test_resource_ids_are_read_and_written():
    text = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/a/revisions/r"
    found = parse_resource_id(text)
    assert found
    assert (found.type, found.names) == ("Microsoft.App/containerApps/revisions", ("a", "r"))
    assert (found.group, found.subscription) == ("g", "s")
    assert found.text == text
    assert found.parent
    assert found.parent.text == text.removesuffix("/revisions/r")
    assert parse_resource_id("/subscriptions/s/resourceGroups/g") is None
    assert parse_resource_id("/subscriptions/s/providers/Microsoft.App/containerApps") is None


def test_a_signature_covers_method_path_query_and_headers():
    headers = {"x-ms-date": "Mon", "x-ms-version": "1", "content-length": "0", "content-type": "text/plain"}
    text = string_to_sign("PUT", "acc", "/acc/share/f", [("restype", "share"), ("comp", "a%20b")], headers)
    assert (
        text
        == "PUT\n\n\n\n\ntext/plain\n\n\n\n\n\n\nx-ms-date:Mon\nx-ms-version:1\n/acc/acc/share/f\ncomp:a b\nrestype:share"
    )
    assert signed_by(["a2V5"], text, signature("a2V5", text))
    assert not signed_by(["a2V5"], text + "x", signature("a2V5", text))
    assert not signed_by(["a2V5"], text, "not base64!")


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", ".", "", "a\x00", "x" * 256, "a:b"])
def test_names_that_azure_files_refuses(name: str):
    with pytest.raises(FilesError):
        check_name(name)
