"""The Triton kernels, run by Triton's interpreter (on a GPU: by the GPU), against the same formulas in float64."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import rms_norm, silu

pytest.importorskip("triton")

from inference.engine.compute.decoder import norm
from inference.engine.compute.gpu.kernels import attention, fused, gemv, lora
from inference.engine.compute.gpu.rows import DecodeRows, page_rows
from inference.engine.weights.ranks import MAX_RANK
from tests.gpu.where import KERNELS

DEVICE = KERNELS.type
BLOCKS = 40
# Of one number near 1: float32 sums in another order, halves round their results.
CLOSE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
DTYPES = [torch.float32, torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.long)]
"""The third rounds as the second does, only finer."""
# The interpreter multiplies matrices with numpy, which has no bfloat16.
DOTS = [torch.float32, torch.float16] + ([torch.bfloat16] if DEVICE == "cuda" else [])


def random(*shape: Any, dtype: torch.dtype = torch.float32, seed: int = 1):
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=chance).to(dtype).to(DEVICE)


def whole(values: list[int]):
    return torch.tensor(values, dtype=torch.int32, device=DEVICE)


def rows_for(lengths: list[int], block_size: int, seed: int = 1):
    """Rows whose blocks stand anywhere; behind a row's last block its table names blocks of others."""
    chance = torch.Generator().manual_seed(seed)
    width = -(-max(lengths) // block_size) + 1
    tables = torch.stack([torch.randperm(BLOCKS, generator=chance)[:width] for _ in lengths]).int().to(DEVICE)
    zeros = whole([0] * len(lengths))
    return DecodeRows(zeros, whole(lengths), zeros, zeros, tables, block_size, max(lengths))


def exact_attention(
    query: torch.Tensor,
    pages: torch.Tensor,
    rows: DecodeRows,
    *,
    window: int,
    heads: int,
    key_heads: int,
    head_dim: int,
):
    out = []
    for index, length in enumerate(rows.lengths.tolist()):
        first = max(length - window, 0) if window else 0
        places = [
            int(rows.tables[index, t // rows.block_size]) * rows.block_size + t % rows.block_size
            for t in range(first, length)
        ]
        both = pages[places].double().view(-1, 2, key_heads, head_dim)
        keys, values = (both[:, which].repeat_interleave(heads // key_heads, 1) for which in (0, 1))
        scores = torch.einsum("hd,thd->ht", query[index].double().view(heads, head_dim), keys) * head_dim**-0.5
        out.append(torch.einsum("ht,thd->hd", scores.softmax(1), values).flatten())
    return torch.stack(out)


def close(found: Any, exact: Any, dtype: torch.dtype):
    return torch.allclose(found.double(), exact, rtol=CLOSE[dtype], atol=CLOSE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parts", [1, 3, 16])
@pytest.mark.parametrize(("heads", "head_dim"), [(2, 96), (3, 64), (1, 80), (2, 128), (1, 256), (2, 8)])
def test_attention_with_a_key_head_for_each_head(dtype: torch.dtype, parts: int, heads: int, head_dim: int):
    rows = rows_for([1, 5, 37, 64], 4)
    pages = random(BLOCKS * 4, 2 * heads * head_dim, dtype=dtype)
    query = random(4, heads * head_dim + 16, dtype=dtype, seed=2)[:, : heads * head_dim]  # part of a wider matrix
    found = attention.attend(query, pages, rows, 0, heads, heads, head_dim, parts)
    assert close(
        found, exact_attention(query, pages, rows, window=0, heads=heads, key_heads=heads, head_dim=head_dim), dtype
    )


@pytest.mark.parametrize("dtype", DOTS)
@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize(
    ("heads", "key_heads", "head_dim"), [(4, 2, 64), (7, 1, 80), (6, 2, 96), (8, 1, 128), (4, 1, 256), (32, 1, 64)]
)
def test_attention_with_shared_key_heads(dtype: torch.dtype, parts: int, heads: int, key_heads: int, head_dim: int):
    rows = rows_for([70, 1, 33], 4)
    pages = random(BLOCKS * 4, 2 * key_heads * head_dim, dtype=dtype)
    query = random(3, heads * head_dim, dtype=dtype, seed=2)
    found = attention.attend(query, pages, rows, 0, heads, key_heads, head_dim, parts)
    assert close(
        found, exact_attention(query, pages, rows, window=0, heads=heads, key_heads=key_heads, head_dim=head_dim), dtype
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=4),
    st.sampled_from([1, 3, 16]),
    st.sampled_from([0, 1, 7, 50]),
    st.sampled_from([1, 2, 5, 32]),
    st.sampled_from([(1, 1), (2, 1)]),
)
def test_attention_over_any_lengths_blocks_windows_and_parts(
    lengths: list[int], block_size: int, window: int, parts: int, shape: tuple[int, int]
):
    heads, key_heads = shape
    rows = rows_for(lengths, block_size) if max(lengths) < (BLOCKS - 1) * block_size else rows_for([9], 1)
    pages = random(BLOCKS * block_size, 2 * key_heads * 16)
    query = random(rows.number, heads * 16, seed=2)
    found = attention.attend(query, pages, rows, window, heads, key_heads, 16, parts)
    assert close(
        found,
        exact_attention(query, pages, rows, window=window, heads=heads, key_heads=key_heads, head_dim=16),
        torch.float32,
    )


def test_attention_ignores_what_stands_behind_a_row():
    """Rows that no token was written to may hold anything, not-a-number included."""
    rows = rows_for([6], 4)
    pages = random(BLOCKS * 4, 2 * 16)
    pages[int(rows.tables[0, 1]) * 4 + 2 :][:2] = float("nan")
    pages[int(rows.tables[0, 2]) * 4 :][:4] = float("nan")
    query = random(1, 16, seed=2)
    for parts in (1, 4):
        assert torch.isfinite(attention.attend(query, pages, rows, 0, 1, 1, 16, parts)).all()


@pytest.mark.parametrize("number", [1, 16, 64])
@pytest.mark.parametrize("key_heads", [1, 8, 32])
def test_parts_fill_the_gpu_and_no_more(number: int, key_heads: int):
    parts = attention.parts_for(number, key_heads, processors=132, context=4096)
    assert 1 <= parts <= attention.MOST_PARTS
    assert parts == 1 or number * key_heads * parts <= 132 * attention.PROGRAMS_PER_SM
    assert parts == attention.MOST_PARTS or number * key_heads * (parts + 1) > 132 * attention.PROGRAMS_PER_SM


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [48, 96, 3072])
def test_norm_rounds_as_the_decoder_does(dtype: torch.dtype, width: int):
    x, weight = random(3, width, dtype=dtype), random(width, dtype=dtype, seed=2)
    exact = rms_norm(x.double(), (width,), weight.double(), 1e-5)
    assert close(fused.norm(x, weight, 1e-5), exact, dtype)
    same = (fused.norm(x, weight, 1e-5) == norm(x, weight, 1e-5)).double().mean()
    if dtype == torch.float16 or (dtype == torch.bfloat16 and DEVICE == "cuda"):  # the interpreter cuts bfloat16 off
        assert same > 0.98  # a sum in another order may tip a rounding


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [5, 1024, 1500])
def test_gate(dtype: torch.dtype, width: int):
    both = random(2, 2 * width, dtype=dtype)
    exact = silu(both[:, :width].double()) * both[:, width:].double()
    assert close(fused.gate(both), exact, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("head_dim", "pairs"), [(16, 8), (96, 48), (80, 20), (12, 6)])
@pytest.mark.parametrize("normed", [False, True])
def test_rotation_and_the_write_to_the_pages(dtype: torch.dtype, head_dim: int, pairs: int, normed: bool):
    heads, key_heads, eps = 3, 2, 1e-6
    rows = rows_for([1, 9, 30], 4)
    rows = DecodeRows(rows.tokens, rows.lengths, whole([0, 1, 0]), rows.slots, rows.tables, 4, 30)
    angles = torch.randn(2, 40, pairs)
    rotations = torch.polar(torch.ones_like(angles), angles).to(DEVICE)
    width = (heads + 2 * key_heads) * head_dim
    qkv = random(3, width, dtype=dtype)
    norms = (random(head_dim, dtype=dtype, seed=3), random(head_dim, dtype=dtype, seed=4)) if normed else None
    pages = torch.zeros(BLOCKS * 4, 2 * key_heads * head_dim, dtype=dtype, device=DEVICE)

    turned = qkv.double().view(3, -1, head_dim).clone()
    if norms is not None:
        turned[:, :heads] = rms_norm(turned[:, :heads], (head_dim,), norms[0].double(), eps)
        turned[:, heads : heads + key_heads] = rms_norm(
            turned[:, heads : heads + key_heads], (head_dim,), norms[1].double(), eps
        )
    by = rotations[rows.ropes.long(), rows.lengths.long() - 1].to(torch.complex128).unsqueeze(1)
    some = turned[:, : heads + key_heads, : 2 * pairs]
    some.copy_(torch.view_as_real(torch.view_as_complex(some.unflatten(-1, (pairs, 2)).contiguous()) * by).flatten(-2))

    fused.rotate(qkv, pages, rows, torch.view_as_real(rotations), norms, eps, heads, key_heads, head_dim)
    exact = turned.flatten(1)
    assert close(qkv[:, : heads * head_dim], exact[:, : heads * head_dim], dtype)
    where = page_rows(rows)
    assert close(pages[where], exact[:, heads * head_dim :], dtype)
    others = torch.ones(BLOCKS * 4, dtype=torch.bool)
    others[where.cpu()] = False
    assert not pages[others.to(DEVICE)].any()  # nobody else's row is touched


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize(("inputs", "outputs"), [(48, 10), (1024, 8), (1100, 18)])
def test_products_of_few_rows(dtype: torch.dtype, number: int, inputs: int, outputs: int):
    x, weight = random(number, inputs, dtype=dtype), random(outputs, inputs, dtype=dtype, seed=2) / inputs**0.5
    bias, scale = random(outputs, dtype=dtype, seed=3), random(inputs, dtype=dtype, seed=4)
    plain = x.double() @ weight.double().t()
    assert close(gemv.gemv(x, weight, None), plain, dtype)
    assert close(gemv.gemv(x, weight, bias), plain + bias.double(), dtype)
    to = random(number, outputs, dtype=dtype, seed=5)
    assert close(gemv.gemv(x, weight, bias, to=to.clone()), to.double() + plain + bias.double(), dtype)
    normal = rms_norm(x.double(), (inputs,), scale.double(), 1e-5) @ weight.double().t()
    assert close(gemv.gemv(x, weight, None, norm=scale, eps=1e-5), normal, dtype)
    both = normal + bias.double()
    gated = silu(both[:, : outputs // 2]) * both[:, outputs // 2 :]
    assert close(gemv.gemv(x, weight, bias, norm=scale, eps=1e-5, gated=True), gated, dtype)


@pytest.mark.parametrize("dtype", DOTS)
@pytest.mark.parametrize("slots", [[1], [0], [0, 0, 3], [1, 1, 2, 0, 3, 3, 1], [2] * 20, [0] * 16 + [1]])
@pytest.mark.parametrize(("inputs", "outputs"), [(100, 150), (48, 30)])
def test_adapters_row_by_row(dtype: torch.dtype, slots: list[int], inputs: int, outputs: int):
    ranks = [0, 5, 40, 16]
    down, up = random(4, inputs, 48, dtype=dtype), random(4, 48, outputs, dtype=dtype, seed=2)
    for slot, rank in enumerate(ranks):
        down[slot, :, rank:] = 0
        up[slot, rank:] = 0
    x, out = random(len(slots), inputs, dtype=dtype, seed=3) / 50, random(len(slots), outputs, dtype=dtype, seed=4)
    before = out.clone()
    lora.add_lora(out, x, down, up, whole(ranks), whole(slots))
    for row, slot in enumerate(slots):
        if slot:
            exact = before[row].double() + x[row].double() @ down[slot].double() @ up[slot].double()
            assert close(out[row], exact, dtype)
        else:
            assert torch.equal(out[row], before[row])


def test_an_adapter_of_the_largest_rank_beside_a_small_one():
    ranks, slots = [0, MAX_RANK, 5], [1, 2]
    down, up = random(3, 48, MAX_RANK) / 100, random(3, MAX_RANK, 30, seed=2)
    for slot, rank in enumerate(ranks):
        down[slot, :, rank:] = 0
        up[slot, rank:] = 0
    x, out = random(2, 48, seed=3), random(2, 30, seed=4)
    exact = out.double() + torch.stack(
        [x[row].double() @ down[s].double() @ up[s].double() for row, s in enumerate(slots)]
    )
    lora.add_lora(out, x, down, up, whole(ranks), whole(slots))
    assert close(out, exact, torch.float32)


def test_a_removed_adapters_numbers_are_not_added():
    """A rank of 0 switches a slot off, whatever its matrices still hold."""
    out = random(2, 30)
    before = out.clone()
    matrices = random(2, 48, 16), random(2, 16, 30)
    lora.add_lora(out, random(2, 48), *matrices, whole([0, 0]), whole([1, 1]))
    assert torch.equal(out, before)
