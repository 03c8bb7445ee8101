"""Packed products: the numbers of the plain ones for any rows, and code for few numbers of rows only."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import linear
from transformers.pytorch_utils import Conv1D

from inference.engine.compute.fallback import FewRows
from inference.engine.weights.matrix import Matrix, packable, packed, padding

ROOT = Path(__file__).resolve().parents[3]
DTYPES = [dtype for dtype in (torch.float32, torch.bfloat16) if packable(dtype)]
pytestmark = pytest.mark.skipif(not DTYPES, reason="oneDNN packs nothing on this machine")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])
def test_any_number_of_rows_is_multiplied_as_it_is(dtype: torch.dtype, biased: bool):
    chance = torch.Generator().manual_seed(1)

    def random(*shape: Any):
        return torch.randn(*shape, generator=chance).to(dtype)

    plain = Matrix(random(48, 64), random(48) if biased else None)
    matrix = packed(plain)
    assert matrix.packed is not None
    off, apart = (2e-2, 2e-1) if dtype == torch.bfloat16 else (1e-5, 1e-4)
    for rows in (*range(1, 40), 63, 64, 65, 127, 129, 200, 257, 300, 511, 513, 600):
        x, to = random(rows, 64), random(rows, 48)
        expected = linear(x, plain.weight, plain.bias)
        torch.testing.assert_close(matrix.of(x), expected, rtol=off, atol=apart)
        torch.testing.assert_close(matrix.added(x, to.clone()), to + expected, rtol=off, atol=apart)


def test_few_rows_get_none_in_addition_and_many_few():
    assert [padding(rows) for rows in range(1, 17)] == [0] * 16
    assert all(padding(rows) <= rows / 4 for rows in range(1, 5000))
    assert len({rows + padding(rows) for rows in range(1, 513)}) <= 48


WAYS = {
    "packed": "packed(Matrix(torch.randn(48, 64))).of(torch.randn(rows, 64))",
    "unpacked": "Matrix(torch.randn(48, 64).bfloat16()).of(torch.randn(rows, 64).bfloat16())",
    "low rank": "add_product(low, torch.randn(rows, 48).bfloat16(), torch.randn(rows, 64).bfloat16())",
    "layer of transformers": "padded(layer, torch.randn(1, rows, 64).bfloat16())",
    "layer of GPT-2": "padded(convolution, torch.randn(1, rows, 64).bfloat16())",
}
COUNT = """
import torch
from transformers.pytorch_utils import Conv1D
from inference.engine.compute.fallback import FewRows
from inference.engine.compute.lora_rows import Product, Up, add_product
from inference.engine.weights.matrix import Matrix, packed
torch.manual_seed(1)
layer = torch.nn.Linear(64, 48).bfloat16()
convolution = Conv1D(48, 64).bfloat16()
up = Up(slice(0, 8), slice(0, 48), torch.randn(8, 48).bfloat16())
low = Product(torch.randn(64, 8).bfloat16(), (up,))
def padded(layer, x):
    with FewRows():
        return layer(x)
with torch.inference_mode():
    for rows in range(1, 513):
        {}
"""


@pytest.mark.parametrize("way", WAYS)
def test_onednn_makes_code_for_few_numbers_of_rows(way: str):
    if way != "packed" and torch.bfloat16 not in DTYPES:
        pytest.skip("this CPU multiplies no bfloat16")
    environment = {**os.environ, "ONEDNN_VERBOSE": "profile_create", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", COUNT.format(WAYS[way])],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stdout.splitlines() if "inner_product" in line or "matmul" in line]
    made = [line for line in lines if "create:cache_miss" in line]
    assert 4 <= len(made) <= 60, done.stdout[-2000:]


@pytest.mark.parametrize("layer", [torch.nn.Linear(64, 48), Conv1D(48, 64)], ids=["linear", "of GPT-2"])
def test_a_layer_gives_what_it_gives_without_padding(layer: Any):
    layer = layer.bfloat16()
    with torch.inference_mode():
        for shape in ((1, 5, 64), (2, 33, 64), (70, 64), (0, 64)):
            x = torch.randn(*shape).bfloat16()
            expected = layer(x)
            with FewRows():
                found = layer(x)
            assert found.shape == expected.shape
            torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


def test_a_product_with_options_keeps_them():
    """As nobody calls it today."""
    bias, x, weight = (torch.ones(*shape).bfloat16() for shape in ((2,), (21, 3), (3, 2)))
    with FewRows():
        assert torch.equal(torch.addmm(bias, x, weight, beta=0), torch.full((21, 2), 3).bfloat16())
