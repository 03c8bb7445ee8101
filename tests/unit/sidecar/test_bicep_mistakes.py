"""What the compiler refuses: every mistake with Microsoft's code at its place, what it does not know by its name."""

from __future__ import annotations

import pytest

from sidecar.words.refused import Finding, Refused
from tests.support.bicep_text import compile_bicep

ACCOUNT = "'Microsoft.Storage/storageAccounts@2023-05-01'"
FILES = "'Microsoft.Storage/storageAccounts/fileServices@2023-05-01'"
EXISTING = f"resource a {ACCOUNT} existing = {{ name: 'a' }}\n"
MANY = f"resource many {ACCOUNT} = [for i in range(0, 2): {{ name: 'a${{i}}' }}]\n"


ELSEWHERE = f"resource a {ACCOUNT} existing = {{ name: 'a', scope: resourceGroup('other') }}\n"
LOCK = "'Microsoft.Authorization/locks@2020-05-01'"
GROUP = "'Microsoft.Resources/resourceGroups@2022-09-01'"


def found(source: str) -> list[tuple[str | None, int, int]]:
    return [(each.code, each.line, each.column) for each in findings(source)]


def findings(source: str) -> tuple[Finding, ...]:
    with pytest.raises(Refused) as error:
        compile_bicep(source)
    return error.value.findings


