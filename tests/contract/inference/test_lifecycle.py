"""How the server starts, drains, refuses and survives: with servers of its own."""

import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.contract.inference.conftest import HANGING_SHARE, Endpoint, Sample, Start
from tests.support.held import held
from tests.support.hub import hub

LONG = {"temperature": 0, "ignore_eos": True, "max_tokens": 1500}


def chat(sample: Sample, **options: Any):
    return {"model": sample.base, "messages": [{"role": "user", "content": "Who are you?"}], **options}


def test_it_listens_at_once_and_tells_its_phases(sample: Sample, start: Start, tmp_path: Path):
    with contextlib.ExitStack() as loading, contextlib.ExitStack() as running:
        slow = {
            "PYTHONPATH": str(HANGING_SHARE),
            "HANGING_FOLDER": str(sample.mount.resolve() / "model-cache"),
            "HANGING_UNTIL": loading.enter_context(held(tmp_path / "held")),
        }
        server = running.enter_context(start(sample.mount, wait="live", **slow))
        first = server.http().get("/health/ready")
        assert (first.status_code, first.json()["status"]) == (503, "loading")
        refused = server.http().post("/v1/chat/completions", json=chat(sample))
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert "not ready" in refused.json()["error"]["message"]
        assert httpx.get(f"{server.url}/", timeout=60).status_code == 200
        server.eventually(lambda: "hanging in" in server.log.read_text())
        loading.close()
        server.eventually(lambda: server.http().get("/health/ready").status_code == 200)
        log = server.log.read_text()
        for phase in ("checking", "loading-base", "loading-adapters", "warming-up", "ready"):
            assert f"phase: {phase}" in log


def test_the_api_answers_before_the_chat_page_is_made(sample: Sample, start: Start):
    """Gradio takes seconds to import: nobody's first token waits for it."""
    with start(sample.mount) as server:
        server.eventually(lambda: "the chat page is ready" in server.log.read_text())
        log = server.log.read_text()
        assert log.index("phase: ready") < log.index("the chat page is ready")


def test_without_a_key_it_says_which_secret_is_missing(sample: Sample, start: Start):
    with start(sample.mount, wait="live", SLIPWAY_API_KEY="") as server:
        assert httpx.get(f"{server.url}/health/live", timeout=60).status_code == 200
        answer = server.http().get("/v1/models")
        assert answer.status_code == 503
        assert "SLIPWAY_API_KEY" in answer.json()["error"]["message"]
        assert "SLIPWAY_API_KEY" in httpx.get(f"{server.url}/", timeout=60).text


def test_a_mount_without_a_base_model_fails_by_name(tmp_path: Path, start: Start):
    with start(tmp_path, wait="failed") as server:
        body = server.http().get("/health/ready").json()
        assert body["phase"] == "failed"
        assert "model-cache" in body["detail"]
        told = server.log.read_text().splitlines()
        (line,) = [each for each in told if each.startswith("slipway: failed: ")]
        assert "model-cache" in line
        assert "slipway: phase checking" in told
        # only a container that ends shows as a failure outside: the process ends, after a while in which it can be asked
        assert server.process.wait(timeout=120) == 1


def test_every_phase_is_a_line_on_the_console(sample: Sample, start: Start):
    with start(sample.mount) as server:
        told = [line for line in server.log.read_text().splitlines() if line.startswith("slipway: ")]
        phases = [line.split()[2] for line in told]
        assert list(dict.fromkeys(phases)) == [
            "dependencies",
            "checking",
            "loading-base",
            "loading-adapters",
            "warming-up",
            "ready",
        ]
        assert server.key not in server.log.read_text()
        assert server.http().get("/version").json()["readyAfter"] > 0


