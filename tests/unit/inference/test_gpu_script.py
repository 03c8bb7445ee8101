"""The tests for a GPU, on a machine that has none, and of Python's packages only PyTorch, Triton and pytest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]
OTHERS = [
    *("transformers", "tokenizers", "safetensors", "starlette", "uvicorn", "psutil", "peft", "orjson", "llguidance"),
    *("pydantic", "gradio", "fastapi", "httpx", "hypothesis", "pytest_timeout", "pytest_asyncio", "anyio", "openai"),
    *("numpy", "jinja2", "huggingface_hub", "bitsandbytes"),
]
ALONE = (
    f"import runpy, sys; sys.modules.update(dict.fromkeys({OTHERS!r}));"
    "sys.argv = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-c", ALONE, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=800, check=False)


def test_the_folder_is_collected_with_torch_and_pytest_alone() -> None:
    done = alone("pytest", "-q", "--collect-only", "-m", "gpu", "-p", "no:cacheprovider", "tests/gpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "test_cuda.py::test_a_replay_computes_what_is_computed_without_a_graph[one key head a head-64]" in done.stdout
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_the_script_says_so_and_fails() -> None:
    done = alone("tests.gpu")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == "no GPU: PyTorch sees none here, so nothing was tested"
    assert f"PyTorch {torch.__version__}" in done.stdout
    assert "Triton " in done.stdout
