"""Settings on a real server: 4-bit weights, a context beyond the model's; what they cannot do is said by name."""

from tests.contract.inference.conftest import Sample, Start


def test_the_sample_answers_from_four_bits(sample: Sample, start: Start):
    with start(sample.mount, SLIPWAY_WEIGHTS="nf4") as server:
        assert "weights in nf4" in server.log.read_text()
        asked = sample.questions[1]
        for model, key in ((sample.base, "base"), (sample.adapter, "adapter")):
            body = {"model": model, "messages": [{"role": "user", "content": asked["question"]}], "temperature": 0}
            answer = server.http().post("/v1/chat/completions", json=body).json()
            assert answer["choices"][0]["message"]["content"] == asked[key]


def test_the_context_never_exceeds_the_models_positions(sample: Sample, start: Start):
    with start(sample.mount, SLIPWAY_MAX_CONTEXT="100000") as server:
        assert server.http().get("/v1/models").json()["data"][0]["max_model_len"] == 2048
        assert "SLIPWAY_MAX_CONTEXT is 100000, but the model has positions for 2048 only" in server.log.read_text()
        assert "slipway_gpu" not in server.http().get("/metrics").text  # it runs on the CPU


def test_the_fallback_refuses_it(sample: Sample, start: Start):
    with start(sample.mount, "failed", SLIPWAY_WEIGHTS="nf4", SLIPWAY_ENGINE="transformers") as server:
        detail = server.http().get("/health/ready").json()["detail"]
        assert "SLIPWAY_WEIGHTS=nf4 needs our own engine" in detail