@pytest.mark.parametrize(
    ("source", "code", "line", "column"),
    [
        # the text
        ("var a = 'C:\\data'", "BCP006", 1, 12),
        ("var a = 'open\n", "BCP004", 1, 9),
        ("var a = '${b'\n", "BCP004", 1, 14),
        ("var a = '''\nopen\n", "BCP140", 1, 9),
        ("/* open\nvar a = 1\n", "BCP002", 1, 1),
        ('var a = "x"', "BCP103", 1, 9),
        ("# remark\n", "BCP001", 1, 1),
        ("var a = 99999999999999999999", "BCP010", 1, 9),
        ("var a = 9223372036854775808", "BCP010", 1, 9),
        (f"var a = {'9' * 5000}", "BCP010", 1, 9),
        ("var a = 0.5", "BCP020", 1, 11),
        ("var a = {\n  b: 1,\n  c: 2\n}", "BCP238", 2, 8),
        ("var a = [1,, 2]", "BCP009", 1, 12),
        ("var a =\n", "BCP009", 1, 8),
        ("var copy = 1", "BCP084", 1, 5),
        ("var a = deployment().nam", "BCP083", 1, 22),
        ("var a = listKeys('b').c", "BCP071", 1, 17),
        ("@maxLength(1 + 1)\nparam a string", "BCP032", 1, 12),
        (f"{EXISTING}resource b {FILES} = {{ parent: any(a), name: 'b' }}", "BCP176", 2, 84),
        (f"{EXISTING}resource b {FILES} = {{ parent: a, scope: a, name: 'b' }}", "BCP164", 2, 94),
        (f"resource a {ACCOUNT} =\nvar b = 1", "BCP018", 1, 60),
        (f"{MANY}output a string = many[?0].properties.x", "BCP323", 2, 25),
        (f"{MANY}output a array = map([1], i => many[i].listKeys())", "BCP247", 2, 37),
        (f"{MANY}output a array = map([1], i => many[i].properties.x)", "BCP247", 2, 37),
        (f"{EXISTING}output a array = map([1], i => a.listKeys(string(i)))", "BCP248", 2, 50),
        (f"{EXISTING}output b object = a.listKeys(a.properties.v)", "BCP181", 2, 30),
        (f"{EXISTING}output b object = reference(a.properties.v)", "BCP181", 2, 29),
        (f"{EXISTING}output b array = [for x in a.properties.y: x]", "BCP178", 2, 28),
        (f"{EXISTING}resource b {ACCOUNT} = {{ name: 'b', sku: a.properties.x }}", "BCP120", 2, 79),
        (f"{MANY}output a array = map([1], i => many[i].id)", "BCP247", 2, 37),
        (
            f"resource a {ACCOUNT} = {{ name: 'a', tags: {{ b: [for x in [1]: {{ c: [for y in [2]: y] }}] }} }}",
            "BCP142",
            1,
            105,
        ),
        ("var a = concat('a',)", "BCP009", 1, 20),
        ("var a = !!true", "BCP009", 1, 10),
        ("var a = (\n  1)", "BCP243", 1, 10),
        ("var a = { b = 1 }", "BCP018", 1, 13),
        ("var a = 1 2", "BCP019", 1, 11),
        ("var a = [1 2]", "BCP236", 1, 12),
        ("var a = 1 +\n", "BCP009", 1, 12),
        ("parm a string", "BCP007", 1, 1),
        ("param a = 'x'", "BCP279", 1, 9),
        ("param a strng", "BCP302", 1, 9),
        ("output a string", "BCP018", 1, 16),
        ("@secure()\n", "BCP292", 1, 2),
        ("var a = [for x of y: x]", "BCP012", 1, 16),
        ("var a = [for x in [1]: if (x > 0) { b: x }]", "BCP018", 1, 35),
        ("output a array = [for x in [1]: if (x > 0) { b: x }]", "BCP018", 1, 44),
        (
            f"{EXISTING}resource b {ACCOUNT} = {{ name: 'b', tags: {{ c: [for x in [1]: if (x > 0) {{}}] }} }}",
            "BCP018",
            2,
            111,
        ),
        ("var a = [for x in [1]:\n  x]", "BCP009", 1, 23),
        ("var a = ([for x in [1]: x])", "BCP138", 1, 10),
        # names
        ("var a = missing", "BCP057", 1, 9),
        ("param location string\nvar a = locatoin", "BCP082", 2, 9),
        ("var sys = 1", "BCP084", 1, 5),
        ("var a = nameof([1][0])", "BCP408", 1, 16),
        ("var a = az.toUpper('x')", "BCP057", 1, 12),
        ("var a = readEnvironmentVariable('x')", "BCP057", 1, 9),
        ("var a = [ a ]", "BCP079", 1, 11),
        ("param environment string\nvar a = environment().name", "BCP265", 2, 9),
        (f"{EXISTING}output b string = a::c.id", "BCP159", 2, 22),
        # types
        ("param a string = 5", "BCP033", 1, 18),
        ("@allowed(['a', 'b'])\nparam a string = 'c'", "BCP033", 2, 18),
        ("@maxValue(3)\nparam a int = 4", "BCP327", 2, 15),
        ("@minLength(3)\nparam a string = 'ab'", "BCP327", 2, 18),
        ("param a string? = 'x'", "BCP326", 1, 19),
        ("output a int = toLower('b')", "BCP033", 1, 16),
        ("param a int\nvar b = a ? 1 : 2", "BCP046", 2, 9),
        ("var a = 'x' + 'y'", "BCP045", 1, 9),
        ("var a = !'x'", "BCP044", 1, 10),
        ("var a = { b: 1 }\nvar c = a.d", "BCP053", 2, 11),
        ("var a = json('{\"A\": 1}').a", "BCP083", 1, 26),
        ("var a = [1, 2][2]", "BCP311", 1, 16),
        ("var a = 'b'.length", "BCP055", 1, 13),
        ("var a = [for x in 'y': x]", "BCP137", 1, 19),
        ("var a = '${[1]}'", "BCP087", 1, 12),
        ("var a = resourceGroup().locaton", "BCP083", 1, 25),
        # functions
        ("var a = take('abc')", "BCP071", 1, 13),
        ("var a = toUpper(1)", "BCP070", 1, 17),
        ("var a = ToUpper('b')", "BCP082", 1, 9),
        ("var a = foo('b')", "BCP057", 1, 9),
        ("var a = coalesce(null, 1)", "BCP069", 1, 9),
        ("var a = createArray(1)", "BCP101", 1, 9),
        ("var a = map([1], (a, b, c) => a)", "BCP070", 1, 18),
        ("var a = substring('abc', 4)", "BCP327", 1, 26),
        ("var a = json('')", "BCP186", 1, 14),
        ("var a = utcNow()", "BCP065", 1, 9),
        # decorators
        ("@minimum(1)\nparam a int", "BCP057", 1, 2),
        ("param description string\n@description('x')\nparam b string", "BCP265", 2, 2),
        ("@minValue(3)\n@maxValue(2)\nparam a int", "BCP331", 1, 11),
        ("@minLength(-1)\nparam a string", "BCP168", 1, 12),
        ("@description()\nparam a string", "BCP071", 1, 13),
        ("@secure()\nvar a = 1", "BCP126", 1, 2),
        ("@minLength(1)\nparam a int", "BCP124", 1, 2),
        ("var b = 1\n@minValue(b)\nparam a int", "BCP032", 2, 11),
        ("@allowed([1])\nparam a string", "BCP034", 1, 11),
        # what may stand where
        ("var a = 'x'\nparam b string = '${a}'", "BCP072", 2, 21),
        ("var a = { b: [for x in [1]: x] }", "BCP138", 1, 14),
        (f"resource a {ACCOUNT} = {{ name: 'a', location: b.location }}\nvar b = a", "BCP080", 1, 84),
        (f"{EXISTING}resource b {ACCOUNT} = {{ name: a.properties.x }}", "BCP120", 2, 69),
        (f"{EXISTING}resource b {ACCOUNT} = if (a.properties.x) {{ name: 'b' }}", "BCP177", 2, 65),
        (f"{EXISTING}resource b {ACCOUNT} = [for x in a.properties.x: {{ name: 'b' }}]", "BCP178", 2, 71),
        (f"{EXISTING}var b = [for x in [1]: a.properties.x]", "BCP182", 2, 24),
        # resources
        ("resource a 'Microsoft.Storage/storageAccounts' = { name: 'a' }", "BCP029", 1, 12),
        (f"resource a {ACCOUNT} = {{ location: 'x' }}", "BCP035", 1, 10),
        (f"resource a {ACCOUNT} = {{ name: 1 }}", "BCP036", 1, 69),
        (f"resource a {ACCOUNT} existing = {{\n  name: 'a'\n  tags: {{}}\n}}", "BCP173", 3, 3),
        (f"resource a {ACCOUNT} = {{\n  name: 'a'\n  id: 'b'\n}}", "BCP073", 3, 3),
        (f"resource a {FILES} = {{ name: 'default' }}", "BCP169", 1, 82),
        (f"{EXISTING}resource b {FILES} = {{ parent: a, name: 'a/b' }}", "BCP170", 2, 93),
        (f"param a string\nresource b {FILES} = {{ parent: a, name: 'b' }}", "BCP240", 2, 84),
        (f"resource b {FILES} = {{ parent: b, name: 'b' }}", "BCP079", 1, 84),
        (f"resource a {ACCOUNT} = {{ name: 'a', dependsOn: [ 'b' ] }}", "BCP034", 1, 87),
        (f"resource a {ACCOUNT} = {{ name: 'a', scope: resourceGroup('b') }}", "BCP139", 1, 81),
        (f"{ELSEWHERE}resource b {LOCK} = {{ name: 'b', scope: a }}", "BCP139", 2, 77),
        (f"resource a {GROUP} existing = {{ name: 'a' }}", "BCP135", 1, 10),
        (f"resource a {GROUP} existing = {{ name: 'a', scope: resourceGroup() }}", "BCP135", 1, 91),
        (f"@batchSize(2)\nresource a {ACCOUNT} = {{ name: 'a' }}", "BCP155", 1, 2),
    ],
)
def test_a_mistake_is_told_with_the_official_code_at_its_place(source: str, code: str, line: int, column: int) -> None:
    told = findings(source)
    assert [each for each in told if each.kind == "mistake"], told
    assert code in {each.code for each in told}
    first = next(each for each in told if each.code == code)
    assert first.line == line, told
    assert first.column == column, told
    assert {each.line for each in told} == {line} or code in ("BCP079", "BCP080")


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("param a string\n\ntype b = string", 3, "type"),
        ("import * as a from 'b.bicep'\nvar c = a.d", 1, "import"),
        ("func a() string => 'b'\nvar c = a()", 1, "func"),
        ("param a string[]", 1, "string"),
        ("param a 'x' | 'y'", 1, "'x'"),
        ("var a string = 'b'", 1, "stated type"),
        ("targetScope = 'subscription'", 1, "subscription"),
        (f"@onlyIfNotExists()\nresource a {ACCOUNT} = {{ name: 'a' }}", 1, "onlyIfNotExists"),
        (f"resource a {ACCOUNT} = {{ name: 'a', scope: managementGroup('b') }}", 1, "scope"),
        ("module a 'br/public:app:1.0' = { name: 'a' }", 1, "registry"),
        (f"resource a {ACCOUNT} = {{ name: 'a', zones: [for x in [1]: '1'] }}", 1, "the whole of zones"),
        (f"{MANY}output a string = many[^1].id", 2, "[^"),
        (f"{MANY}output a object = many[^1].listKeys()", 2, "[^"),
        (f"{MANY}resource b {ACCOUNT} = {{ name: 'b', dependsOn: [many[^1]] }}", 2, "[^"),
        (
            f"{EXISTING}resource b {ACCOUNT} existing = {{ name: 'b', scope: resourceGroup(a.properties.g) }}",
            2,
            "in scope",
        ),
    ],
)
def test_what_it_does_not_know_is_refused_by_name_and_is_no_mistake(source: str, line: int, word: str) -> None:
    (told,) = findings(source)
    assert (told.line, told.kind) == (line, "outside")
    assert word in str(told.message)


