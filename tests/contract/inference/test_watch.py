"""Adapters that change on the mount of a running server are taken over, without a request about them."""

import concurrent.futures
import json
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.contract.inference.conftest import Endpoint, Sample, Start

ADAPTER = "models/qlora/qlora/gpu_model/adapter"
OFTEN = {"SLIPWAY_WATCH_SECONDS": "0.1"}


@pytest.fixture
def mount(sample: Sample, tmp_path: Path) -> Path:
    target = tmp_path / "mount"
    shutil.copytree(sample.mount, target, ignore=shutil.ignore_patterns(".*"))
    return target


def names(server: Endpoint):
    return [model["id"] for model in server.http().get("/v1/models").json()["data"]]


def text(server: Endpoint, model: str, question: str):
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0}
    answer = server.http().post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def hash_of(server: Endpoint, name: str):
    return server.http().get(f"/v1/models/{name}").json()["hash"]


def test_adapters_come_change_and_go_with_their_files(sample: Sample, mount: Path, start: Start):
    asked = sample.questions[0]
    good = mount / ADAPTER
    with start(mount, **OFTEN) as server:
        shutil.copytree(good, mount / "models/late/adapter")
        server.eventually(lambda: "late" in names(server))
        assert text(server, "late", asked["question"]) == asked["adapter"]

        first = hash_of(server, "late")
        config = mount / "models/late/adapter/adapter_config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "lora_alpha": 0.001}))
        server.eventually(lambda: hash_of(server, "late") != first)
        assert text(server, "late", asked["question"]) == asked["base"]

        weights = mount / "models/late/adapter/adapter_model.safetensors"
        os.truncate(weights, weights.stat().st_size - 100)
        server.eventually(lambda: server.http().get("/version").json()["refused"])
        refused = server.http().get("/version").json()["refused"]
        assert [one["name"] for one in refused] == ["late"]
        assert "is truncated" in refused[0]["reason"]
        assert text(server, "late", asked["question"]) == asked["base"]  # as it was before

        shutil.rmtree(mount / "models/late")
        server.eventually(lambda: "late" not in names(server))
        assert names(server) == [sample.base, sample.adapter]
        assert text(server, sample.adapter, asked["question"]) == asked["adapter"]
        assert server.log.read_text().count("adapter late is refused") == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0


def test_no_request_fails_while_files_are_exchanged(sample: Sample, mount: Path, start: Start):
    config = mount / ADAPTER / "adapter_config.json"
    asked = sample.questions[1]
    with start(mount, **OFTEN) as server:
        stop = threading.Event()

        def client(model: str, expected: Any):
            while not stop.is_set():
                assert text(server, model, asked["question"]) == expected
            return True

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            clients = [
                pool.submit(client, model, asked[key])
                for model, key in ((sample.base, "base"), (sample.adapter, "adapter"))
                for _ in range(2)
            ]
            for number in range(5):
                before = hash_of(server, sample.adapter)
                config.write_text(json.dumps({**json.loads(config.read_text()), "revision": f"v{number}"}))
                server.eventually(lambda before=before: hash_of(server, sample.adapter) != before)
            stop.set()
            assert all(each.result() for each in clients)
