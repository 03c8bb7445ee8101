"""Our compiler and engine against Microsoft's answers, as `npm run contract -- bicep` measures them; and changed files."""

from collections.abc import Callable

import pytest

from tests.contract import bicep_mutations
from tests.support import bicep_measures
from tests.support.bicep_measures import Line


@pytest.mark.parametrize(
    "measure",
    [
        bicep_measures.valid_files,
        bicep_measures.mistakes_told,
        bicep_measures.pairs_told,
        bicep_measures.snapshots,
        bicep_measures.public_templates,
        bicep_measures.expressions,
    ],
)
def test_a_goal_of_the_contract_holds(measure: Callable[[], Line]):
    line = measure()
    assert line.holds, (line.numbers, line.wrong)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_changed_file_ends_in_a_template_or_in_sentences(seed: int):
    count, wrong = bicep_mutations.measure(250, seed)
    assert wrong == []
    assert count["taken"] > 0
    assert count["mistake"] > 0
