"""Where a request leaves sampling open, the model's authors are heard; what a request says goes before them."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.engine.files.generation_config import API_DEFAULTS, SamplingDefaults, defaults_in, read_defaults
from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import SamplingParams
from inference.web.chat_page import controls
from tests.unit.inference.conftest import Families, RigMaker, Serve

QWEN = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05}
AUTHORS = SamplingDefaults(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({}, API_DEFAULTS),
        ({**QWEN, "eos_token_id": [1, 2], "max_new_tokens": 2048}, AUTHORS),
        ({"temperature": 0.6, "top_p": 0.9}, SamplingDefaults(temperature=0.6, top_p=0.9)),
        ({"temperature": 1, "top_k": None}, API_DEFAULTS),
        ({"min_p": 0.1}, SamplingDefaults(min_p=0.1)),
        ({**QWEN, "do_sample": False}, SamplingDefaults(repetition_penalty=1.05)),
    ],
    ids=str,
)
def test_what_the_file_means(written: dict[str, Any], meant: SamplingDefaults):
    assert defaults_in(written) == (meant, [])


@pytest.mark.parametrize(
    "wrong", [{"temperature": "warm"}, {"top_p": 0}, {"top_k": 1.5}, {"temperature": 3}, {"top_k": True}], ids=str
)
def test_what_cannot_be_used_is_named_and_left(wrong: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "generation_config.json").write_text(json.dumps({"min_p": 0.1, **wrong}))
    with caplog.at_level(logging.WARNING):
        assert read_defaults(tmp_path) == SamplingDefaults(min_p=0.1)
    assert next(iter(wrong)) in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "no JSON"])
def test_a_file_that_says_nothing_leaves_the_apis_defaults(text: str, tmp_path: Path):
    assert read_defaults(tmp_path) == API_DEFAULTS
    (tmp_path / "generation_config.json").write_text(text)
    assert read_defaults(tmp_path) == API_DEFAULTS


def test_a_request_that_leaves_it_open_is_drawn_as_the_authors_mean_it(
    families: Families, make_rig: RigMaker, serve: Serve, tmp_path: Path
):
    rig = make_rig(families.make(tmp_path, "LlamaConfig", ["q_proj"]))
    drawn: list[SamplingParams] = []

    def noting(slices: list[Slice]):
        drawn.extend(each.sequence.params for each in slices)
        return rig.runner.run(slices)

    rig.steps.step = noting

    async def scenario():
        _, app = serve(rig, sampling=AUTHORS)
        transport = httpx.ASGITransport(app)
        headers = {"authorization": "Bearer key"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            body: dict[str, Any] = {"model": "base", "prompt": "w5 w6", "max_tokens": 1}
            for more in ({}, {"temperature": None}, {"temperature": 0, "top_p": 1, "top_k": -1}):
                assert (await client.post("/v1/completions", json={**body, **more})).status_code == 200
            told = (await client.get("/v1/models/base")).json()["sampling_defaults"]
        assert told == vars(AUTHORS)

    asyncio.run(scenario())
    said = [(each.temperature, each.top_p, each.top_k, each.repetition_penalty) for each in drawn]
    assert said == [(0.7, 0.8, 20, 1.05), (0.7, 0.8, 20, 1.05), (0.0, 1.0, 0, 1.05)]


def test_the_chat_page_begins_as_the_authors_mean_it(
    families: Families, make_rig: RigMaker, serve: Serve, tmp_path: Path
):
    rig = make_rig(families.make(tmp_path, "LlamaConfig", ["q_proj"]))

    async def scenario():
        for authors, begins in ((AUTHORS, [0.7, 0.8, 20]), (API_DEFAULTS, [0.7, 0.95, 50])):
            service, _ = serve(rig, sampling=authors)
            assert [each.value for each in controls(service)[-3:]] == begins

    asyncio.run(scenario())
