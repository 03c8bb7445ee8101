"""Adapters come and go while the server works: hot load, replace, alias, unload, refusal; the base stays as it was."""

import concurrent.futures
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.contract.inference.conftest import Endpoint, Sample, Start


@pytest.fixture
def mount(sample: Sample, tmp_path: Path) -> Path:
    """A copy of the sample, so that the tests may change it."""
    target = tmp_path / "mount"
    shutil.copytree(sample.mount, target, ignore=shutil.ignore_patterns(".*"))
    return target


def answer(server: Endpoint, model: str, question: str, **options: Any):
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, **options}
    return server.http().post("/v1/chat/completions", json=body)


def text(server: Endpoint, model: str, question: str):
    return answer(server, model, question).json()["choices"][0]["message"]["content"]


def manage(server: Endpoint, action: str, **body: Any):
    return server.http().post(f"/v1/{action}_lora_adapter", json=body)


def test_an_adapter_is_loaded_used_and_unloaded_while_serving(sample: Sample, mount: Path, start: Start):
    asked = sample.questions[0]
    with start(mount) as server:
        loaded = manage(server, "load", lora_name="pirate", lora_path="models/qlora/qlora/gpu_model/adapter")
        assert loaded.status_code == 200, loaded.text
        assert text(server, "pirate", asked["question"]) == asked["adapter"]
        assert manage(server, "load", lora_name="pirate", lora_path="x").status_code == 409
        assert manage(server, "load", lora_name="matey", alias_of="pirate").status_code == 200
        assert text(server, "matey", asked["question"]) == asked["adapter"]
        assert manage(server, "unload", lora_name="pirate").status_code == 200
        gone = answer(server, "pirate", asked["question"])
        assert gone.status_code == 404
        assert "matey" in gone.json()["error"]["message"]
        assert text(server, "matey", asked["question"]) == asked["adapter"]
        assert manage(server, "unload", lora_name="pirate").status_code == 404


def test_an_adapter_outside_of_the_mount_is_refused(sample: Sample, mount: Path, start: Start):
    with start(mount) as server:
        for path in ("../elsewhere", "/etc", "models/../../x"):
            refused = manage(server, "load", lora_name="x", lora_path=path)
            assert refused.status_code == 400
            assert "under the mount" in refused.json()["error"]["message"]


MALFORMED = {
    "alpha": {"lora_alpha": [16]},
    "rank": {"r": "x"},
    "saved": {"modules_to_save": True},
    "pattern": {"alpha_pattern": {"(": 1}},
}