def test_all_mistakes_are_told_in_their_order_and_none_that_follows() -> None:
    source = "param a = 'x'\nvar b = toUpper(1)\nvar c = '${a}${b}'\nvar b = 2\nvar d = [\n  e\n  f(\n]\nvar g = h\n"
    assert found(source) == [
        ("BCP279", 1, 9),
        ("BCP028", 2, 5),
        ("BCP070", 2, 17),
        ("BCP028", 4, 5),
        ("BCP009", 8, 1),
        ("BCP057", 9, 9),
    ]


@pytest.mark.parametrize("declared", ["param {} string", "var {} = 1", "output {} string = 'x'"])
def test_names_that_differ_only_in_case_are_both_told(declared: str) -> None:
    first, second = declared.format("one"), declared.format("One")
    column = first.index("one") + 1
    assert found(f"{first}\n{second}") == [("BCP353", 1, column), ("BCP353", 2, column)]
    assert compile_bicep("param one string\nvar One = one\noutput ONE string = One\n")["variables"]


def test_two_resources_that_need_each_other_are_both_told() -> None:
    one = "resource {} 'Microsoft.Storage/storageAccounts@2023-05-01' = {{\n  name: '{}'\n  kind: {}.id\n}}\n"
    assert found(one.format("a", "a", "b") + one.format("b", "b", "a")) == [("BCP080", 3, 9), ("BCP080", 7, 9)]


