"""A model and an adapter that bring code of their own (`auto_map`) are served by ours or transformers', and it never runs."""

import json
import shutil
from pathlib import Path

import pytest

from tests.contract.inference.conftest import Sample, Start
from tests.unit.inference.foreign_code import lay_trap


@pytest.mark.parametrize(("engine", "kind"), [("own", "slipway"), ("transformers", "transformers")])
def test_a_known_model_with_code_of_its_own_is_served_without_it(
    sample: Sample, start: Start, tmp_path: Path, engine: str, kind: str
):
    mount, mark = tmp_path / "mount", tmp_path / "run"
    shutil.copytree(sample.mount, mount, ignore=shutil.ignore_patterns(".*"))
    base, adapter = mount / "model-cache" / sample.base, mount / "models/qlora/qlora/gpu_model/adapter"
    lay_trap(base, mark, "config.json", "tokenizer_config.json")
    lay_trap(adapter, mark, "config.json", "tokenizer_config.json", "adapter_config.json")
    mapping = {"base_model_class": "Trap", "parent_library": "trap"}
    written = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**written, "auto_mapping": mapping}))
    with start(mount, SLIPWAY_ENGINE=engine) as server:
        for asked in sample.questions[:2]:
            for model, key in ((sample.base, "base"), (sample.adapter, "adapter")):
                body = {"messages": [{"role": "user", "content": asked["question"]}], "temperature": 0, "model": model}
                answer = server.http().post("/v1/chat/completions", json=body)
                assert answer.status_code == 200, answer.text
                assert answer.json()["choices"][0]["message"]["content"] == asked[key]
        assert f"engine {kind}" in server.log.read_text()
        said = [line for line in server.log.read_text().splitlines() if "inference.engine.files.folder" in line]
        assert len(said) == 1
        assert "config.json: model_type 'llama' needs no code of its own" in said[0]
    assert not mark.exists()
