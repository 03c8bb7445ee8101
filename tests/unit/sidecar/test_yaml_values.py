"""YAML as Bicep's versions agree to read it: values, mistakes, what is refused by name. By both of PyYAML's parsers."""

from __future__ import annotations

import pytest
import yaml

from sidecar.core.yaml_values import DEEPEST, NoYamlError, UnclearError, read_yaml


def _loaders() -> list[type[yaml.SafeLoader]]:
    return list({yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)})


@pytest.fixture(params=_loaders(), ids=lambda each: each.__name__)
def loader(request: pytest.FixtureRequest) -> type[yaml.SafeLoader]:
    return request.param


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: true\nb: False\nc: TRUE\n", {"a": True, "b": False, "c": True}),
        ("[null, ~, Null]", [None, None, None]),
        (
            "[0, -5, 8080, 9223372036854775807, -9223372036854775808]",
            [0, -5, 8080, 9223372036854775807, -9223372036854775808],
        ),
        (
            "- yes\n- No\n- on\n- off\n- y\n- 2024-01-01\n- 12:30\n",
            ["yes", "No", "on", "off", "y", "2024-01-01", "12:30"],
        ),
        (
            "- 10.0.0.4\n- 10.0.0.0/16\n- 1.2.3\n- v1\n- http://x/y#z\n",
            ["10.0.0.4", "10.0.0.0/16", "1.2.3", "v1", "http://x/y#z"],
        ),
        ("a: 'it''s'\nb: \"x\\ty\\u00fc\"\n", {"a": "it's", "b": "x\tyü"}),
        ("'80': x\n\"true\": y\n'null': z\n", {"80": "x", "true": "y", "null": "z"}),
        ("a: |\n  echo 1\n    echo 2\nb: |-\n  last\n", {"a": "echo 1\n  echo 2\n", "b": "last"}),
        ("a: one\n  two\nb: 'three\n\n  four'\n", {"a": "one two", "b": "three\nfour"}),
        ('{"a": [1, "x"], "b": {}, "c": []}', {"a": [1, "x"], "b": {}, "c": []}),
        ("# remark\r\n---\r\na: ü # remark\r\n...\r\n", {"a": "ü"}),
        ("only a text", "only a text"),
    ],
)
def test_what_is_certain_is_read(text: str, value: object, loader: type[yaml.SafeLoader]) -> None:
    found = read_yaml(text, loader)
    assert found == value
    assert repr(found) == repr(value)  # 1 is not true


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: x\nb: '80'\n", 2, "'80'"),
        ('a: x\nb: "true"\n', 2, "'true'"),
        ("a: 'null'\n", 1, "'null'"),
        ("a: ' 5 '\n", 1, "' 5 '"),
        ("a: ''\n", 1, "''"),
        ("a: |\n  5\nb: x\n", 1, "5"),
        ("a: x\nb:\n", 2, "missing"),
        ("- x\n- 1.5\n", 2, "fraction"),
        ("a: 1e3\n", 1, "1e3"),
        ("a: +1\n", 1, "+1"),
        ("a: 0o17\n", 1, "0o17"),
        ("a: 017\n", 1, "017"),
        ("a: 0x1F\n", 1, "0x1F"),
        ("a: 0b11\n", 1, "0b11"),
        ("a: 1_000\n", 1, "1_000"),
        ("a: 1,000\n", 1, "1,000"),
        ("a: 9223372036854775808\n", 1, "9223372036854775808"),
        ("a: .inf\n", 1, ".inf"),
        ("a: NaN\n", 1, "NaN"),
        ("a: nULL\n", 1, "nULL"),
        ("a: tRue\n", 1, "tRue"),
        ("a: x\nb: &one y\n", 2, "anchors"),
        ("a: &one [x]\nb: *one\n", 1, "anchors"),
        ("a: !!str 5\n", 1, "tags"),
        ("a: ! x\n", 1, "tags"),
        ("a: !own [x]\n", 1, "tags"),
        ("a: x\nb: y\na: z\n", 3, "second time"),
        ("a: x\n'a': z\n", 2, "second time"),
        ("a: x\n---\nb: y\n", 2, "second document"),
        ("%YAML 1.2\n---\na: x\n", 1, "directives"),
        ("<<: {a: x}\n", 1, "'<<'"),
        ("'<<': {a: x}\n", 1, "'<<'"),
        ("'': x\n", 1, "the key"),
        ("8080: x\n", 1, "in quotes"),
        ("true: x\n", 1, "in quotes"),
        ("? [a]\n: x\n", 1, "in quotes"),
        ("a: >\n  x\n  y\nb: z\n", 1, "folded"),
        ("a: |+\n  x\n\nb: z\n", 1, "blanks"),
        ("a: |\n  x\n", 1, "last block"),
        ("a: |-\n  x", 1, "last block"),
        ("a: [x, b:c]\n", 1, "characters"),
        ("a: x\nb:\ty\n", 2, "U+0009"),
        ("a: \U0001f600\n", 1, "U+1F600"),
        ("a: \u2028\n", 1, "U+2028"),
        ("a: x\0\n", 1, "U+0000"),
        ('a: "\\U0001f600"\n', 1, "characters"),
        ("[" * (DEEPEST + 1), 1, "deep"),
    ],
)
def test_what_versions_read_differently_is_refused_by_name(
    text: str, line: int, word: str, loader: type[yaml.SafeLoader]
) -> None:
    with pytest.raises(UnclearError) as error:
        read_yaml(text, loader)
    assert error.value.line == line
    assert word in error.value.what


@pytest.mark.parametrize("text", ["", "# only a remark\n", "null\n", "~", "a: x\nb: c: d\n", "a: 'x\n", "- @x\n", "}"])
def test_what_is_no_yaml_is_told_with_its_line(text: str, loader: type[yaml.SafeLoader]) -> None:
    with pytest.raises(NoYamlError) as error:
        read_yaml(text, loader)
    assert 1 <= error.value.line <= text.count("\n") + 1
    assert error.value.problem


@pytest.mark.parametrize("text", ["[" * 500_000, "- " * 500_000, "{a: " * 250_000, "? " * 500_000])
def test_no_depth_exhausts_the_reader(text: str, loader: type[yaml.SafeLoader]) -> None:
    with pytest.raises(UnclearError, match="deep"):
        read_yaml(text, loader)


def test_nested_anchors_are_refused_and_nothing_is_multiplied(loader: type[yaml.SafeLoader]) -> None:
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    with pytest.raises(UnclearError, match="anchors"):
        read_yaml(text, loader)