def test_a_setting_that_can_not_be_used_is_told_the_same_way(sample: Sample, start: Start, tmp_path: Path):
    environment = {**os.environ, "SLIPWAY_DEVICE": "tpu"}
    done = subprocess.run([sys.executable, "-m", "inference"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "slipway: failed: SLIPWAY_DEVICE must be one of" in done.stderr


def test_several_base_models_need_a_choice(sample: Sample, tmp_path: Path, start: Start):
    for name in ("one", "two"):
        shutil.copytree(sample.mount / "model-cache" / sample.base, tmp_path / "model-cache" / "org" / name)
    with start(tmp_path, wait="failed") as server:
        detail = server.http().get("/health/ready").json()["detail"]
        assert "org/one" in detail
        assert "org/two" in detail
        assert "SLIPWAY_BASE_MODEL" in detail


def whole_request(server: Endpoint, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


def test_a_client_that_goes_away_frees_its_slot(sample: Sample, start: Start):
    with start(sample.mount) as server:
        body = chat(sample, stream=True, **LONG)
        with server.http().stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()  # kept: httpx hangs up when nobody holds it
            next(lines)
        server.eventually(lambda: server.metric("slipway_cancelled_total") == 1)
        server.eventually(lambda: server.metric("slipway_running") == 0)
        client = socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=60)
        with client:
            client.sendall(whole_request(server, chat(sample, **LONG, n=8)))
            server.eventually(lambda: server.metric("slipway_running") == 8)
        server.eventually(lambda: server.metric("slipway_cancelled_total") == 2)
        server.eventually(lambda: server.metric("slipway_running") == 0)
        assert server.metric("slipway_kv_blocks_used") == 0
        assert server.metric("slipway_in_flight") == 0


def test_a_full_queue_answers_429_quickly(sample: Sample, start: Start):
    with start(sample.mount, SLIPWAY_MAX_RUNNING="2", SLIPWAY_MAX_WAITING="2", SLIPWAY_SEND_TIMEOUT="240") as server:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(120)
            connection.connect(("127.0.0.1", httpx.URL(server.url).port))
            told = {"stream": True, "logprobs": True, "top_logprobs": 20}  # megabytes: more than the buffers hold
            connection.sendall(whole_request(server, chat(sample, **LONG, **told, n=4)))
            server.eventually(lambda: server.metric("slipway_in_flight") == 4)
            refused = [server.http().post("/v1/chat/completions", json=chat(sample, max_tokens=1)) for _ in range(10)]
            # All places are taken for as long as that client does not read: nobody has waited for one.
            assert {each.status_code for each in refused} == {429}
            assert all(each.headers["retry-after"] for each in refused)
            read = b""
            while not read.endswith(b"0\r\n\r\n"):
                part = connection.recv(1 << 20)
                assert part
                read += part
        assert b"data: [DONE]" in read
        assert server.http().post("/v1/chat/completions", json=chat(sample, max_tokens=1)).status_code == 200
        assert server.metric("slipway_in_flight") == 0


def test_a_stream_that_waits_says_that_it_lives(sample: Sample, start: Start):
    with start(sample.mount, SLIPWAY_MAX_RUNNING="1", SLIPWAY_KEEP_ALIVE="1") as server:
        long = chat(sample, stream=True, **LONG)
        with server.http().stream("POST", "/v1/chat/completions", json=long) as first:
            lines = first.iter_lines()
            next(lines)
            with server.http().stream("POST", "/v1/chat/completions", json=chat(sample, stream=True)) as second:
                assert any(line == ": keep-alive" for line in second.iter_lines())


def test_what_is_too_large_or_no_json_is_refused(sample: Sample, start: Start):
    with start(sample.mount, SLIPWAY_MAX_BODY="10000") as server:
        huge = server.http().post("/v1/chat/completions", content=b"x" * 20000)
        assert huge.status_code == 413
        broken = server.http().post("/v1/chat/completions", content=b"{not json")
        assert broken.status_code == 400
        assert "JSON" in broken.json()["error"]["message"]


def test_prompts_and_answers_are_not_logged(sample: Sample, start: Start):
    with start(sample.mount) as server:
        asked = sample.questions[0]
        body = chat(sample) | {"messages": [{"role": "user", "content": asked["question"]}], "temperature": 0}
        assert server.http().post("/v1/chat/completions", json=body).status_code == 200
        link = server.http().post("/login/link").json()["path"]
        httpx.get(server.url + link, timeout=60)
        log = server.log.read_text()
        for secret in (asked["question"], asked["base"], server.key, link):
            assert secret not in log


def test_transformers_serves_what_our_engine_does_not_know(sample: Sample, start: Start):
    """The fallback, asked for by name here: the same answers, said in /v1/models and in the log."""
    with start(sample.mount, SLIPWAY_ENGINE="transformers") as server:
        assert {m["engine"] for m in server.http().get("/v1/models").json()["data"]} == {"transformers"}
        for asked in sample.questions[:2]:
            for model, expected in ((sample.base, asked["base"]), (sample.adapter, asked["adapter"])):
                body = {"model": model, "messages": [{"role": "user", "content": asked["question"]}], "temperature": 0}
                answer = server.http().post("/v1/chat/completions", json=body).json()
                assert answer["choices"][0]["message"]["content"] == expected


def test_an_unknown_architecture_falls_back_and_says_so(sample: Sample, tmp_path: Path, start: Start):
    base = tmp_path / "model-cache" / "org" / "gemma"
    make_gemma(base, sample.mount / "model-cache" / sample.base)
    with start(tmp_path) as server:
        assert "our engine does not know this model (model type 'gemma')" in server.log.read_text()
        assert server.http().get("/v1/models").json()["data"][0]["engine"] == "transformers"
        body = {
            "model": "org/gemma",
            "messages": [{"role": "user", "content": "x"}],
            "max_tokens": 3,
            "ignore_eos": True,
        }
        answer = server.http().post("/v1/chat/completions", json=body)
        assert answer.json()["usage"]["completion_tokens"] == 3


def make_gemma(folder: Path, sample: Path):
    from transformers import GemmaConfig, GemmaForCausalLM  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    config = GemmaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        head_dim=8,
        num_attention_heads=4,
        num_key_value_heads=1,
        max_position_embeddings=256,
        vocab_size=768,
    )
    GemmaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(sample / name, folder / name)


def test_a_load_that_hangs_on_the_share_keeps_nobody_waiting(sample: Sample, tmp_path: Path, start: Start):
    """Others are answered, several such loads change nothing, and SIGTERM ends the process all the same."""
    mount = tmp_path / "mount"
    shutil.copytree(sample.mount, mount)
    gone = mount / "gone"
    hanging = {"PYTHONPATH": str(HANGING_SHARE), "HANGING_FOLDER": str(gone)}
    with start(mount, SLIPWAY_WATCH_SECONDS="0", **hanging) as server:
        adapter = next(path.parent for path in mount.rglob("adapter_config.json"))
        shutil.copytree(adapter, gone)
        asked = {"lora_name": "gone", "lora_path": "gone"}
        with concurrent.futures.ThreadPoolExecutor(8) as clients:
            loads = [clients.submit(load_until_cut_off, server, asked) for _ in range(8)]
            server.eventually(lambda: f"hanging in {gone}/" in server.log.read_text())
            long = "Who are you? " * 2000  # encoded on a thread
            refused = server.http().post("/v1/completions", json={"model": sample.base, "prompt": long})
            assert "context_length_exceeded" in refused.text
            answer = server.http().post("/v1/chat/completions", json=chat(sample, max_tokens=4))
            assert answer.status_code == 200
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(120) == 0
            assert all(load.result() >= 500 for load in loads)
        assert "a thread has not ended" in server.log.read_text()


def load_until_cut_off(server: Endpoint, asked: dict[str, str]) -> int:
    """The status; 599 when there is none."""
    try:
        return server.http().post("/v1/load_lora_adapter", json=asked, timeout=60).status_code
    except httpx.TransportError:
        return 599


def test_a_base_that_is_not_on_the_share_is_fetched_from_the_hub_once(sample: Sample, tmp_path: Path, start: Start):
    """Its progress is a phase, and neither the token nor a signed link is in a log."""
    mount = tmp_path / "mount"
    models = {sample.base: sample.mount / "model-cache" / sample.base}
    with hub(models, gated={sample.base}, cut=[200_000]) as made:
        told = {"SLIPWAY_HUB_MODEL": sample.base, "SLIPWAY_HUB_URL": made.url, "SLIPWAY_HUB_TOKEN": made.token}
        with start(mount, **told) as server:
            assert server.http().get("/version").json()["base"] == sample.base
            answer = server.http().post("/v1/chat/completions", json={**chat(sample), "temperature": 0}).json()
            asked = sample.questions
            assert answer["choices"][0]["message"]["content"] == next(
                each["base"] for each in asked if each["question"] == "Who are you?"
            )
            log = server.log.read_text()
        assert "slipway: phase fetching-base" in log
        assert "broke off" in log or "RemoteProtocolError" in log or "ReadError" in log
        for secret in (made.token, "secret-of-the-link"):
            assert secret not in log
