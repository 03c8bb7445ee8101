"""The GPU benchmark at a toy size: what it prints, what it needs, and that it says so where there is no GPU."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]
# Only PyTorch and Triton are there on the machines that it is for.
ALONE = (
    "import runpy, sys; sys.modules.update(dict.fromkeys("
    "['transformers', 'tokenizers', 'safetensors', 'starlette', 'psutil', 'peft', 'orjson', 'llguidance', 'pydantic']));"
    "sys.argv = ['gpu', *sys.argv[1:]]; runpy.run_module('tests.bench.gpu', run_name='__main__')"
)


def bench(*arguments: Any):
    return subprocess.run(
        [sys.executable, "-c", ALONE, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=800
    )


@pytest.mark.timeout(900)  # under a minute on two idle cores
def test_a_toy_run_prints_every_figure_and_judges_every_goal():
    pytest.importorskip("triton")
    done = bench("--device", "cpu", "--tiny")
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.strip().splitlines()
    figures = {line["figure"]: line["value"] for line in map(json.loads, lines) if "figure" in line}
    assert {
        "read bandwidth, GB/s",
        "share of roofline, batch 1",
        "error of logprobs, ours / torch's operations",
    } <= set(figures)
    assert figures["replayed against computed: largest difference of logits"] == 0
    assert figures["error of logprobs, ours / torch's operations"] <= 1.2
    assert figures["graphs captured"] == 0
    judged = [line for line in map(json.loads, lines) if "goal" in line and "met" in line]
    assert [line["met"] for line in judged] == ["not measured"]
    assert re.fullmatch(r"goals met: \d of 9; missing: .+ \(not measured: compared on a GPU only\).*", last)
    assert {f"share of roofline, batch {number}" for number in (1, 2, 3, 4, 5)} <= set(figures)


def test_it_ends_in_the_time_that_it_has():
    """With what it has found by then; what is missing is told."""
    pytest.importorskip("triton")
    done = bench("--device", "cpu", "--tiny", "--seconds", "2")
    assert done.returncode != 0
    assert "out of time after 2 s" in done.stderr
    assert re.fullmatch(r"goals met: \d of \d; missing: .*not attempted.*", done.stdout.strip().splitlines()[-1])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_and_fails():
    done = bench()
    assert done.returncode != 0
    assert "no CUDA device" in done.stderr
    assert not done.stdout
