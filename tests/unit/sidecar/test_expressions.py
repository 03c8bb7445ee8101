"""The ARM expression language: values that Azure computed, the functions, and laws that hold for any input."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.armlang.dates import date_time_add
from sidecar.armlang.expression_syntax import calls, is_expression, parse
from sidecar.armlang.expressions import Deferred, Scope, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.digests import guid, unique_string

GROUP = "/subscriptions/5ca082f3-38f2-4bb0-b0a4-c401184ae3a8"


def value(expression: str, **parameters: Any) -> Any:
    return evaluate(
        f"[{expression}]", Scope(parameters=lambda name: parameters[name], variables=lambda name: f"var {name}")
    )


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        (["/subscriptions/4d042dc6-fe17-4698-a23f-ec6a8d1e98f4/resourceGroups/rg-azdtest-l1161bc"], "glpwcqrwkbjrs"),
        ([f"{GROUP}/resourceGroups/rg-azdtest-d65c7c0", "azdtest-d65c7c0", "eastus2"], "ue5q5duuc4yby"),
        ([GROUP, "UpperCaseazdtest-db377d0", "eastus2"], "lnhemacbwhdq4"),
        ([GROUP, "azdtest-d7f3516", "eastus2"], "hgngsljiw7i2k"),
        ([GROUP, "azdtest-d8523ca", "eastus2"], "bcsg4z42wdpnk"),
    ],
)
def test_unique_string_is_what_azure_computed(arguments: list[str], result: str):
    assert unique_string(*arguments) == result


def test_guid_is_what_azure_computed():
    scope = "/subscriptions/4d042dc6-fe17-4698-a23f-ec6a8d1e98f4"
    group = f"{scope}/resourceGroups/rg-azdtest-l1161bc/providers"
    assert (
        guid(
            f"{group}/Microsoft.ContainerRegistry/registries/appHostInfrastructureacrglpwcqrwkbjrs",
            f"{group}/Microsoft.ManagedIdentity/userAssignedIdentities/appHostInfrastructure_mi-glpwcqrwkbjrs",
            f"{scope}/providers/Microsoft.Authorization/roleDefinitions/7f951dda-4ed3-4680-a7ca-43fe172d538d",
        )
        == "e30e2b3b-9fe9-5d6a-b006-0c30bb5f6c87"
    )


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("format('{0}-{1:D3}', 'a', 7)", "a-007"),
        ("format('{{{0}}}', true())", "{True}"),
        ("concat('a', 1, 'b')", "a1b"),
        ("concat(createArray(1), createArray(2))", [1, 2]),
        ("if(equals(1, 1), 'yes', parameters('missing'))", "yes"),
        ("coalesce(null(), 'x')", "x"),
        ("and(true(), not(false()))", True),
        ("or(false(), false())", False),
        ("take('abcdef', 3)", "abc"),
        ("take(createArray(1, 2), 5)", [1, 2]),
        ("union(createObject('a', 1), createObject('a', 2, 'b', 3))", {"a": 2, "b": 3}),
        ("union(createArray(1, 2), createArray(2, 3))", [1, 2, 3]),
        ("map(createArray(1, 2), lambda('x', mul(lambdaVariables('x'), 2)))", [2, 4]),
        (
            "map(createArray('a', 'b'), lambda('x', 'i', format('{0}{1}', lambdaVariables('x'), lambdaVariables('i'))))",
            ["a0", "b1"],
        ),
        ("reduce(createArray(1, 2, 3), 0, lambda('a', 'b', add(lambdaVariables('a'), lambdaVariables('b'))))", 6),
        ("filter(range(0, 5), lambda('x', greater(lambdaVariables('x'), 2)))", [3, 4]),
        ("sort(createArray(3, 1, 2), lambda('a', 'b', less(lambdaVariables('a'), lambdaVariables('b'))))", [1, 2, 3]),
        ("toObject(createArray('a'), lambda('x', lambdaVariables('x')), lambda('x', 1))", {"a": 1}),
        ("tryGet(createObject('a', createObject('b', 1)), 'a', 'c')", None),
        ("createObject('Abc', 1).aBC", 1),
        ("createObject('a', createArray(5))['a'][0]", 5),
        ("string(createObject('a', createArray(1)))", '{"a":[1]}'),
        ("json('{\"a\": null}')", {"a": None}),
        ("empty(createArray())", True),
        ("contains('abc', 'b')", True),
        ("contains(createObject('Key', 1), 'key')", True),
        ("length('abc')", 3),
        ("substring('abcdef', 1, 2)", "bc"),
        ("replace('a-b', '-', '')", "ab"),
        ("split('a,b;c', createArray(',', ';'))", ["a", "b", "c"]),
        ("join(createArray('a', 'b'), '-')", "a-b"),
        ("int('42')", 42),
        ("div(-7, 2)", -3),
        ("mod(-7, 2)", -1),
        ("base64ToString(base64('žlutý'))", "žlutý"),
        ("toLower('ABC')", "abc"),
        ("items(createObject('b', 1, 'a', 2))", [{"key": "a", "value": 2}, {"key": "b", "value": 1}]),
        ("'it''s'", "it's"),
        ("first('abc')", "a"),
        ("last(createArray())", None),
        ("intersection(createArray(1, 2), createArray(2))", [2]),
        ("uriComponent('a b/c')", "a%20b%2Fc"),
        ("padLeft(5, 3, '0')", "005"),
        ("variables('x')", "var x"),
    ],
)
def test_functions(expression: str, result: Any):
    assert value(expression) == result


def test_durations_are_added():
    assert date_time_add("2026-04-09T17:27:06Z", "PT1H") == "2026-04-09T18:27:06Z"
    assert date_time_add("2026-04-09T00:00:00Z", "-P1D", "yyyy-MM-dd") == "2026-04-08"


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "concat(",
        "concat('a'",
        "'open",
        "unknown()",
        "concat('a') x",
        "a b",
        "1.5",
        "parameters()",
        "div(1, 0)",
        "int('x')",
        "first(1)",
        "createObject('a')",
        "createArray(1)[5]",
        "null().x",
        "if('yes', 1, 2)",
        "lambdaVariables('x')",
        "copyIndex()",
        "fail('stop')",
        "string(9223372036854775808)",
        f"string({'9' * 5000})",
        f"int('{'9' * 5000}')",
        f"json('{'9' * 5000}')",
        f"format('{{{'9' * 5000}}}', 1)",
        f"format('{{0:D{'9' * 5000}}}', 1)",
        f"dateTimeFromEpoch('{'9' * 5000}')",
        f"uri('http://a:{'9' * 5000}/', 'b')",
        f"cidrSubnet('10.0.0.0/{'9' * 5000}', 24, 0)",
        f"cidrSubnet('{'9' * 5000}/8', 24, 0)",
        f"dateTimeAdd('2026-03-04', 'P{'9' * 5000}D')",
    ],
)
def test_what_is_wrong_is_an_expression_error(expression: str):
    with pytest.raises(ExpressionError):
        value(expression)


def test_nesting_has_a_limit():
    with pytest.raises(ExpressionError, match="nested too deeply"):
        value("not(" * 500 + "true()" + ")" * 500)


def test_strings_that_are_no_expressions_stay_as_they_are():
    assert evaluate({"a": ["x", "[[y]", "[", 1, None]}, Scope()) == {"a": ["x", "[y]", "[", 1, None]}


def test_only_the_chosen_branch_is_evaluated():
    def unknown(_name: str) -> Any:
        raise Deferred("[later]")

    assert evaluate("[if(true(), 'now', parameters('x'))]", Scope(parameters=unknown)) == "now"
    with pytest.raises(Deferred):
        evaluate("[if(false(), 'now', parameters('x'))]", Scope(parameters=unknown))


def test_calls_are_found_at_any_depth():
    found = calls({"a": ["[concat(reference('x').y, listKeys('z', '1').keys[0].value)]"]})
    assert [call.name for call in found] == ["concat", "reference", "listKeys"]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | texts.filter(lambda text: not text.startswith("[")),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(texts.filter(lambda t: not t.startswith("[")), children, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_json_without_expressions_evaluates_to_itself(document: Any):
    assert evaluate(document, Scope()) == document


@given(texts)
def test_a_quoted_text_is_itself(text: str):
    quoted = "[concat('" + text.replace("'", "''") + "')]"
    assert evaluate(quoted, Scope()) == text


@given(JSON)
def test_json_of_string_is_the_value(document: Any):
    found = evaluate("[json(string(parameters('x')))]", Scope(parameters=lambda _: {"v": document}))
    assert found == {"v": document}


@given(st.lists(texts, max_size=5))
def test_unique_string_and_guid_are_stable_and_well_formed(parts: list[str]):
    assert unique_string(*parts) == unique_string(*parts)
    assert len(unique_string(*parts)) == 13
    assert set(unique_string(*parts)) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert len(guid(*parts)) == 36


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str):
    expression = f"[{text}]"
    if not is_expression(expression):
        return
    with contextlib.suppress(ExpressionError):
        parse(expression)


@given(st.lists(st.integers(-100, 100), max_size=6), st.lists(st.integers(-100, 100), max_size=6))
def test_union_and_intersection_are_those_of_sets(left: list[int], right: list[int]):
    scope = Scope(parameters=lambda name: {"l": left, "r": right}[name])
    assert set(evaluate("[union(parameters('l'), parameters('r'))]", scope)) == set(left) | set(right)
    assert set(evaluate("[intersection(parameters('l'), parameters('r'))]", scope)) == set(left) & set(right)