@pytest.mark.parametrize(
    "source",
    [
        "var a = " + "[" * 3000,
        "var a = " + "(" * 3000 + "1" + ")" * 3000,
        "var a = " + "1 + " * 3000 + "1",
        "var a = b" + ".c" * 3000,
        "var a = " + "'${" * 3000,
        "param b bool\nvar a = " + "!(" * 3000 + "b" + ")" * 3000,
        "param b bool\nvar a = " + "b ? 1 : " * 3000 + "1",
    ],
)
def test_what_is_nested_too_deeply_is_refused_with_its_line(source: str) -> None:
    told = findings(source)
    assert told[0].line == source.count("\n") + 1
    assert told[0].kind == "outside"
    assert "more than 100 levels" in str(told[0].message)


@pytest.mark.parametrize(
    ("opening", "inner", "closing"),
    [
        ("[", "", "]"),
        ("{a: ", "1", "}"),
        ("(", "b", ")"),
        ("!(", "b", ")"),
        ("concat([", "", "])"),
        ("b ? 1 : ", "1", ""),
    ],
)
def test_what_is_nested_less_deeply_is_compiled(opening: str, inner: str, closing: str) -> None:
    depth = 45 if opening == "concat([" else 95
    made = compile_bicep(f"param b bool\nvar a = {opening * depth}{inner}{closing * depth}\noutput c object = any(a)\n")
    assert made["variables"]["a"] is not None


def test_long_chains_of_variables_are_no_depth() -> None:
    chain = "".join(f"var v{number} = 'x${{v{number - 1}}}'\n" for number in range(1, 2000))
    assert compile_bicep(f"var v0 = 'x'\n{chain}output last string = v1999\n")["outputs"]
    late = compile_bicep(f"{EXISTING}var v0 = a.properties.x\n{chain}output last string = v1999\n")
    assert late["variables"] == {}


def test_what_grows_without_end_where_it_is_used_is_refused() -> None:
    doubled = "".join(f"var v{number} = '${{v{number - 1}}}${{v{number - 1}}}'\n" for number in range(1, 60))
    (told,) = findings(f"{EXISTING}var v0 = a.properties.x\n{doubled}output o string = v59\n")
    assert told.kind == "outside"
    assert "characters" in str(told.message)


def test_a_file_of_five_megabytes_and_one_with_nul_are_refused() -> None:
    (told,) = findings("// a remark\n" * 450_000)
    assert (told.kind, told.line) == ("outside", 1)
    assert found("var a = 1\n\0\n")[0] == ("BCP001", 2, 1)
