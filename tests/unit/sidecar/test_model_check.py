"""What is said of the models on a share before a GPU is paid for, and how little of them is read for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sidecar.decisions.checks import Check
from sidecar.decisions.gpu_memory import TABLE, fits, gpu_of
from sidecar.decisions.model_check import model_checks
from sidecar.decisions.model_facts import commanded, start_script, template_env
from sidecar.decisions.model_memory import needed
from sidecar.decisions.restart import ROWS
from sidecar.words.errors import CloudError
from sidecar.words.text import Text
from sidecar.workflows.model_files import FIRST, MOST_ADAPTERS, model_facts
from tests.support.model_folders import LocalFiles, adapter_in, base_in, lora_tensors, write_weights

T4, A100 = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100"
SEVEN: dict[str, Any] = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32768,
}
"""Mistral 7B's sizes: 14.5 GB of weights in 16 bits."""


def seven(layers: int) -> dict[str, Any]:
    return {**SEVEN, "num_hidden_layers": layers}


def checks(
    files: LocalFiles | Path, kind: str | None = T4, *, must: bool = True, **settings: str
) -> Mapping[str, Check]:
    share = LocalFiles(files) if isinstance(files, Path) else files
    return {each.name: each for each in model_checks(model_facts(share, "", settings, kind), needed=must)}


def test_a_share_whose_models_fit_passes_every_check(tmp_path: Path) -> None:
    base_in(tmp_path)
    adapter_in(tmp_path)
    found = checks(tmp_path)
    assert {name: each.verdict for name, each in found.items()} == dict.fromkeys(
        ("base model", "chat template", "memory", "adapter models/tuned"), "PASS"
    )
    assert "org/tiny is whole: 0.0 GB of weights (BF16), files: 1." in str(found["base model"].sentence)
    assert "fits org/tiny: rank 4, 2 modules" in str(found["adapter models/tuned"].sentence)


def test_few_reads_of_few_bytes_tell_all_of_it(tmp_path: Path) -> None:
    """Four shards of 3.6 GB each, two adapters: configurations and headers, each once."""
    base_in(tmp_path, shards=4, **SEVEN)
    for name in ("models/one", "models/two"):
        adapter_in(tmp_path, name, lora_tensors(width=4096, height=4096))
    files = LocalFiles(tmp_path)
    assert {each.verdict for each in checks(files, A100).values()} == {"PASS"}
    read = sorted(path.rpartition("/")[2] for path, _, _ in files.read)
    assert len(read) == len(set(files.read)) == 11, read
    assert all(length <= FIRST for path, _, length in files.read if path.endswith(".safetensors"))
    assert sum(length for _, _, length in files.read) < 1 << 20


def test_a_header_that_is_longer_is_read_in_a_second_request_and_a_huge_one_not_at_all(tmp_path: Path) -> None:
    folder = base_in(tmp_path, num_hidden_layers=120)
    files = LocalFiles(tmp_path)
    assert checks(files)["base model"].verdict == "PASS"
    assert [offset for path, offset, _ in files.read if path.endswith(".safetensors")] == [0, FIRST]
    (folder / "model.safetensors").write_bytes((50 << 20).to_bytes(8, "little"))
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.truncate(100 << 20)
    found = checks(tmp_path)["base model"]
    assert found.verdict == "UNVERIFIED"
    assert "The header of model-cache/org/tiny/model.safetensors has 50 MiB" in str(found.sentence)


def test_a_missing_base_stops_a_deploy_and_is_only_said_before(tmp_path: Path) -> None:
    assert checks(tmp_path)["base model"].code == "NoBaseModel"
    before = checks(tmp_path, must=False)
    assert {name: each.verdict for name, each in before.items()} == {"base model": "WARN"}
    base_in(tmp_path, "org/one")
    base_in(tmp_path, "org/two")
    several = checks(tmp_path)["base model"]
    assert several.code == "NoBaseModel"
    assert "SLIPWAY_BASE_MODEL has to name one" in str(several.sentence)
    assert checks(tmp_path, SLIPWAY_BASE_MODEL="org/two")["base model"].verdict == "PASS"


def test_a_base_that_the_container_fetches_from_the_hub_is_not_missing(tmp_path: Path) -> None:
    found = checks(tmp_path, SLIPWAY_HUB_MODEL="org/hub")["base model"]
    assert found.verdict == "PASS"
    assert "org/hub is not on the share: the container fetches it from the hub, once" in str(found.sentence)
    assert (
        checks(tmp_path, SLIPWAY_HUB_MODEL="org/hub", SLIPWAY_BASE_MODEL="org/own")["base model"].code == "NoBaseModel"
    )
    base_in(tmp_path, "org/hub")
    base_in(tmp_path, "org/other")
    there = checks(tmp_path, SLIPWAY_HUB_MODEL="org/hub")["base model"]
    assert "org/hub is whole" in str(there.sentence)


