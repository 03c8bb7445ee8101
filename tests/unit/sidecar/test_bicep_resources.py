"""Resources as the compiler makes them: what waits for what, ids and scopes, loops, run-time values, conditions."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.words.refused import Refused
from tests.support import bicep_text

ACCOUNT = "'Microsoft.Storage/storageAccounts@2023-05-01'"
FILES = "'Microsoft.Storage/storageAccounts/fileServices@2023-05-01'"
NEW = f"resource account {ACCOUNT} = {{\n  name: 'acct'\n}}\n"
USER = f"resource user {ACCOUNT} = {{{{\n  name: 'user'\n  properties: {{{{ it: {{}} }}}}\n}}}}\n"


def compiled(source: str) -> Any:
    return bicep_text.compile_bicep(source)


def used(expression: str, before: str) -> tuple[object, list[str]]:
    """What a property of a resource becomes, and what the resource waits for."""
    made = compiled(before + USER.format(expression))["resources"]["user"]
    return made["properties"]["it"], made.get("dependsOn", [])


def test_a_run_time_variable_is_put_where_it_is_used() -> None:
    variables = "var key = account.listKeys().keys[0].value\nvar text = 'Key=${key}'\nvar plain = account.id\n"
    source = NEW + variables
    assert used("text", source) == (
        "[format('Key={0}', listKeys('account', '2023-05-01').keys[0].value)]",
        ["account"],
    )
    assert used("plain", source) == ("[variables('plain')]", ["account"])
    assert set(compiled(source + USER.format("text"))["variables"]) == {"plain"}


def test_any_leaves_nothing_behind_whatever_it_holds() -> None:
    made = compiled(f"resource a {ACCOUNT} = {{\n  name: 'a'\n  properties: any({{ b: any([any('c')]) }})\n}}\n")
    assert made["resources"]["a"]["properties"] == {"b": ["c"]}


def test_directives_are_no_part_of_the_template() -> None:
    source = f"#disable-next-line BCP334\n{NEW}#disable-diagnostics BCP036 // why\n#restore-diagnostics BCP036\n"
    assert compiled(source)["resources"] == compiled(NEW)["resources"]


def test_json_that_was_pasted_is_told_as_such() -> None:
    with pytest.raises(Refused, match="Bicep is no JSON") as error:
        compiled('var profiles = [\n  {\n    "name": "Consumption",\n  }\n]\n')
    assert (error.value.findings[0].line, error.value.findings[0].column) == (3, 5)
    assert "Bicep CLI" not in str(error.value.suggestion)


def test_an_existing_child_of_a_new_resource_waits_for_it() -> None:
    child = f"resource files {FILES} existing = {{\n  parent: account\n  name: 'default'\n}}\n"
    assert used("files.properties.x", NEW + child) == (
        "[reference(resourceId('Microsoft.Storage/storageAccounts/fileServices', 'acct', 'default'), '2023-05-01').x]",
        ["account"],
    )


def test_a_nested_resource_is_known_by_its_parent_and_waits_for_it() -> None:
    source = f"param on bool\nresource account {ACCOUNT} = if (on) {{\n  name: 'acct'\n\n  resource files 'fileServices' = {{\n"
    made = compiled(f"{source}    name: 'default'\n  }}\n}}\noutput id string = account::files.id\n")
    nested = made["resources"]["account::files"]
    assert nested == {
        "condition": "[parameters('on')]",
        "type": "Microsoft.Storage/storageAccounts/fileServices",
        "apiVersion": "2023-05-01",
        "name": "[format('{0}/{1}', 'acct', 'default')]",
        "dependsOn": ["account"],
    }
    assert made["outputs"]["id"]["value"].startswith("[resourceId('Microsoft.Storage/storageAccounts/fileServices', ")


def test_with_a_question_mark_what_a_condition_leaves_out_is_null() -> None:
    source = f"param on bool\nresource account {ACCOUNT} = if (on) {{\n  name: 'acct'\n}}\n"
    full = "if(parameters('on'), reference('account', '2023-05-01', 'full'), null())"
    assert used("account.?properties.a.b", source)[0] == f"[tryGet({full}, 'properties', 'a', 'b')]"
    assert used("account.?id", source)[0] == (
        "[if(parameters('on'), resourceId('Microsoft.Storage/storageAccounts', 'acct'), null())]"
    )
    assert used("account!.properties.a", source)[0] == "[reference('account').a]"


def test_a_computed_list_waits_for_both_branches() -> None:
    source = f"param on bool\n{NEW}resource other {ACCOUNT} = {{\n  name: 'other'\n}}\n"
    body = f"resource user {ACCOUNT} = {{\n  name: 'user'\n  dependsOn: on ? [ account ] : [ other ]\n}}\n"
    assert compiled(source + body)["resources"]["user"]["dependsOn"] == ["account", "other"]


def test_one_of_a_loop_is_waited_for_alone_and_all_where_it_is_not_certain_which() -> None:
    loop = f"resource many {ACCOUNT} = [for i in range(0, 3): {{\n  name: 'many${{i}}'\n}}]\n"
    name = "format('many{0}', range(0, 3)[1])"
    assert used("many[1].id", loop) == (
        f"[resourceId('Microsoft.Storage/storageAccounts', {name})]",
        ["[format('many[{0}]', 1)]"],
    )
    assert used("many[1].properties.x", loop)[0] == "[reference(format('many[{0}]', 1)).x]"
    user = USER.format("[for i in range(0, 2): many[i].id]")
    assert compiled(loop + user)["resources"]["user"]["dependsOn"] == ["many"]
    with pytest.raises(Refused, match="as a whole"):
        compiled(f"{loop}output all array = many\n")


def test_loops_of_values_are_copies_with_names_of_their_own() -> None:
    source = "param names array\nvar all = [for (name, i) in names: '${name}${i}']\n"
    made = compiled(f"{source}output upper array = [for name in names: toUpper(name)]\n")
    assert made["variables"]["copy"] == [
        {
            "name": "all",
            "count": "[length(parameters('names'))]",
            "input": "[format('{0}{1}', parameters('names')[copyIndex('all')], copyIndex('all'))]",
        }
    ]
    assert made["outputs"]["upper"]["copy"]["input"] == "[toUpper(parameters('names')[copyIndex()])]"
    user = compiled(source + USER.format("[for name in names: { a: name }]"))["resources"]["user"]
    assert user["properties"]["copy"] == [
        {
            "name": "it",
            "count": "[length(parameters('names'))]",
            "input": {"a": "[parameters('names')[copyIndex('it')]]"},
        }
    ]


@pytest.mark.parametrize(
    ("body", "repeated"),
    [
        ("[x]", "[createArray(createArray(1)[copyIndex('a')])]"),
        ("[]", "[createArray()]"),
        ("5", "[5]"),
        ("true", "[true()]"),
        ("null", "[null()]"),
        ("'b'", "b"),
        ("{ b: 1 }", {"b": 1}),
    ],
)
def test_a_copy_repeats_an_object_a_text_or_one_expression(body: str, repeated: object) -> None:
    made = compiled(f"var a = [for x in [1]: {body}]\noutput b array = [for x in [1]: {body}]\n")
    assert made["variables"]["copy"][0]["input"] == repeated
    of_output = repeated.replace("'a'", "") if isinstance(repeated, str) else repeated
    assert made["outputs"]["b"]["copy"] == {"count": "[length(createArray(1))]", "input": of_output}


def test_what_waits_for_what_exists_waits_for_what_that_waits_for() -> None:
    existing = f"resource found {ACCOUNT} existing = {{\n  name: 'found'\n  dependsOn: [ account ]\n}}\n"
    assert used("found.properties.x", NEW + existing) == (
        "[reference(resourceId('Microsoft.Storage/storageAccounts', 'found'), '2023-05-01').x]",
        ["account"],
    )


def test_every_function_that_begins_with_list_is_one() -> None:
    assert used("account.list()", NEW) == ("[list('account', '2023-05-01')]", ["account"])
    assert used("list(account.id, '2023-05-01')", NEW)[0] == (
        "[list(resourceId('Microsoft.Storage/storageAccounts', 'acct'), '2023-05-01')]"
    )


@pytest.mark.parametrize(
    ("call", "type_"),
    [
        ("take(any(p), 1)", "array"),
        ("take(any(p), 1)", "string"),
        ("skip(any(p), 1)", "array"),
        ("union(any(p), any(p))", "object"),
        ("union(any(p), any(p))", "array"),
        ("intersection(any(p), any(p))", "object"),
        ("concat(any(p))", "string"),
        ("concat(any(p))", "array"),
        ("items(any(p))", "array"),
        ("sort(any(p), (x, y) => x < y)", "array"),
        ("max(any(p))", "int"),
    ],
)
def test_what_several_signatures_take_may_be_any_of_their_results(call: str, type_: str) -> None:
    made = compiled(f"param p object\noutput a {type_} = {call}\n")
    assert made["outputs"]["a"]["type"] == type_


@pytest.mark.parametrize(
    ("scope", "id_"),
    [
        (
            "resourceGroup('rg')",
            "extensionResourceId(format('/subscriptions/{0}/resourceGroups/{1}', subscription().subscriptionId, 'rg'), ",
        ),
        (
            "resourceGroup('sub', 'rg')",
            "extensionResourceId(format('/subscriptions/{0}/resourceGroups/{1}', 'sub', 'rg'), ",
        ),
        ("resourceGroup()", "resourceId("),
        ("subscription()", "subscriptionResourceId("),
        ("subscription('sub')", "subscriptionResourceId('sub', "),
        ("tenant()", "tenantResourceId("),
    ],
)
def test_what_exists_is_found_in_the_scope_that_is_stated(scope: str, id_: str) -> None:
    found = f"resource found {ACCOUNT} existing = {{\n  name: 'a'\n  scope: {scope}\n}}\n"
    assert used("found.id", found)[0] == f"[{id_}'Microsoft.Storage/storageAccounts', 'a')]"


def test_an_extension_waits_for_what_it_extends() -> None:
    lock = "resource lock 'Microsoft.Authorization/locks@2020-05-01' = {\n  scope: account\n  name: 'keep'\n}\n"
    made = compiled(f"{NEW}{lock}output id string = lock.id\n")
    assert made["resources"]["lock"]["scope"] == "[resourceId('Microsoft.Storage/storageAccounts', 'acct')]"
    assert made["resources"]["lock"]["dependsOn"] == ["account"]
    assert made["outputs"]["id"]["value"] == (
        "[extensionResourceId(resourceId('Microsoft.Storage/storageAccounts', 'acct'), 'Microsoft.Authorization/locks', 'keep')]"
    )


def test_a_secret_of_a_vault_stands_only_where_azure_takes_it() -> None:
    vault = "resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {\n  name: 'kv'\n}\n"
    with pytest.raises(Refused) as error:
        compiled(f"{vault}output a string = vault.getSecret('b')\n")
    assert [each.code for each in error.value.findings] == ["BCP180"]
