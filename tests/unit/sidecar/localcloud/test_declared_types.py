"""Values held against the types that a template declares, as the official compiler writes them out."""

import json
from typing import Any

import pytest

from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.deployments.declared_types import check_value, followed
from tests.support.bicep_corpus import corpus

RULES = {
    "name": {"type": "string", "minLength": 2, "maxLength": 4},
    "again": {"$ref": "#/definitions/name", "maxLength": 3},
    "http": {
        "type": "object",
        "properties": {"kind": {"type": "string", "allowedValues": ["http"]}, "n": {"type": "int"}},
    },
    "queue": {"type": "object", "properties": {"kind": {"type": "string", "allowedValues": ["queue"]}}},
    "rule": {
        "type": "object",
        "discriminator": {
            "propertyName": "kind",
            "mapping": {"http": {"$ref": "#/definitions/http"}, "queue": {"$ref": "#/definitions/queue"}},
        },
    },
    "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "int"}], "items": False},
    "sealed": {"type": "object", "properties": {"a": {"type": "int"}}, "additionalProperties": False},
    "counts": {"type": "object", "properties": {}, "additionalProperties": {"type": "int"}},
    "maybe": {"type": "object", "properties": {"a": {"type": "string", "nullable": True}}},
    "names": {"type": "array", "items": {"$ref": "#/definitions/name"}},
    "choice": {"type": "array", "allowedValues": ["a", "b"]},
    "flag": {"type": "int", "allowedValues": [1]},
    "anything": {},
}


def check(name: str, value: Any) -> None:
    check_value("p", followed({"$ref": f"#/definitions/{name}"}, RULES), value, RULES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "abc"),
        ("again", "abc"),
        ("rule", {"kind": "http", "n": 1}),
        ("rule", {"kind": "queue"}),
        ("pair", ["a", 1]),
        ("sealed", {"A": 1}),
        ("counts", {"x": 1}),
        ("maybe", {"a": None}),
        ("maybe", {}),
        ("maybe", {"a": "x", "other": []}),
        ("names", ["ab", "cd"]),
        ("choice", ["b", "a"]),
        ("choice", []),
        ("anything", 1.5),
    ],
)
def test_what_a_type_takes(name: str, value: Any):
    check(name, value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("name", "a", "Length or value must be within '2'..'4'"),
        ("again", "abcd", "within '2'..'3'"),
        ("rule", {"kind": "other"}, "must have 'kind' as one of: 'http, queue'"),
        ("rule", {"kind": "http", "n": "1"}, "Expected 'Int'. Actual 'String'"),
        ("rule", {"kind": "http"}, "has no property 'n'"),
        ("pair", ["a", "b"], "(parameter 'p[1]')"),
        ("pair", ["a", 1, 2], "more than 2 items"),
        ("sealed", {"a": 1, "b": 2}, "property 'b' that its type has not"),
        ("counts", {"x": "1"}, "(parameter 'p.x')"),
        ("maybe", {"a": 1}, "(parameter 'p.a')"),
        ("names", ["ab", "toolong"], "'p[1]'"),
        ("choice", ["a", "c"], "allowed value(s): 'a,b'"),
        ("flag", True, "Expected 'Int'. Actual 'Boolean'"),
    ],
)
def test_what_a_type_does_not_take(name: str, value: Any, words: str):
    with pytest.raises(ArmError) as refused:
        check(name, value)
    assert words in refused.value.message


def test_a_type_that_is_only_itself_is_refused():
    circle = {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}
    with pytest.raises(ArmError, match="not defined in the template, or only by itself"):
        followed({"$ref": "#/definitions/a"}, circle)


def test_every_default_of_the_official_templates_is_of_its_type():
    checked = 0
    for file in sorted((corpus() / "golden").glob("*.json")):
        template = json.loads(file.read_text(encoding="utf-8"))
        definitions = template.get("definitions", {})
        for name, stated in template.get("parameters", {}).items():
            default = stated.get("defaultValue")
            if default is not None and "[" not in json.dumps(default).replace("[]", ""):
                check_value(name, followed(stated, definitions), default, definitions)
                checked += 1
    assert checked > 50