def test_what_can_not_be_read_is_unverified_and_never_a_pass(tmp_path: Path) -> None:
    base_in(tmp_path)
    adapter_in(tmp_path)

    class Refusing(LocalFiles):
        def part(self, path: str, offset: int, length: int) -> bytes:
            if path.endswith(".safetensors"):
                raise CloudError(Text("nobody answers for {path}", path=path))
            return super().part(path, offset, length)

    found = checks(Refusing(tmp_path))
    assert {found[name].verdict for name in ("base model", "adapter models/tuned")} == {"UNVERIFIED"}
    assert "nobody answers for model-cache" in str(found["base model"].sentence)


@pytest.mark.parametrize("unread", ["model-00002-of-00004.safetensors", "model.safetensors.index.json"])
def test_of_weights_that_were_not_all_read_no_sum_is_told(unread: str, tmp_path: Path) -> None:
    """A part of the layers would seem to fit where all of them do not; and a module may be in the rest."""
    base_in(tmp_path, shards=4, **seven(700))
    adapter_in(tmp_path, target_modules=["q_proj", "elsewhere"], shapes=lora_tensors(width=4096, height=4096))

    class Refusing(LocalFiles):
        def part(self, path: str, offset: int, length: int) -> bytes:
            if path.endswith(unread):
                raise CloudError(Text("nobody answers for {path}", path=path))
            return super().part(path, offset, length)

    assert needed(model_facts(Refusing(tmp_path), "", {}, None)) is None
    found = checks(Refusing(tmp_path))
    assert found["memory"].verdict == "UNVERIFIED"
    assert "nobody answers for model-cache" in str(found["memory"].sentence)
    assert found["adapter models/tuned"].verdict == "PASS"
    whole = checks(tmp_path)
    assert (whole["memory"].verdict, whole["adapter models/tuned"].verdict) == ("FAIL", "WARN")


def test_a_base_without_a_chat_template_is_said(tmp_path: Path) -> None:
    folder = base_in(tmp_path)
    (folder / "tokenizer_config.json").write_text("{}")
    found = checks(tmp_path)["chat template"]
    assert found.verdict == "WARN"
    assert "org/tiny alone has no chat template" in str(found.sentence)
    assert "an adapter that brings its own" in str(found.sentence)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert checks(tmp_path)["chat template"].verdict == "PASS"


@pytest.mark.parametrize(
    ("written", "verdict"),
    [
        ([{"name": "default", "template": "{{ messages }}"}, {"name": "tool_use", "template": "x"}], "PASS"),
        ([{"name": "tool_use", "template": "{{ messages }}"}], "WARN"),
        (["default", None, {"name": ["default"]}], "WARN"),
        ([], "WARN"),
    ],
)
def test_of_several_chat_templates_the_default_is_the_one(written: Any, verdict: str, tmp_path: Path) -> None:
    folder = base_in(tmp_path)
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": written}))
    assert checks(tmp_path)["chat template"].verdict == verdict


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"base_model_name_or_path": "other/model-7b"}, "was trained on other/model-7b; the base here is org/tiny"),
        ({"new_arithmetic": True}, "keys that the server does not know: new_arithmetic"),
        ({"target_modules": ["q_proj", "c_attn"]}, "modules that org/tiny does not have: c_attn"),
    ],
)
def test_an_adapter_that_is_taken_may_still_be_doubted(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    base_in(tmp_path)
    adapter_in(tmp_path, **changed)
    found = checks(tmp_path)["adapter models/tuned"]
    assert found.verdict == "WARN"
    assert said in str(found.sentence)
    assert "will refuse" not in str(found.sentence)


@pytest.mark.parametrize(
    "name", ["org/tiny", "/mount/model-cache/org/Tiny", "unsloth/tiny-bnb-4bit", "C:\\models\\tiny", None, ""]
)
def test_names_of_one_model_are_one(name: str | None, tmp_path: Path) -> None:
    base_in(tmp_path)
    adapter_in(tmp_path, base_model_name_or_path=name)
    assert checks(tmp_path)["adapter models/tuned"].verdict == "PASS"


def test_tokens_of_its_own_are_told_against_the_bases(tmp_path: Path) -> None:
    base_in(tmp_path)
    adapter_in(tmp_path, shapes={**lora_tensors(), "base_model.model.model.embed_tokens.weight": (260, 64)})
    assert "260 tokens of its own in place of 256" in str(checks(tmp_path)["adapter models/tuned"].sentence)


@pytest.mark.parametrize(
    "config",
    [
        {"rank_pattern": ["q_proj"]},
        {"rank_pattern": {"(": 4}},
        {"r": "four"},
        {"r": [4]},
        {"rank_pattern": {"q_proj": {}}},
    ],
)
def test_ranks_that_are_none_are_a_refusal_and_no_crash(config: dict[str, Any], tmp_path: Path) -> None:
    base_in(tmp_path)
    adapter_in(tmp_path, **config)
    assert "states ranks that are none" in str(checks(tmp_path)["adapter models/tuned"].sentence)


@pytest.mark.parametrize("key", ["rank_pattern", "alpha_pattern"])
def test_a_pattern_without_an_end_is_a_refusal_and_holds_nothing_up(key: str, tmp_path: Path) -> None:
    base_in(tmp_path)
    patterns: dict[str, Any] = {key: {r"([a-z_.0-9]+)+!": 4}}
    adapter_in(tmp_path, **patterns)
    assert "may match in too many ways to be tried" in str(checks(tmp_path)["adapter models/tuned"].sentence)


def test_a_hostile_base_is_a_failure_and_no_crash(tmp_path: Path) -> None:
    folder = base_in(tmp_path)
    index, weights = folder / "model.safetensors.index.json", folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.unlink()
    index.write_text('{"weight_map": {"a": ["b"]}}')
    assert "of another kind: ['b']" in str(checks(tmp_path)["base model"].sentence)
    index.unlink()
    weights.write_bytes(whole)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 10**9}))
    assert "speaks of 1000000000 layers" in str(checks(tmp_path)["base model"].sentence)
    (folder / "config.json").write_text("[" * 100_000)
    assert "config.json: it is not JSON" in str(checks(tmp_path)["base model"].sentence)


