"""What lists of a provider's resources understand of OData."""

import pytest

from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.door.listed import page

REVISIONS = "Microsoft.App/containerApps/revisions"


def listed(text: str) -> list[str]:
    values = [{"name": name, "properties": {"active": active}} for name, active in (("a", True), ("b", False))]
    return [
        each["name"] for each in page({"api-version": "x", "$filter": text}, REVISIONS, values, "https://here")["value"]
    ]


def test_revisions_are_listed_by_whether_they_are_active():
    assert listed("") == ["a", "b"]
    assert listed("properties/active eq true") == ["a"]
    assert listed("properties/active eq false") == ["b"]
    assert listed("Properties/Active ne false") == ["a"]


def test_another_filter_of_revisions_is_refused():
    for text in ("name eq 'a'", "properties/active"):
        with pytest.raises(ArmError) as problem:
            listed(text)
        assert problem.value.code == "InvalidFilterInQueryString"


def test_a_list_that_takes_no_options_takes_none():
    with pytest.raises(ArmError):
        page({"api-version": "x", "$filter": "name eq 'a'"}, "Microsoft.App/jobs", [], "https://here")
