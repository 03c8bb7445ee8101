"""The compiler: what it makes of expressions, resources, loops and modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.stamp import source_digest
from tests.support import bicep_text

SHIPPED = Path("infra/provision/inference.bicep")


def compile_bicep(source: str) -> Any:
    return bicep_text.compile_bicep(source)


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
        ("-9223372036854775808", -9223372036854775808),
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
        ("[1, 'two', ]", [1, "two"]),
        ("{ a: 1, }", {"a": 1}),
        ("map([1], (\n  x,\n  i\n) => x)", "[map(createArray(1), lambda('x', 'i', lambdaVariables('x')))]"),
        ("'\\u{D801}\\u{DC37}'", "\U00010437"),
        ("{ 'a b': [p] }", {"a b": ["[parameters('p')]"]}),
        ("any(1)", 1),
        ("any({ a: any('[x]') })", {"a": "[[x]"}),
        ("concat(any('a'), any(p))", "[concat('a', parameters('p'))]"),
        ("3000000000", 3000000000),
        ("3000000000 - 1", "[sub(json('3000000000'), 1)]"),
        ("any('abc')[1]", "[string('abc')[1]]"),
        ("json(p).?a.b[0]!.c", "[tryGet(json(parameters('p')), 'a', 'b', 0, 'c')]"),
        ("(json(p).?a).b", "[tryGet(json(parameters('p')), 'a').b]"),
        ("json(p)[?'a'][^1]", "[tryGet(json(parameters('p')), 'a', createObject('value', 1, 'fromEnd', true()))]"),
        ("split(p, ',')[^1]", "[indexFromEnd(split(parameters('p'), ','), 1)]"),
        ("nameof(p)", "p"),
        (
            "{ '[a]': 1, copy: 2, 'x${p}': 3 }",
            {"[[a]": 1, "[string('copy')]": 2, "[format('x{0}', parameters('p'))]": 3},
        ),
        ("{ ...json(p), a: 1 }", "[shallowMerge(createArray(json(parameters('p')), createObject('a', 1)))]"),
        ("[ 1, ...split(p, ',') ]", "[flatten(createArray(createArray(1), split(parameters('p'), ',')))]"),
        (
            "map([1], (x, i) => x + i)",
            "[map(createArray(1), lambda('x', 'i', add(lambdaVariables('x'), lambdaVariables('i'))))]",
        ),
        ("''''quoted''''", "'quoted'"),
        ("'\\u{20AC}'", "\u20ac"),
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


def test_the_stamp_ignores_line_ends_and_a_byte_order_mark_and_texts_keep_theirs() -> None:
    source = SHIPPED.read_text()
    windows = "\ufeff" + source.replace("\n", "\r\n")
    assert source_digest(windows) == source_digest(source)
    theirs, ours = compile_bicep(windows), compile_bicep(source)
    assert theirs["variables"].pop("bootstrap") == ours["variables"].pop("bootstrap").replace("\n", "\r\n")
    for part in ("parameters", "variables", "resources", "outputs"):
        assert theirs[part] == ours[part]


def test_the_shipped_start_is_the_same_program_with_windows_line_ends() -> None:
    source = SHIPPED.read_text()
    starts = [compile_bicep(text)["variables"]["bootstrap"] for text in (source, source.replace("\n", "\r\n"))]
    assert starts[0] != starts[1]
    ended = [
        subprocess.run([sys.executable, "-c", each], capture_output=True, text=True, env={}, check=False)
        for each in starts
    ]
    assert ended[0].returncode == ended[1].returncode != 0
    assert ended[0].stderr.splitlines()[-1] == ended[1].stderr.splitlines()[-1]
    assert "SyntaxError" not in ended[1].stderr


def test_an_independent_reader_finds_the_same_names_in_the_shipped_template() -> None:
    from pycep import BicepParser  # noqa: PLC0415  (a peer that is not everywhere)

    found: Any = BicepParser().parse(text=SHIPPED.read_text())
    ours = compile_bicep(SHIPPED.read_text())
    assert set(found["parameters"]) == set(ours["parameters"])
    assert set(found["variables"]) == set(ours["variables"])
    assert set(found["outputs"]) == set(ours["outputs"])
    kinds = {name: each["type"] for name, each in found["resources"].items()}
    assert kinds == {name: each["type"] for name, each in ours["resources"].items()}
