"""The one table of template functions: complete, unambiguous, and of the arities that the official compiler states."""

import re

import pytest

from sidecar.armlang.expressions import SPECIAL
from sidecar.armlang.function_table import ROWS, TABLE, Function, arity_problem, bicep_function, function_named
from sidecar.armlang.functions import FUNCTIONS
from tests.support.bicep_corpus import function_cases

CALLED = re.compile(r"(?<![\w.'])([A-Za-z]\w*)\(")
STATED = re.compile(r"Expected (?P<least>at least )?(?P<fewest>\d+)(?: to (?P<most>\d+))? arguments?, but got")


def test_each_name_has_one_row():
    assert len(TABLE) == len(ROWS)


def test_every_function_that_the_official_compiler_writes_is_a_row_of_the_template_language():
    written = {name for case in function_cases() for name in CALLED.findall(unquoted(str(case.get("arm") or "")))}
    assert len(written) > 80
    assert [name for name in sorted(written) if not in_templates(name)] == []


def test_what_the_official_compiler_does_not_know_is_not_bicep():
    for case in function_cases():
        told = case.get("diagnostic")
        name = case["bicep"].partition("(")[0]
        if told and told["code"] in ("BCP057", "BCP069", "BCP082", "BCP100", "BCP101", "BCP102") and name != "nameof":
            assert bicep_function(name) is None, case["id"]
            row = function_named(name)
            if told["code"] not in ("BCP057", "BCP082"):
                assert row is not None, case["id"]
                assert row.code == told["code"], case["id"]


def test_arities_are_those_of_the_official_diagnostics():
    checked = 0
    for case in function_cases():
        found = STATED.match((case.get("diagnostic") or {}).get("message", ""))
        row = bicep_function(case["bicep"].partition("(")[0].removeprefix("'${"))
        if not found or row is None:
            continue
        fewest = int(found["fewest"])
        most = None if found["least"] else int(found["most"] or fewest)
        assert row.arity == (fewest, most), case["id"]
        checked += 1
    assert checked >= 8


def test_every_plain_row_of_the_template_language_is_evaluated():
    plain = {each.name.lower() for each in ROWS if each.made != "compiler" and each.space == "sys"}
    apart = {"newguid", "utcnow", "lambda"}  # of a deployment's moment; no function of its own
    assert plain - apart == (FUNCTIONS.keys() | SPECIAL.keys())


@pytest.mark.parametrize("name", ["listKeys", "listOutputsWithSecureValues", "listAnything"])
def test_every_list_function_shares_a_row(name: str):
    row = bicep_function(name)
    assert row is not None
    assert row.where == "runtime"
    assert row.space == "az"


def test_a_scope_with_arguments_is_the_compilers_alone():
    group = function_named("RESOURCEGROUP")
    assert group is not None
    assert (group.arity, group.in_templates) == ((0, 2), (0, 0))


def test_what_is_wrong_with_an_arity_is_said_in_arms_words():
    assert arity_problem("x", 1, (1, None)) is None
    assert "requires 2 to 3 argument(s) while 1 were provided" in str(arity_problem("x", 1, (2, 3)))


def in_templates(name: str) -> bool:
    row: Function | None = function_named(name)
    return row is not None and row.made != "compiler"


def unquoted(expression: str) -> str:
    return re.sub(r"'(?:[^']|'')*'", "''", expression)
