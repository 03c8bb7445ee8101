"""Adapters come and go while the server works: hot load, replace, alias, unload, refusal; the base stays as it was."""

import concurrent.futures
import json
import shutil
import threading

import pytest


@pytest.fixture
def mount(sample, tmp_path):
    """A copy of the sample, so that the tests may change it."""
    target = tmp_path / "mount"
    shutil.copytree(sample.mount, target, ignore=shutil.ignore_patterns(".*"))
    return target


def answer(server, model, question, **options):
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, **options}
    return server.http().post("/v1/chat/completions", json=body)


def text(server, model, question):
    return answer(server, model, question).json()["choices"][0]["message"]["content"]


def manage(server, action, **body):
    return server.http().post(f"/v1/{action}_lora_adapter", json=body)


def test_an_adapter_is_loaded_used_and_unloaded_while_serving(sample, mount, start):
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


def test_an_adapter_outside_of_the_mount_is_refused(sample, mount, start):
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


def test_a_broken_adapter_is_refused_by_name_and_the_others_serve(sample, mount, start):
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


def test_a_hundred_swaps_under_load_fail_no_request_and_leave_the_base_as_it_was(sample, mount, start):
    path = "models/qlora/qlora/gpu_model/adapter"
    with start(mount) as server:

        def base_logprobs():
            body = answer(server, sample.base, sample.questions[2]["question"], logprobs=True, top_logprobs=5)
            return body.json()["choices"][0]["logprobs"]

        before = base_logprobs()
        stop = threading.Event()

        def client(number):
            asked = sample.questions[number % 6]
            seen = 0
            while not stop.is_set():
                model, key = ((sample.base, "base"), ("swapped", "adapter"))[number % 2]
                got = answer(server, model, asked["question"])
                assert got.status_code == 200, got.text
                assert got.json()["choices"][0]["message"]["content"] == asked[key]
                seen += 1
            return seen

        assert manage(server, "load", lora_name="swapped", lora_path=path).status_code == 200
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            clients = [pool.submit(client, number) for number in range(6)]
            for _ in range(100):
                swapped = manage(server, "load", lora_name="swapped", lora_path=path, load_inplace=True)
                assert swapped.status_code == 200, swapped.text
            stop.set()
            assert all(done.result() > 3 for done in clients)
        assert base_logprobs() == before
        assert server.metric("slipway_kv_blocks_used") == 0
