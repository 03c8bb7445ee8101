"""The subset compiler: what it makes, and what it refuses with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.armlang import bicep
from sidecar.words.errors import TemplateError

SHIPPED = Path("infra/provision/inference.bicep")


def compile_bicep(source: str) -> Any:
    return bicep.compile_bicep(source)


def value_of(expression: str, declarations: str = "") -> object:
    return compile_bicep(f"{declarations}\nvar it = {expression}\n")["variables"]["it"]


@pytest.mark.parametrize(
    ("bicep", "arm"),
    [
        ("'plain'", "plain"),
        ("'[looks like an expression]'", "[[looks like an expression]"),
        ("'it\\'s'", "it's"),
        ("7", 7),
        ("-7", -7),
        ("null", None),
        ("[1, 'two', true]", [1, "two", True]),
        ("'a${p}b${p}'", "[format('a{0}b{1}', parameters('p'), parameters('p'))]"),
        ("'{${p}}'", "[format('{{{0}}}', parameters('p'))]"),
        ("p ?? 'd'", "[coalesce(parameters('p'), 'd')]"),
        ("!(1 < 2) || true && false", "[or(not(less(1, 2)), and(true(), false()))]"),
        ("1 + 2 * 3", "[add(1, mul(2, 3))]"),
        ("p =~ 'X'", "[equals(toLower(parameters('p')), toLower('X'))]"),
        ("p != 'x' ? { a: 1 } : {}", "[if(not(equals(parameters('p'), 'x')), createObject('a', 1), createObject())]"),
        ("split(p, ',')[0]", "[split(parameters('p'), ',')[0]]"),
        ("json(p).?a", "[tryGet(json(parameters('p')), 'a')]"),
        ("{ 'a b': [p] }", {"a b": ["[parameters('p')]"]}),
    ],
)
def test_an_expression_becomes_arm(bicep: str, arm: object) -> None:
    assert value_of(bicep, "param p string") == arm


def test_a_multi_line_string_keeps_its_text_and_drops_the_first_line_end() -> None:
    assert value_of("'''\na ${b} 'c'\n'''") == "a ${b} 'c'\n"


def test_a_nullable_secure_parameter_and_its_decorators() -> None:
    template = compile_bicep(
        "@description('d')\n@secure()\nparam key string = newGuid()\n@minValue(1)\n@allowed([1, 2])\nparam n int?\n"
    )
    assert template["parameters"] == {
        "key": {"type": "securestring", "defaultValue": "[newGuid()]", "metadata": {"description": "d"}},
        "n": {"type": "int", "nullable": True, "minValue": 1, "allowedValues": [1, 2]},
    }


PARENTS = """
resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: 'acct'
}
resource service 'Microsoft.Storage/storageAccounts/fileServices@2023-05-01' = if (account.name == 'acct') {
  parent: account
  name: 'default'
}
var indirect = service.id
resource share 'Microsoft.Storage/storageAccounts/fileServices/shares@2023-05-01' = {
  parent: service
  name: 'files'
  properties: {
    note: indirect
    key: account.listKeys().keys[0].value
    state: service.properties.state
    where: account.location
  }
}
output id string = share.id
"""


def test_parents_give_names_and_ids_and_mentions_give_dependencies() -> None:
    template = compile_bicep(PARENTS)
    resources = template["resources"]
    assert resources["account"] == {
        "existing": True,
        "type": "Microsoft.Storage/storageAccounts",
        "apiVersion": "2023-05-01",
        "name": "acct",
    }
    assert resources["service"]["name"] == "[format('{0}/{1}', 'acct', 'default')]"
    assert resources["service"]["condition"] == "[equals('acct', 'acct')]"
    assert "dependsOn" not in resources["service"]
    share = resources["share"]
    assert share["dependsOn"] == ["service"]
    assert share["properties"] == {
        "note": "[variables('indirect')]",
        "key": "[listKeys('account', '2023-05-01').keys[0].value]",
        "state": "[reference('service').state]",
        "where": "[reference('account', '2023-05-01', 'full').location]",
    }
    assert template["outputs"]["id"]["value"] == (
        "[resourceId('Microsoft.Storage/storageAccounts/fileServices/shares', 'acct', 'default', 'files')]"
    )


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("param a string\n\nmodule m './m.bicep' = {}\n", 3, "module"),
        ("var a = [for x in []: x]\n", 1, "for"),
        ("var a = missing\n", 1, "missing"),
        ("var a = 'open\n", 1, "closing quote"),
        ("param a string\nvar a = 1\n", 2, "twice"),
        ("targetScope = 'subscription'\n", 1, "targetScope"),
        ("param a 'x' | 'y'\n", 1, ""),
        ("var a = loadTextContent('f')\n", 1, "loadTextContent"),
        ("@batchSize(1)\nresource a 'T/t@1' = { name: 'n' }\n", 2, "batchSize"),
        ("var a = { b: 1 c: 2 }\n", 1, "'c'"),
        ("var a = 1 ; 2\n", 1, ";"),
    ],
)
def test_what_lies_outside_the_subset_is_refused_with_its_line(source: str, line: int, word: str) -> None:
    with pytest.raises(TemplateError) as error:
        compile_bicep(source)
    assert f"line {line}:" in str(error.value)
    assert word in str(error.value)


def test_line_ends_and_a_byte_order_mark_do_not_change_the_result() -> None:
    source = SHIPPED.read_text()
    assert compile_bicep("\ufeff" + source.replace("\n", "\r\n")) == compile_bicep(source)


def test_an_independent_reader_finds_the_same_names_in_the_shipped_template() -> None:
    from pycep import BicepParser  # noqa: PLC0415  (a peer that is not everywhere)

    found: Any = BicepParser().parse(text=SHIPPED.read_text())
    ours = compile_bicep(SHIPPED.read_text())
    assert set(found["parameters"]) == set(ours["parameters"])
    assert set(found["variables"]) == set(ours["variables"])
    assert set(found["outputs"]) == set(ours["outputs"])
    kinds = {name: each["type"] for name, each in found["resources"].items()}
    assert kinds == {name: each["type"] for name, each in ours["resources"].items()}
