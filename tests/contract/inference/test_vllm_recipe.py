"""vLLM by the commands of inference/VLLM.md: what Deploy, the probes and the official client ask of it."""

import importlib.util
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.contract.inference.conftest import Sample

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(scope="module")
def bench() -> Any:
    sys.path.insert(0, str(BENCH))
    spec = importlib.util.spec_from_file_location("conformance_bench", BENCH / "conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def vllm(bench: Any, sample: Sample) -> Generator[tuple[str, str]]:
    python = bench.vllm_python()
    if python is None:
        pytest.skip("vLLM is not installed here: `npm run bench -- peers`, or SLIPWAY_VLLM names its Python")
    with bench.vllm_by_recipe(python, sample.mount, sample.base) as port:
        yield f"http://127.0.0.1:{port}", bench.KEY


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_recipe_serves_base_and_adapter(vllm: tuple[str, str], sample: Sample):
    url, key = vllm
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    assert {model.id for model in client.models.list()} == {sample.base, "adapter"}
    for asked in sample.questions[:3]:
        for model, name in ((sample.base, "base"), ("adapter", "adapter")):
            message: Any = [{"role": "user", "content": asked["question"]}]
            answer = client.chat.completions.create(model=model, messages=message, temperature=0)
            assert answer.choices[0].message.content == asked[name]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_probes_need_no_key_and_everything_else_does(vllm: tuple[str, str], sample: Sample):
    url, key = vllm
    known = {"authorization": f"Bearer {key}"}
    assert httpx.get(f"{url}/health/live", timeout=60).status_code == 200
    bare = httpx.get(f"{url}/health/ready", timeout=60)
    assert (bare.status_code, bare.content) == (200, b"")
    assert httpx.get(f"{url}/health/ready", headers=known, timeout=60).json()["phase"] == "ready"
    for path in ("/", "/version", "/metrics", "/v1/models", "/tokenize", "/docs", "/openapi.json", "/health"):
        refused = httpx.get(url + path, timeout=60)
        assert (path, refused.status_code) == (path, 401)
        assert refused.json()["error"]["code"] == "invalid_api_key"
    said = httpx.get(f"{url}/version", headers=known, timeout=60).json()
    assert (said["release"], said["replica"]) == ("release-of-this-run", "replica-of-this-run")
    assert said["base"] == sample.base
