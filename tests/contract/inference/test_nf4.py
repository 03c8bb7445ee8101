"""SLIPWAY_WEIGHTS=nf4 on a real server: it answers as before, says so, and refuses by name where it cannot be."""


def test_the_sample_answers_from_four_bits(sample, start):
    with start(sample.mount, SLIPWAY_WEIGHTS="nf4") as server:
        assert "weights in nf4" in server.log.read_text()
        asked = sample.questions[1]
        for model, key in ((sample.base, "base"), (sample.adapter, "adapter")):
            body = {"model": model, "messages": [{"role": "user", "content": asked["question"]}], "temperature": 0}
            answer = server.http().post("/v1/chat/completions", json=body).json()
            assert answer["choices"][0]["message"]["content"] == asked[key]


def test_the_fallback_refuses_it(sample, start):
    with start(sample.mount, "failed", SLIPWAY_WEIGHTS="nf4", SLIPWAY_ENGINE="transformers") as server:
        detail = server.http().get("/health/ready").json()["detail"]
        assert "SLIPWAY_WEIGHTS=nf4 needs our own engine" in detail
