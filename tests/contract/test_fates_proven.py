"""A twentieth of the honoured rows of `sidecar/localcloud/fates`, always the same: each one's test is red without it.

All of them: `npm run contract -- fates --prove`.
"""

from concurrent.futures import ThreadPoolExecutor

from tests.contract.fates import twentieth, unproven
from tests.support.deaf_cloud import without
from tests.support.fates import Row


def test_a_twentieth_of_what_is_honoured_would_be_missed():
    with ThreadPoolExecutor(3) as pool:
        assert unproven(twentieth(), pool) == []


def test_what_a_handler_ignores_is_reported():
    """The README says that nothing looks at it: no test can miss it."""
    test = "test_a_patched_account_has_another_sku"
    ignored = Row("storage", 1, "StorageAccount", "body", "properties.allowBlobPublicAccess", "honoured", test)
    with ThreadPoolExecutor(1) as pool:
        (said,) = unproven([ignored], pool)
    assert "nobody missed StorageAccount body properties.allowBlobPublicAccess" in said


def test_members_are_taken_out_of_a_body_by_their_path():
    body = {"tags": {"a": "1"}, "properties": {"list": [{"x": 1, "y": 2}], "deep": {"x": 1, "y": 2}}}
    assert "tags" not in without(body, "tags{}")
    assert without(body, "properties.list[].x")["properties"]["list"] == [{"y": 2}]
    assert without(body, "properties.list[].*")["properties"]["list"] == [{}]
    assert without(body, "properties.deep.*")["properties"]["deep"] == {}
    assert without(body, "properties.other.x") == body
    assert without(body, "") == {}
