"""The linter's rules: what each finds, what it leaves alone, and who may silence it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar.armlang.bicep import LINTED, made_of
from sidecar.core.bicep_files import Folder
from sidecar.words.refused import Refused
from tests.support.bicep_corpus import corpus

HERE = Folder(Path("/nowhere"), Path("/nowhere"))
ACCOUNT = "resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {\n  name: %s\n}\n"
CHILD = "resource blob 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {\n  %s\n}\n"
OUTPUT = "output key string = %s\n"
NAMED = "param given string\nparam other string\noutput used string = '${given}${other}'\n"


def warned(source: str) -> list[tuple[int, str | None]]:
    return [(each.line, each.code) for each in made_of("main.bicep", source, HERE).warnings]


@pytest.mark.parametrize(
    ("account", "child", "told"),
    [
        ("given", "name: '${given}/default'", True),
        ("'one'", "name: 'one/default'", True),
        ("'a${given}'", "name: 'a${given}/default'", True),
        ("'a${given}'", "name: '${account.name}/default'", True),
        ("given", "name: '${other}/default'", False),
        ("given", "name: 'x${given}/default'", False),
        ("'one'", "name: 'ones/default'", False),
        ("given", "parent: account\n  name: 'default'", False),
    ],
)
def test_a_name_made_from_the_parent_s(account: str, child: str, told: bool) -> None:
    found = warned(NAMED + ACCOUNT % account + CHILD % child)
    rest = [each for each in found if each[1] != "no-unused-existing-resources"]
    assert rest == ([(8, "use-parent-property")] if told else [])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("listKeys(account.id, '2023-05-01').keys[0].value", True),
        ("listKeys(account.id, account.apiVersion).keys[0].value", True),
        ("listKeys(resourceId('Microsoft.Storage/storageAccounts', given), '2023-05-01').keys[0].value", True),
        ("reference(account.id).x", True),
        ("listKeys(account.id, '2019-06-01').keys[0].value", False),
        ("listKeys(resourceId('Microsoft.Storage/storageAccounts', other), '2023-05-01').keys[0].value", False),
        ("account.listKeys().keys[0].value", False),
    ],
)
def test_a_function_that_asks_a_resource_of_the_file(asked: str, told: bool) -> None:
    found = warned(NAMED + ACCOUNT % "given" + OUTPUT % asked)
    rest = [each for each in found if each[1] != "no-unused-existing-resources"]
    assert rest == ([(7, "use-resource-symbol-reference")] if told else [])


def test_a_directive_and_a_configuration_silence_a_rule_and_make_it_an_error() -> None:
    source = "param a string\n"
    assert warned(source) == [(1, "no-unused-params")]
    assert warned("#disable-next-line no-unused-params\n" + source) == []
    for level in ("off", "info"):
        assert made_of("main.bicep", source, HERE, {"no-unused-params": level}).warnings == ()
    with pytest.raises(Refused) as error:
        made_of("main.bicep", source, HERE, {"no-unused-params": "error"})
    assert [(each.code, each.kind) for each in error.value.findings] == [("no-unused-params", "mistake")]


def test_the_corpus_is_warned_of_as_microsoft_s_linter_does() -> None:
    official = json.loads((corpus() / "ok-diagnostics.json").read_text(encoding="utf-8"))
    for file in sorted((corpus() / "ok").glob("*.bicep")):
        try:
            made = made_of(file.name, file.read_bytes().decode("utf-8"), Folder(file.parent, file.parent))
        except Refused:
            continue  # outside what we compile
        ours = {(each.code, each.line, each.column) for each in made.warnings}
        theirs = {(each["code"], each["line"], each["column"]) for each in official[file.name]}
        assert ours == {each for each in theirs if each[0] in LINTED}, file.name
