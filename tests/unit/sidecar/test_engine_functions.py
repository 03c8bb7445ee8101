"""The evaluator against the table of Microsoft's engine, value for value and refusal for refusal; and what it does not know."""

import contextlib
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.armlang.expressions import Scope, evaluate
from sidecar.armlang.function_table import ROWS, Function
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.json_texts import json_text
from tests.support.bicep_functions import function_answers


def value(expression: str) -> Any:
    return evaluate(f"[{expression}]", Scope())


def test_the_engines_table_value_for_value():
    answers = function_answers()
    count = Counter(each.kind for each in answers)
    wrong = [each for each in answers if each.kind not in ("equal", "refused alike")]
    assert wrong == []
    assert count["equal"] > 600
    assert count["refused alike"] > 200


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("pickZones('a', 'b', 'c')", "the function 'pickZones'"),
        ("reference('x')", "the function 'reference' here"),
        ("format('{0:0.0E+0}', 1)", "the number format '0.0E+0'"),
        ("dateTimeAdd('2026-03-04', 'P1D', 'ggg')", "the date format 'ggg'"),
        ("dateTimeAdd('Wed 4 Mar 2026', 'P1D')", "the date 'Wed 4 Mar 2026'"),
        ("less('a', 'ж')", "the place of 'ж' (U+0436)"),
        ("sort(createArray('ж', 'a'), lambda('a', 'b', less(lambdaVariables('a'), lambdaVariables('b'))))", "'ж'"),
        ("indexOf('a\u00adb', 'b')", "U+00AD"),
        ("uri('ftp://a/b', 'c')", "URIs of the scheme 'ftp'"),
        ("dataUri(1)", "dataUri()"),
        ("uri('http://a/', '?x=%41')", "'%41' stays so in a URI"),
        ("uriComponentToString('%u00e9')", "%u"),
        ("like('ABC', 'a*')", "like()"),
        ("max(1, json('1.5'))", "max()"),
        ("json('new Date(1)')", "constructors"),
        ("cidrSubnet('::/0', 64, 1)", "subnets"),
    ],
)
def test_what_is_not_known_is_named_and_not_guessed(expression: str, named: str):
    with pytest.raises(ExpressionError, match=r"^The local cloud does not know") as refused:
        value(expression)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("base64(concat('\ud83d', '\ude00'))", "8J+YgA=="),
        ("length(concat('\ud83d', '\ude00'))", 2),
        ("base64(first('😀'))", "77+9"),
        ("format('{0:#,##0.00;(0.00);zero}', -1234)", "(1234.00)"),
        ("format('{0:#,##0.0}', 1234567)", "1,234,567.0"),
        ("format('{0:N1}', json('0.25'))", "0.2"),
        ("format('{0:0;(0)}', json('-0.4'))", "0"),
        ("format('{0:0;(0);none}', json('-0.4'))", "none"),
        ("format('{0:0%%}', json('0.5'))", "5000%%"),
        ("format('{0:F2}', json('-0.001'))", "-0.00"),
        ("format('{0:G2}', json('0.00001234'))", "1.2E-05"),
        ("union(createObject('a', createObject('B', 1)), createObject('a', createObject('b', 2)))", {"a": {"b": 2}}),
        ("tryGet(createObject('a', createArray(1)), 'a', 0)", 1),
        ("groupBy(createArray(1, 2), lambda('i', 'k'), lambda('i', mul(lambdaVariables('i'), 10)))", {"k": [10, 20]}),
        ("dateTimeAdd('2026-03-04T15:06:07.1234567Z', 'PT0S', 'o')", "2026-03-04T15:06:07.1234567+00:00"),
        ("uri('https://a.b/c', 'https://d.e/%7ef?x=%C3%A9')", "https://d.e/~f?x=%C3%A9"),
        ("uri('https://a.b/c#d', '')", "https://a.b/c#d"),
        ("uri('https://a.b/c', 'x?y=a\\b')", "https://a.b/x?y=a%5Cb"),
        ("parseCidr('10.0.0.0/255.255.255.0')", 24),
        ("parseCidr('192.168.1.0')", 24),
    ],
)
def test_more_values_by_the_same_rules(expression: str, result: Any):
    got = value(expression)
    assert (got["cidr"] if expression.startswith("parseCidr") else got) == result


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_so_that_it_reads_back(number: float):
    assert json.loads(json_text(number)) == number


PLAIN = [row for row in ROWS if row.made != "compiler" and row.space == "sys"]
ARGUMENTS = st.sampled_from(
    [
        *(
            "1",
            "-1",
            "0",
            "'a'",
            "''",
            "null()",
            "true()",
            "createArray()",
            "createArray(1, 'a')",
            "createObject('a', 1)",
        ),
        *(
            "json('1.5')",
            "json('1e400')",
            "json('99999999999999999999')",
            "'{0:X}'",
            "'10.0.0.0/8'",
            "'http://a/b'",
            "'😀'",
        ),
        *("'P1D'", "'2026-03-04'", "lambda('x', lambdaVariables('x'))", "lambda('a', 'b', true())"),
    ]
)


@given(st.sampled_from(PLAIN), st.lists(ARGUMENTS, max_size=4))
def test_any_call_gives_a_value_or_an_expression_error(row: Function, arguments: list[str]):
    with contextlib.suppress(ExpressionError):
        json.dumps(value(f"{row.name}({', '.join(arguments)})"))
