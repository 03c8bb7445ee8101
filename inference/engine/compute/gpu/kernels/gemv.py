"""A matrix times one to four rows: bound by reading the matrix once, so nothing else may wait.

Single-stream decoding reads every weight once a token. cuBLAS's products leave bandwidth unused at so few rows, and each
small kernel between them costs a start and a drain of the memory pipeline (1–2 µs of the 10–25 µs that a matrix of
Phi-3-mini takes on an H200). So the norm before the matrix, and the residual sum or the gate behind it, are done in here.

A program owns up to N_STEP output rows and walks along them in steps of K_STEP: for a single row of x 8 KiB a step in bf16.
The next step is loaded before the last one is used, and the first one before the norm is computed. Compiled for sm90 it takes
60 to 72 registers a thread (124 for the gate of four rows) and spills none, so seven programs of four warps fit on an SM and
56 KiB are under way on each for one row, 28 for two, 14 for four; 4.8 TB/s at a latency of 0.7 µs need 25 KiB. The rows of x
are read again by each program, from L1.

K_STEP is what four warps load at 16 bytes a thread in 16-bit formats, and every tile is [rows, outputs, inputs] from the
start: so the threads compute with what they loaded, and nothing is exchanged between them before the loop is over.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST_ROWS = 4
N_STEP = 4
K_STEP = 1024


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
    k = tl.arange(0, K_STEP)[None, None, :]
    r = tl.arange(0, ROWS_ROOM)[:, None, None]
    there = (n < outputs)[None, :, None]
    place = weight + n[None, :, None] * INPUTS + k
    ahead = tl.load(place, mask=there & (k < INPUTS), other=0.0, eviction_policy="evict_first")
    if GATED:
        shift = outputs.to(tl.int64) * INPUTS
        ahead_up = tl.load(place + shift, mask=there & (k < INPUTS), other=0.0, eviction_policy="evict_first")
        sums_up = tl.zeros((ROWS_ROOM, N_STEP, K_STEP), tl.float32)
    source = x + r * INPUTS + k
    if NORM:
        squares = tl.zeros((ROWS_ROOM, 1, K_STEP), tl.float32)
        for start in range(0, INPUTS, K_STEP):
            part = tl.load(source + start, mask=(r < ROWS) & (start + k < INPUTS), other=0.0).to(tl.float32)
            squares += part * part
        scale = tl.rsqrt(tl.sum(squares, 2) / INPUTS + eps)[:, :, None]
    sums = tl.zeros((ROWS_ROOM, N_STEP, K_STEP), tl.float32)
    for start in range(0, INPUTS, K_STEP):
        tile = ahead.to(tl.float32)
        behind = there & (start + K_STEP + k < INPUTS)
        ahead = tl.load(place + start + K_STEP, mask=behind, other=0.0, eviction_policy="evict_first")
        inside = start + k < INPUTS
        rows = tl.load(source + start, mask=(r < ROWS) & inside, other=0.0)
        wide = rows.to(tl.float32)
        if NORM:
            by = tl.load(norm + start + k, mask=inside, other=0.0).to(tl.float32)
            wide = (wide * scale).to(rows.dtype).to(tl.float32) * by
            wide = wide.to(rows.dtype).to(tl.float32)
        sums += wide * tile
        if GATED:
            tile_up = ahead_up.to(tl.float32)
            ahead_up = tl.load(place + shift + start + K_STEP, mask=behind, other=0.0, eviction_policy="evict_first")
            sums_up += wide * tile_up
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
    row = tl.arange(0, ROWS_ROOM)[:, None]
    target = out + row * outputs + n[None, :]
    mask = (row < ROWS) & (n < outputs)[None, :]
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
    n_step = outputs_at_once(number, gated)
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
        ROWS_ROOM=triton.next_power_of_2(number),
        N_STEP=n_step,
        K_STEP=K_STEP,
        NORM=norm is not None,
        BIAS=bias is not None,
        ADD=to is not None,
        GATED=gated,
    )
    return out


def outputs_at_once(rows: int, gated: bool) -> int:
    """A program's outputs: its sums are kept apart until the end, rows × outputs × K_STEP of them, so fewer for more rows."""
    return max(1, int(N_STEP // triton.next_power_of_2(rows)) // (2 if gated else 1))
