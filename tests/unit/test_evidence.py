"""What tests claim about real Azure: counted from tests that passed, compared key by key with the captures."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.evidence import same_shape, without_nulls
from tests.support.facts import listed_facts, read_claims

CAPTURE = {"name": "a", "properties": {"state": "Running", "error": None, "items": [{"id": 1}]}}


def test_only_tests_that_passed_count_and_only_their_captures(tmp_path: Path):
    (tmp_path / "test_claims.py").write_text(
        "import pytest\n"
        "from tests.support.evidence import USED\n"
        "import os\n"
        "def use(name): USED.setdefault(os.environ['PYTEST_CURRENT_TEST'].rpartition(' ')[0], set()).add(name)\n"
        "@pytest.mark.fact(4, 23)\ndef test_good(): use('a.json')\n"
        "@pytest.mark.fact(23)\ndef test_good_too(): pass\n"
        "@pytest.mark.fact(5)\ndef test_bad(): use('b.json'); assert False\n"
        "@pytest.mark.fact(6)\ndef test_skipped(): pytest.skip('not here')\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  fact: of Azure\n")
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.facts", "--facts", str(tmp_path / "out.json")]
    subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, check=False
    )
    facts, captures = read_claims(tmp_path / "out.json")
    assert sorted(facts) == [4, 23]
    assert [test.partition("::")[2] for test in facts[23]] == ["test_good", "test_good_too"]
    assert captures == ["a.json"]


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ({"name": "a"}, "properties: missing"),
        ({**CAPTURE, "more": 1}, "more: ours has a number"),
        ({"name": 1, "properties": CAPTURE["properties"]}, "name: Azure has a text, ours a number"),
        ({"name": "b", "properties": {"state": "x", "error": {}, "items": []}}, "properties.error: Azure has null"),
        ({"name": "b", "properties": {"state": "x", "error": None, "items": [{}]}}, "properties.items[].id: missing"),
    ],
)
def test_a_difference_is_named_by_its_path(ours: object, said: str):
    with pytest.raises(AssertionError) as refused:
        same_shape(CAPTURE, ours)
    assert said in str(refused.value)


def test_a_stated_difference_is_let_through_until_it_is_gone():
    same_shape(CAPTURE, {**CAPTURE, "more": 1}, {"more": "our own"})
    with pytest.raises(AssertionError, match="is like it"):
        same_shape(CAPTURE, CAPTURE, {"more": "our own"})
    assert without_nulls(CAPTURE) == {"name": "a", "properties": {"state": "Running", "items": [{"id": 1}]}}


def test_facts_are_the_numbered_lines_that_somebody_saw():
    assert listed_facts(
        "# Seen\n\n1. One\n2. Two. 3. no line\n\n## More\n\n4. Four\n\n## Not seen: hands off\n\n5. Five\n"
    ) == {1, 2, 4}
