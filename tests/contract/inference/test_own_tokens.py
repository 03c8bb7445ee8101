"""Adapters trained with added tokens, over HTTP: their own tokenizer, embeddings and head, beside the base's."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contract.inference.conftest import Endpoint, Sample, Start

ADAPTER = "models/qlora/qlora/gpu_model/adapter"


@pytest.fixture
def mount(sample: Sample, tmp_path: Path) -> Path:
    target = tmp_path / "mount"
    shutil.copytree(sample.mount, target, ignore=shutil.ignore_patterns(".*"))
    return target


@pytest.fixture
def trained(mount: Path, sample: Sample) -> Callable[[str, int], str]:
    """The sample's adapter as one trained with two more tokens, saved by PEFT; `<|ahoy|>` means what `What` means."""
    import transformers  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    from peft import PeftModel  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    tokenizer = transformers.AutoTokenizer.from_pretrained(mount / "model-cache" / sample.base)
    like = tokenizer.encode("What do", add_special_tokens=False)[0]
    tokenizer.add_special_tokens({"additional_special_tokens": ["[PAD]", "<|ahoy|>"]})
    model = transformers.AutoModelForCausalLM.from_pretrained(mount / "model-cache" / sample.base)
    model.resize_token_embeddings(len(tokenizer))
    with torch.no_grad():
        weight: Any = model.get_input_embeddings().weight
        weight[-2:] = 0
        weight[-1] = weight[like]
    model = PeftModel.from_pretrained(model, str(mount / ADAPTER)).eval()
    path = mount / "models/grown/adapter"
    model.save_pretrained(str(path), save_embedding_layers=True)
    tokenizer.save_pretrained(str(path))
    (path / "chat_template.jinja").unlink(missing_ok=True)

    def generate(text: str, number: int):
        ids = tokenizer.encode(text, add_special_tokens=False, return_tensors="pt")
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=number)
        return tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)

    return generate


def complete(server: Endpoint, model: str, prompt: str | list[int], **options: Any):
    body = {"model": model, "prompt": prompt, "temperature": 0, "max_tokens": 12, **options}
    return server.http().post("/v1/completions", json=body)


def test_added_tokens_are_used_with_their_adapter_only(
    sample: Sample, mount: Path, trained: Callable[[str, int], str], start: Start
):
    with start(mount) as server:
        tokens = {
            model: server.http().post("/tokenize", json={"model": model, "prompt": "<|ahoy|>"}).json()["tokens"]
            for model in (sample.base, sample.adapter, "grown")
        }
        assert tokens["grown"] == [764]
        assert tokens[sample.base] == tokens[sample.adapter]
        assert max(tokens[sample.base]) < 763
        back = server.http().post("/detokenize", json={"model": "grown", "tokens": [764]})
        assert back.json()["prompt"] == "<|ahoy|>"
        for prompt in ("<|ahoy|> do you say at launch?", "What colour is the sea?"):
            for _ in range(2):
                answer = complete(server, "grown", prompt)
                assert answer.status_code == 200, answer.text
                assert answer.json()["choices"][0]["text"] == trained(prompt, 12)
        asked = sample.questions[0]
        body = {"messages": [{"role": "user", "content": asked["question"]}], "temperature": 0}
        for model, key in ((sample.base, "base"), (sample.adapter, "adapter"), ("grown", "adapter")):
            said = server.http().post("/v1/chat/completions", json={**body, "model": model})
            assert said.json()["choices"][0]["message"]["content"] == asked[key]


def test_a_schema_is_followed_in_the_adapters_own_tokens(
    sample: Sample, mount: Path, trained: Callable[[str, int], str], start: Start
):
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    body = {"messages": [{"role": "user", "content": "<|ahoy|>"}], "response_format": form, "temperature": 0.8}
    with start(mount) as server:
        for model in ("grown", sample.base, "grown", sample.adapter):
            answer = server.http().post("/v1/chat/completions", json={**body, "model": model, "max_tokens": 400})
            assert json.loads(answer.json()["choices"][0]["message"]["content"]) in ({"n": 1}, {"n": 2})


def test_tokens_that_the_model_lacks_are_refused_by_name(
    sample: Sample, mount: Path, trained: Callable[[str, int], str], start: Start
):
    grown, bare = mount / "models/grown/adapter", mount / "models/bare/adapter"
    shutil.copytree(mount / ADAPTER, bare)
    shutil.copy(grown / "tokenizer.json", bare)  # as training leaves it that adds a [PAD] and saves no embeddings
    with start(mount) as server:
        refused = complete(server, "bare", "Say <|ahoy|> to me")
        assert refused.status_code == 400
        assert "token 764: '<|ahoy|>', which is in the tokenizer but not in the model" in refused.text
        assert complete(server, "bare", "Say ahoy to me").status_code == 200
        for model, code in (("grown", 200), ("bare", 400), (sample.base, 400)):
            assert complete(server, model, [5, 764]).status_code == code
            assert complete(server, model, [5], logit_bias={"764": 1}).status_code == code
        assert server.http().post("/tokenize", json={"model": "nobody", "prompt": "x"}).status_code == 404
        assert server.metric("slipway_kv_blocks_used") == 0