def test_of_very_many_adapters_the_rest_is_said_to_be_unread(tmp_path: Path) -> None:
    base_in(tmp_path)
    for number in range(MOST_ADAPTERS + 3):
        adapter_in(tmp_path, f"models/a{number:02}")
    found = checks(tmp_path)
    assert sum(name.startswith("adapter ") for name in found) == MOST_ADAPTERS
    assert found["adapters"].verdict == "UNVERIFIED"
    assert "3" in str(found["adapters"].sentence)


def test_a_model_that_is_too_large_for_the_gpu_fails_and_four_bits_are_offered_where_they_fit(tmp_path: Path) -> None:
    base_in(tmp_path, **seven(36))
    found = checks(tmp_path)["memory"]
    assert (found.verdict, found.code, found.parameter) == ("FAIL", "ModelTooLarge", "gpuProfileType")
    assert "needs 17.9 GB of GPU memory (16.3 of them weights); the T4 has 16.7 GB." in str(found.sentence)
    assert "In 4 bits (nf4) it needs 6.6 GB, and the T4 has that" in str(found.remedy)
    assert "SLIPWAY_WEIGHTS=nf4" in str(found.remedy)
    assert checks(tmp_path, A100)["memory"].verdict == "PASS"
    assert checks(tmp_path, SLIPWAY_WEIGHTS="nf4")["memory"].verdict == "PASS"
    assert checks(tmp_path, SLIPWAY_KV_BYTES="1000")["memory"].verdict == "WARN"
    assert checks(tmp_path, SLIPWAY_KV_BYTES="0")["memory"].verdict == "FAIL"


def test_a_cache_of_a_stated_size_has_room_for_as_many_tokens(tmp_path: Path) -> None:
    """128 KiB for each; 0 is a share of what is free, as without it."""
    base_in(tmp_path, **SEVEN)
    assert "for about 1000 tokens" in str(checks(tmp_path, A100, SLIPWAY_KV_BYTES=str(1000 << 17))["memory"].sentence)
    assert checks(tmp_path, A100, SLIPWAY_KV_BYTES="0") == checks(tmp_path, A100)


