"""Settings on a real server: 4-bit weights, a context beyond the model's; what they cannot do is said by name."""

import json
import shutil
from pathlib import Path

import pytest

from tests.contract.inference.conftest import Sample, Start


@pytest.fixture(scope="module")
def greedy(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mount whose model's authors mean it so."""
    mount = tmp_path_factory.mktemp("authors") / "mount"
    shutil.copytree(sample.mount, mount)
    file = mount / "model-cache" / sample.base / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "temperature": 0}))
    return mount


def test_the_sample_answers_from_four_bits(sample: Sample, start: Start):
    with start(sample.mount, SLIPWAY_WEIGHTS="nf4") as server:
        assert "weights in nf4" in server.log.read_text()
        asked = sample.questions[1]
        for model, key in ((sample.base, "base"), (sample.adapter, "adapter")):
            body = {"model": model, "messages": [{"role": "user", "content": asked["question"]}], "temperature": 0}
            answer = server.http().post("/v1/chat/completions", json=body).json()
            assert answer["choices"][0]["message"]["content"] == asked[key]


def test_the_context_never_exceeds_the_models_positions_and_the_authors_may_be_unheard(greedy: Path, start: Start):
    with start(greedy, SLIPWAY_MAX_CONTEXT="100000", SLIPWAY_GENERATION_CONFIG="none") as server:
        (model, *_) = server.http().get("/v1/models").json()["data"]
        assert model["max_model_len"] == 2048
        assert model["sampling_defaults"]["temperature"] == 1
        assert "SLIPWAY_MAX_CONTEXT is 100000, but the model has positions for 2048 only" in server.log.read_text()
        assert "slipway_gpu" not in server.http().get("/metrics").text  # it runs on the CPU


def test_the_fallback_refuses_it(sample: Sample, start: Start):
    with start(sample.mount, "failed", SLIPWAY_WEIGHTS="nf4", SLIPWAY_ENGINE="transformers") as server:
        detail = server.http().get("/health/ready").json()["detail"]
        assert "SLIPWAY_WEIGHTS=nf4 needs our own engine" in detail


def test_what_is_left_open_what_does_not_fit_and_who_may_call_follow_the_settings(
    sample: Sample, greedy: Path, start: Start
):
    """A request that says nothing gets the one answer."""
    origin = "https://app.example"
    with start(greedy, SLIPWAY_TOO_MANY_TOKENS="clamp", SLIPWAY_CORS_ORIGINS=origin) as server, server.http() as http:
        asked = sample.questions[0]
        body = {"messages": [{"role": "user", "content": asked["question"]}], "max_tokens": 100_000}
        answers = [http.post("/v1/chat/completions", json=body, headers={"origin": origin}) for _ in range(3)]
        assert {each.json()["choices"][0]["message"]["content"] for each in answers} == {asked["base"]}
        assert {each.headers["access-control-allow-origin"] for each in answers} == {origin}
        assert http.get("/v1/models").json()["data"][0]["sampling_defaults"]["temperature"] == 0
        assert "as generation_config.json has it: {'temperature': 0}" in server.log.read_text()