def test_a_broken_adapter_is_refused_by_name_and_the_others_serve(sample: Sample, mount: Path, start: Start):
    good = mount / "models/qlora/qlora/gpu_model/adapter"
    wrong = mount / "models/wrong/adapter"
    shutil.copytree(good, wrong)
    config = json.loads((wrong / "adapter_config.json").read_text())
    (wrong / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    for name, values in MALFORMED.items():
        shutil.copytree(good, mount / "models" / name)
        (mount / "models" / name / "adapter_config.json").write_text(json.dumps({**config, **values}))
    asked = sample.questions[1]
    with start(mount) as server:
        assert text(server, sample.adapter, asked["question"]) == asked["adapter"]
        refused = answer(server, "wrong", asked["question"])
        assert refused.status_code == 404
        assert "use_dora" in refused.json()["error"]["message"]
        said = {one["name"] for one in server.http().get("/version").json()["refused"]}
        assert said == {"wrong", *MALFORMED}
        body = {"lora_name": "again", "lora_path": f"models/{next(iter(MALFORMED))}"}
        assert server.http().post("/v1/load_lora_adapter", json=body).status_code == 400


def test_a_hundred_swaps_under_load_fail_no_request_and_leave_the_base_as_it_was(
    sample: Sample, mount: Path, start: Start
):
    path = "models/qlora/qlora/gpu_model/adapter"
    with start(mount) as server:

        def base_logprobs():
            body = answer(server, sample.base, sample.questions[2]["question"], logprobs=True, top_logprobs=5)
            return body.json()["choices"][0]["logprobs"]

        before = base_logprobs()
        stop = threading.Event()
        seen = [0] * 6

        def client(number: int):
            asked = sample.questions[number % 6]
            while not stop.is_set():
                model, key = ((sample.base, "base"), ("swapped", "adapter"))[number % 2]
                got = answer(server, model, asked["question"])
                assert got.status_code == 200, got.text
                assert got.json()["choices"][0]["message"]["content"] == asked[key]
                seen[number] += 1

        assert manage(server, "load", lora_name="swapped", lora_path=path).status_code == 200
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            clients = [pool.submit(client, number) for number in range(6)]
            for _ in range(100):
                swapped = manage(server, "load", lora_name="swapped", lora_path=path, load_inplace=True)
                assert swapped.status_code == 200, swapped.text
            server.eventually(lambda: min(seen) > 3 or any(done.done() for done in clients))
            stop.set()
            for done in clients:
                done.result()
        assert min(seen) > 3
        assert base_logprobs() == before
        assert server.metric("slipway_kv_blocks_used") == 0


def with_head(sample: Sample, mount: Path, path: str, scale: float = 0.1):
    """An adapter with a head of its own, as training would leave it."""
    import peft  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    import torch  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    import transformers  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_pretrained(mount / "model-cache" / sample.base)
    settings = peft.LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"], init_lora_weights=False)
    adapted = peft.get_peft_model(model, settings)
    for name, parameter in adapted.named_parameters():
        if "modules_to_save" in name:
            parameter.data += torch.randn_like(parameter) * scale
    adapted.save_pretrained(str(mount / path), save_embedding_layers=False)


@pytest.mark.parametrize("engine", ["own", "transformers"])
def test_however_an_adapter_with_a_head_of_its_own_leaves_the_base_stays(
    sample: Sample, mount: Path, start: Start, engine: str
):
    with_head(sample, mount, "models/first")
    with_head(sample, mount, "models/second", scale=0.2)
    broken = mount / "models" / "broken"
    shutil.copytree(mount / "models/first", broken)
    config = json.loads((broken / "adapter_config.json").read_text())
    (broken / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["q_proj", "model.norm"]}))
    weights = (broken / "adapter_model.safetensors").read_bytes()
    (broken / "adapter_model.safetensors").write_bytes(weights.replace(b"q_proj.lora_A", b"x_proj.lora_A"))
    with start(mount, SLIPWAY_ENGINE=engine, SLIPWAY_WATCH_SECONDS="0.1", SLIPWAY_MAX_ADAPTERS="3") as server:

        def said(model: str):
            options = {"logprobs": True, "top_logprobs": 5, "max_tokens": 12}
            given = answer(server, model, sample.questions[2]["question"], **options)
            assert given.status_code == 200, given.text
            return given.json()["choices"][0]["logprobs"]

        def names():
            return {model["id"] for model in server.http().get("/v1/models").json()["data"]}

        base, first = said(sample.base), said("first")
        assert names() == {sample.base, sample.adapter, "first", "second"}  # and the broken one was refused half-way
        assert first != base
        again = {"lora_name": "first", "lora_path": "models/second", "load_inplace": True}
        assert manage(server, "load", **again).status_code == 200
        assert said(sample.base) == base
        assert said("first") == said("second") != first
        assert manage(server, "load", lora_name="x", lora_path="models/broken").status_code == 400
        assert said(sample.base) == base
        assert manage(server, "unload", lora_name="first").status_code == 200
        assert said(sample.base) == base
        assert manage(server, "unload", lora_name=sample.adapter).status_code == 200
        assert said(sample.base) == base
        shutil.rmtree(mount / "models/second")
        server.eventually(lambda: names() == {sample.base})
        assert said(sample.base) == base