def test_what_a_model_needs_is_told_as_a_number_too(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    assert needed(model_facts(files, "", {}, None)) is None
    base_in(tmp_path, **SEVEN)
    full, packed = (needed(model_facts(files, "", {"SLIPWAY_WEIGHTS": way}, None)) for way in ("auto", "nf4"))
    assert full is not None
    assert packed is not None
    assert 16.0e9 < full < 16.2e9
    assert packed < full / 2
    assert (fits(T4, full), fits(T4, None), fits("Consumption-GPU-NC40-H100", full)) == (True, None, None)
    assert fits(T4, 2 * full) is False


def test_near_the_edge_of_the_memory_is_a_warning(tmp_path: Path) -> None:
    """How much of it the driver leaves nobody can tell from here."""
    base_in(tmp_path, **SEVEN)
    found = checks(tmp_path)["memory"]
    assert found.verdict == "WARN"
    assert "it may just fit" in str(found.sentence)


def test_a_model_that_is_too_large_in_any_format_needs_another_gpu(tmp_path: Path) -> None:
    base_in(tmp_path, **seven(700))
    for kind in (A100, "NC96-A100"):
        found = checks(tmp_path, kind)["memory"]
        assert found.verdict == "FAIL"
    assert "the first GPU alone" in str(found.remedy)


def test_memory_is_not_judged_without_a_gpu_and_unknown_for_a_type_that_the_table_lacks(tmp_path: Path) -> None:
    base_in(tmp_path)
    assert "memory" not in checks(tmp_path, None)
    assert "memory" not in checks(tmp_path, T4, SLIPWAY_DEVICE="cpu")
    assert checks(tmp_path, "Consumption-GPU-NC40-H100")["memory"].verdict == "UNVERIFIED"


def test_four_bits_that_the_server_would_refuse_fail(tmp_path: Path) -> None:
    base_in(tmp_path, hidden_size=96)
    found = checks(tmp_path, SLIPWAY_WEIGHTS="nf4")["memory"]
    assert (found.verdict, found.code) == ("FAIL", "NoFourBits")


def test_a_base_that_transformers_serves_is_a_warning_and_its_adapters_are_judged_by_their_kind(tmp_path: Path) -> None:
    folder = base_in(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "gemma2"}))
    adapter_in(tmp_path, "models/loha", peft_type="LOHA")
    adapter_in(tmp_path, "models/prompts", peft_type="PROMPT_TUNING")
    found = checks(tmp_path)
    assert found["base model"].verdict == "WARN"
    assert "transformers does, more slowly" in str(found["base model"].sentence)
    assert found["adapter models/loha"].verdict == "PASS"
    assert "its peft_type is PROMPT_TUNING; supported are LORA, LOHA" in str(found["adapter models/prompts"].sentence)
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": {"AutoModel": "a.B"}}))
    assert "which is never run" in str(checks(tmp_path)["base model"].sentence)


def test_where_transformers_is_asked_for_our_engines_tensors_are_not_demanded(tmp_path: Path) -> None:
    folder = base_in(tmp_path)
    write_weights(folder / "model.safetensors", {"model.norm.weight": (64,)})
    assert checks(tmp_path)["base model"].verdict == "FAIL"
    found = checks(tmp_path, SLIPWAY_ENGINE="transformers")["base model"]
    assert found.verdict == "WARN"
    assert "SLIPWAY_ENGINE is transformers" in str(found.sentence)


def test_a_base_that_our_engine_does_not_serve_fails_where_it_alone_may(tmp_path: Path) -> None:
    folder = base_in(tmp_path)
    assert checks(tmp_path, SLIPWAY_ENGINE="own")["base model"].verdict == "PASS"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "gemma2"}))
    found = checks(tmp_path, SLIPWAY_ENGINE="own")["base model"]
    assert (found.verdict, found.code) == ("FAIL", "BaseModelUnusable")
    assert "its model type is gemma2" in str(found.sentence)
    assert "Leave SLIPWAY_ENGINE out" in str(found.remedy)
    assert checks(tmp_path, SLIPWAY_ENGINE="auto")["base model"].verdict == "WARN"


def test_settings_come_from_variables_and_from_the_commands_of_the_start() -> None:
    container = {
        "args": ["set -e\nexport SLIPWAY_WEIGHTS=nf4\nSLIPWAY_MAX_RUNNING='8' python3 -m inference"],
        "env": [{"name": "SLIPWAY_BASE_MODEL", "value": "a/b"}, {"name": "SLIPWAY_API_KEY", "secretRef": "api-key"}],
    }
    template = {"containers": [container]}
    assert template_env(template) == {"SLIPWAY_BASE_MODEL": "a/b"}
    assert commanded(start_script(template)) == {"SLIPWAY_WEIGHTS": "nf4", "SLIPWAY_MAX_RUNNING": "8"}
    assert (template_env(None), start_script(None)) == ({}, "")
    assert commanded("python3 -m inference") == {}


def test_every_gpu_profile_that_has_a_quota_row_is_in_the_table_of_memory() -> None:
    assert {each.lower() for each in ROWS} == TABLE.keys()
    assert gpu_of("consumption-GPU-nc8as-t4") == TABLE[T4.lower()]
    assert gpu_of("Consumption-GPU-NC40-H100") is None


def test_a_truncated_upload_of_a_shard_is_told_with_its_name(tmp_path: Path) -> None:
    folder = base_in(tmp_path, shards=4)
    shard = folder / "model-00003-of-00004.safetensors"
    write_weights(shard, {"model.norm.weight": (64,)})
    with shard.open("r+b") as stream:
        stream.truncate(shard.stat().st_size - 10)
    found = checks(tmp_path)["base model"]
    assert found.verdict == "FAIL"
    assert "model-00003-of-00004.safetensors: it is truncated" in str(found.sentence)
