"""A row each of `npm run contract -- models` and `-- adapters`, which play them all."""

from pathlib import Path

import pytest

from tests.support.adapter_rows import LAYOUTS, row_of
from tests.support.published_rows import played, refused
from tests.support.published_shapes import all_published

PUBLISHED = {each.name: each for each in all_published() if not each.numbers_only}


@pytest.mark.skipif(not PUBLISHED, reason="no published configurations are beside the project")
def test_a_published_configuration_is_served_with_transformers_tokens(tmp_path: Path):
    """Its factors of a long rope, its part of each head that turns, its tied head."""
    row = played(tmp_path, PUBLISHED["Phi-4-mini-reasoning"])
    assert row.verdict == "ok", row.why


@pytest.mark.skipif(not PUBLISHED, reason="no published configurations are beside the project")
def test_a_published_configuration_in_fp8_is_refused_by_name(tmp_path: Path):
    row = refused(tmp_path, PUBLISHED["Qwen3-8B-FP8"])
    assert row.verdict == "ok", row.why


@pytest.mark.skipif(not PUBLISHED, reason="no published configurations are beside the project")
def test_an_adapter_of_a_trainers_configuration_answers_as_in_peft(tmp_path: Path):
    (layout,) = [each for each in LAYOUTS if each.folder == "peft-0.11-phi3-fused"]
    row = row_of(tmp_path, layout)
    assert row.verdict == "ok", row.why
