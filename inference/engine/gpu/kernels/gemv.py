"""A matrix times one to four rows: bound by reading the matrix once, so nothing else may wait.

Single-stream decoding reads every weight once a token. cuBLAS's products leave bandwidth unused at so few rows, and each
small kernel between them costs a start and a drain of the memory pipeline (1–2 µs of the 10–25 µs that a matrix of
Phi-3-mini takes on an H200). So the norm before the matrix, and the residual sum or the gate behind it, are done in here.

A program owns N_STEP output rows and walks along them in steps of K_STEP: 8 KiB a step in bf16. The next step is loaded
before the last one is used, and the first one before the norm is computed. Compiled for sm90 it takes 77 to 128 registers a
thread and spills none, so four to six programs of four warps fit on an SM and 32 to 48 KiB are under way on each; 4.8 TB/s
at a latency of 0.7 µs need 25 KiB. The rows of x are read again by each program, from L1.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST_ROWS = 4
N_STEP = 8
K_STEP = 512


@triton.jit
def multiply(
    x,
    weight,
    bias,
    norm,
    out,
    outputs,
    eps,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    ROWS_ROOM: tl.constexpr,
    N_STEP: tl.constexpr,
    K_STEP: tl.constexpr,
    NORM: tl.constexpr,
    BIAS: tl.constexpr,
    ADD: tl.constexpr,
    GATED: tl.constexpr,
):
    """Program (N_STEP outputs): all rows. GATED: the matrix holds gate and up, `outputs` rows each."""
    n = (tl.program_id(0) * N_STEP + tl.arange(0, N_STEP)).to(tl.int64)
    k = tl.arange(0, K_STEP)
    r = tl.arange(0, ROWS_ROOM)
    there = (n < outputs)[:, None]
    place = weight + n[:, None] * INPUTS + k[None, :]
    ahead = tl.load(place, mask=there & (k < INPUTS)[None, :], other=0.0, eviction_policy="evict_first")
    if GATED:
        shift = outputs.to(tl.int64) * INPUTS
        ahead_up = tl.load(place + shift, mask=there & (k < INPUTS)[None, :], other=0.0, eviction_policy="evict_first")
        sums_up = tl.zeros((ROWS_ROOM, N_STEP, K_STEP), tl.float32)
    mine = (r < ROWS)[:, None]
    source = x + r[:, None] * INPUTS + k[None, :]
    if NORM:
        squares = tl.zeros((ROWS_ROOM,), tl.float32)
        for start in range(0, INPUTS, K_STEP):
            part = tl.load(source + start, mask=mine & (start + k < INPUTS)[None, :], other=0.0).to(tl.float32)
            squares += tl.sum(part * part, 1)
        scale = tl.rsqrt(squares / INPUTS + eps)
    sums = tl.zeros((ROWS_ROOM, N_STEP, K_STEP), tl.float32)
    for start in range(0, INPUTS, K_STEP):
        tile = ahead.to(tl.float32)
        behind = there & (start + K_STEP + k < INPUTS)[None, :]
        ahead = tl.load(place + start + K_STEP, mask=behind, other=0.0, eviction_policy="evict_first")
        inside = start + k < INPUTS
        rows = tl.load(source + start, mask=mine & inside[None, :], other=0.0)
        wide = rows.to(tl.float32)
        if NORM:
            by = tl.load(norm + start + k, mask=inside, other=0.0).to(tl.float32)
            wide = (wide * scale[:, None]).to(rows.dtype).to(tl.float32) * by[None, :]
            wide = wide.to(rows.dtype).to(tl.float32)
        sums += wide[:, None, :] * tile[None, :, :]
        if GATED:
            tile_up = ahead_up.to(tl.float32)
            ahead_up = tl.load(place + shift + start + K_STEP, mask=behind, other=0.0, eviction_policy="evict_first")
            sums_up += wide[:, None, :] * tile_up[None, :, :]
    done = tl.sum(sums, 2)
    kind = out.dtype.element_ty
    if BIAS:
        done += tl.load(bias + n, mask=n < outputs, other=0.0).to(tl.float32)[None, :]
    if GATED:
        up = tl.sum(sums_up, 2)
        if BIAS:
            up += tl.load(bias + outputs + n, mask=n < outputs, other=0.0).to(tl.float32)[None, :]
        gate = done.to(kind).to(tl.float32)
        opened = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
        done = opened * up.to(kind).to(tl.float32)
    target = out + r[:, None] * outputs + n[None, :]
    mask = mine & (n < outputs)[None, :]
    if ADD:
        done += tl.load(target, mask=mask, other=0.0).to(tl.float32)
    tl.store(target, done.to(kind), mask=mask)


def gemv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    norm: Tensor | None = None,
    eps: float = 0.0,
    to: Tensor | None = None,
    gated: bool = False,
) -> Tensor:
    """x [n ≤ 4, in], contiguous → x (normalised by `norm`, if any) · weightᵀ + bias, [n, out].

    Added to `to` in place when that is given; gated: silu(first half) · second half, [n, out / 2].
    """
    number, inputs = x.shape
    outputs = weight.shape[0] // 2 if gated else weight.shape[0]
    out = torch.empty(number, outputs, dtype=x.dtype, device=x.device) if to is None else to
    room = triton.next_power_of_2(number)
    # Sums are kept apart until the end: rows × N_STEP × K_STEP of them, so fewer outputs a program the more rows there are.
    n_step = max(2, N_STEP // room // (2 if gated else 1))
    multiply[(triton.cdiv(outputs, n_step),)](
        x,
        weight,
        x if bias is None else bias,
        x if norm is None else norm,
        out,
        outputs,
        eps,
        INPUTS=inputs,
        ROWS=number,
        ROWS_ROOM=room,
        N_STEP=n_step,
        K_STEP=K_STEP,
        NORM=norm is not None,
        BIAS=bias is not None,
        ADD=to is not None,
        GATED=gated,
    )
    return out
