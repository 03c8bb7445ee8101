"""Chat templates as popular models publish them, beside what transformers renders of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.published_templates import on_the_day, oracle, played


@pytest.mark.skipif(not oracle(), reason="no published templates are beside the project")
@pytest.mark.parametrize("model", sorted(oracle()))
def test_a_published_template_renders_as_transformers_renders_it(model: str, tmp_path: Path):
    """Or is refused where it is refused there. Functions that a template would drop are told in words."""
    with on_the_day():
        found = played(model, tmp_path / "model")
    assert not found.wrong, "\n".join(found.wrong)
    assert found.equal
