"""What goes wrong only with some names, paths, parameters and bodies: an error to whoever asked, nothing to the others."""

import shutil
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.inference.conftest import Endpoint, Sample, Start, Started, started

FOREIGN = "моя_модель"
LIMIT = 200_000


@pytest.fixture(scope="module")
def server(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Started, Path]]:
    """On a mount that is a link, with an adapter whose name is not Latin."""
    folder = tmp_path_factory.mktemp("robust")
    shutil.copytree(sample.mount, folder / "real", ignore=shutil.ignore_patterns(".*"))
    shutil.copytree(folder / "real/models/qlora/qlora/gpu_model/adapter", folder / f"real/models/{FOREIGN}/adapter")
    (folder / "mount").symlink_to(folder / "real")
    more = {"SLIPWAY_WATCH_SECONDS": "0.2", "SLIPWAY_MAX_BODY": str(LIMIT), "SLIPWAY_KEEP_ALIVE": "1"}
    with started(folder / "mount", folder, more) as running:
        yield running, folder / "real"


def ask(endpoint: Endpoint, model: str, question: str = "hello", **options: Any):
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, **options}
    return endpoint.http().post("/v1/chat/completions", json=body)


@pytest.mark.parametrize("stream", [False, True])
def test_an_adapter_may_have_any_name(server: tuple[Started, Path], sample: Sample, stream: bool):
    endpoint, _ = server
    asked = sample.questions[0]
    answer = ask(endpoint, FOREIGN, asked["question"], stream=stream, max_tokens=40)
    assert answer.status_code == 200
    assert answer.headers["x-slipway-model"] == "%D0%BC%D0%BE%D1%8F_%D0%BC%D0%BE%D0%B4%D0%B5%D0%BB%D1%8C"
    endpoint.eventually(lambda: endpoint.metric("slipway_in_flight") == 0)


@pytest.mark.parametrize("name", ["", "a\r\nx: y", "\x7f", "n" * 257])
def test_a_name_that_no_header_can_hold_is_refused(server: tuple[Started, Path], name: str):
    endpoint, _ = server
    body = {"lora_name": name, "lora_path": f"models/{FOREIGN}/adapter"}
    refused = endpoint.http().post("/v1/load_lora_adapter", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "lora_name"


def test_a_path_that_no_system_knows_is_refused(server: tuple[Started, Path]):
    endpoint, _ = server
    refused = endpoint.http().post("/v1/load_lora_adapter", json={"lora_name": "x", "lora_path": "a\0b"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "lora_path"


def test_an_unknown_adapter_is_answered_with_the_list(server: tuple[Started, Path], sample: Sample):
    endpoint, _ = server
    for path, body, param in (
        ("load", {"lora_name": "x", "alias_of": "nobody"}, "alias_of"),
        ("unload", {"lora_name": "nobody"}, "lora_name"),
    ):
        refused = endpoint.http().post(f"/v1/{path}_lora_adapter", json=body)
        assert refused.status_code == 404
        assert refused.json()["error"]["param"] == param
        assert sample.adapter in refused.json()["error"]["message"]


def test_adapters_are_found_behind_a_link_after_one_was_loaded_by_hand(server: tuple[Started, Path]):
    endpoint, mount = server
    body = {"lora_name": "by-hand", "lora_path": f"models/{FOREIGN}/adapter"}
    assert endpoint.http().post("/v1/load_lora_adapter", json=body).status_code == 200
    shutil.copytree(mount / f"models/{FOREIGN}/adapter", mount / "models/later/adapter")
    endpoint.eventually(lambda: "later" in names(endpoint))


def names(endpoint: Endpoint):
    return [model["id"] for model in endpoint.http().get("/v1/models").json()["data"]]


def test_the_likeliest_token_is_drawn_where_nothing_else_is_left(server: tuple[Started, Path], sample: Sample):
    endpoint, _ = server
    asked = sample.questions[0]
    for sampling in ({"top_p": 0}, {"top_p": 0, "top_k": 5}, {"temperature": 1e-300}, {"top_k": 1}, {"min_p": 1}):
        answer = ask(endpoint, sample.base, asked["question"], **{"temperature": 1.5, "seed": 3, **sampling})
        assert answer.json()["choices"][0]["message"]["content"] == asked["base"], sampling


def test_whatever_is_asked_for_the_metrics_stay_few(server: tuple[Started, Path]):
    endpoint, _ = server
    with httpx.Client(base_url=endpoint.url, timeout=60) as nobody:
        for number in range(100):
            assert nobody.get(f"/v1/nothing{number}").status_code == 401
            assert nobody.get(f"/version{number}").status_code == 401
    text = endpoint.http().get("/metrics").text
    assert 'route="other"' in text
    assert "nothing7" not in text
    assert "version7" not in text


def test_the_pages_own_calls_are_bounded_too(server: tuple[Started, Path]):
    endpoint, _ = server
    endpoint.eventually(lambda: "gradio" in endpoint.http().get("/").text)
    large = b"x" * (LIMIT + 1)
    refused = endpoint.http().post("/gradio_api/queue/join", content=large)
    assert refused.status_code == 413
    in_pieces = endpoint.http().post("/gradio_api/queue/join", content=iter([large[: LIMIT // 2]] * 4))
    assert in_pieces.status_code >= 400
    assert ask(endpoint, names(endpoint)[0], max_tokens=1).status_code == 200


def test_every_error_has_the_apis_form(server: tuple[Started, Path]):
    endpoint, _ = server
    wrong_method = endpoint.http().get("/tokenize")
    assert wrong_method.status_code == 405
    assert wrong_method.headers["allow"] == "POST"
    assert "GET /tokenize" in wrong_method.json()["error"]["message"]


def test_more_answers_than_ever_fit_are_refused_for_good(server: tuple[Started, Path], sample: Sample):
    endpoint, _ = server
    body = {"model": sample.base, "prompt": ["a"] * 13, "n": 8, "max_tokens": 1}
    refused = endpoint.http().post("/v1/completions", json=body)
    assert refused.status_code == 400
    assert "104 answers" in refused.json()["error"]["message"]
    assert "retry-after" not in refused.headers


def test_a_client_that_leaves_in_mid_upload_is_no_defect(sample: Sample, start: Start):
    with start(sample.mount) as server:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\n"
        with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=30) as connection:
            connection.sendall(f"{head}content-length: 1000\r\n\r\n".encode() + b"{")
        told = 'slipway_requests_total{route="/v1/chat",status="499"} 1.0'
        server.eventually(lambda: told in server.http().get("/metrics").text)
        assert "Traceback" not in server.log.read_text()
