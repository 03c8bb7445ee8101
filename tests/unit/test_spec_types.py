"""Members that newer types let a body state: how Microsoft's Bicep types are read, and what is new of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.spec_items import SERVICES
from tests.contract.spec_types import TYPES, beyond, newer_items, newest, stated


def _types(*nodes: dict[str, Any]) -> list[dict[str, Any]]:
    """A text first, then the resource, whose body is the third."""
    named = {"$type": "ResourceType", "name": "Microsoft.App/things@2026-01-01", "body": {"$ref": "#/2"}}
    return [{"$type": "StringType"}, named, *nodes]


def _object(**members: tuple[int, int]) -> dict[str, Any]:
    """Each member's type by its place, and its flags."""
    return {
        "$type": "ObjectType",
        "properties": {name: {"type": {"$ref": f"#/{at}"}, "flags": flags} for name, (at, flags) in members.items()},
    }


def test_what_is_read_only_and_what_the_address_says_is_not_stated():
    types = _types(_object(id=(0, 10), name=(0, 9), kind=(0, 0), shown=(3, 2), properties=(3, 0)), _object(name=(0, 1)))
    assert stated(types, "Microsoft.App/things") == ["kind", "properties", "properties.name"]


def test_lists_and_kinds_are_looked_into_and_what_holds_itself_ends():
    listed = {"$type": "ArrayType", "itemType": {"$ref": "#/4"}}
    union = {"$type": "UnionType", "elements": [{"$ref": "#/0"}, {"$ref": "#/5"}]}
    kinds = {
        "$type": "DiscriminatedObjectType",
        "baseProperties": {"sort": {"type": {"$ref": "#/0"}, "flags": 1}},
        "elements": {"a": {"$ref": "#/6"}},
    }
    types = _types(_object(rules=(3, 0)), listed, union, kinds, _object(x=(0, 0), again=(5, 0)))
    assert stated(types, "Microsoft.App/things") == ["rules[]", "rules[].sort", "rules[].x", "rules[].again"]


def test_new_is_what_is_not_declared_and_of_that_the_topmost():
    paths = ["a", "a.b", "a.new", "a.new.c", "list[].x", "list[].y", "tags", "tags.deep", "ab"]
    assert beyond(paths, {"a.b", "list[].x", "tags{}"}) == ["a.new", "list[].y", "ab"]


def test_the_newest_version_is_taken_that_is_no_preview(tmp_path: Path):
    for version in ("2024-03-01", "2025-01-01", "2026-05-01-preview"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "types.json").write_text(json.dumps([]), encoding="utf-8")
    assert newest(tmp_path).parent.name == "2025-01-01"
    with pytest.raises(FileNotFoundError, match="no types of any version"):
        newest(tmp_path / "2024-03-01")


@pytest.mark.skipif(not TYPES.is_dir(), reason="../shared/azure-specs/bicep-types-az is not beside the project")
def test_members_that_are_known_to_be_newer_are_found():
    found = {(each.what, each.name) for service in SERVICES for each in newer_items(service)}
    assert {
        ("ContainerApp", "properties.template.scale.cooldownPeriod"),
        ("ManagedEnvironmentStorage", "properties.nfsAzureFile"),
        ("StorageAccount", "zones[]"),
        ("FileServiceProperties", "properties.protocolSettings.nfs"),
    } <= found
    assert not {name for what, name in found if what == "StorageAccount" and name.startswith(("sku", "tags", "kind"))}
