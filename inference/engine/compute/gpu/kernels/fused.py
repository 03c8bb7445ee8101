"""The small steps between the matrices, each one kernel: RMS norm, rotation with the write to the pages, silu · mul.

Each rounds where the torch operations of decoder.py round, so that both give the same numbers in half precision.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.engine.compute.gpu.rows import DecodeRows

TILE = 1024


@triton.jit
def norm_row(x, weight, out, x_stride, width, eps, ROOM: tl.constexpr):
    """Program (row): RMS norm in float32."""
    row = tl.program_id(0)
    i = tl.arange(0, ROOM)
    mask = i < width
    numbers = tl.load(x + row * x_stride + i, mask=mask, other=0.0)
    wide = numbers.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / width + eps)
    normal = (wide * scale).to(numbers.dtype).to(tl.float32)
    by = tl.load(weight + i, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + row * width + i, (normal * by).to(out.dtype.element_ty), mask=mask)


@triton.jit
def gate_tile(both, out, width, TILE: tl.constexpr):
    """Program (row, tile): silu of the first half times the second."""
    row = tl.program_id(0)
    i = tl.program_id(1) * TILE + tl.arange(0, TILE)
    mask = i < width
    gate = tl.load(both + row * 2 * width + i, mask=mask, other=0.0)
    up = tl.load(both + row * 2 * width + width + i, mask=mask, other=0.0)
    wide = gate.to(tl.float32)
    opened = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype).to(tl.float32)
    tl.store(out + row * width + i, (opened * up.to(tl.float32)).to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["table_stride"])
def rotate_head(
    qkv,
    pages,
    tables,
    lengths,
    ropes,
    rotations,
    query_norm,
    key_norm,
    qkv_stride,
    page_stride,
    table_stride,
    rotation_rows,
    eps,
    HEADS: tl.constexpr,
    KEY_HEADS: tl.constexpr,
    DIM: tl.constexpr,
    TURNING: tl.constexpr,
    PAIRS_ROOM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    NORM: tl.constexpr,
):
    """Program (row, head of q, k or v). q is rotated in place; k (rotated) and v go to the row's place in the pages.

    The two numbers of a pair stand side by side, so a thread holds both; pairs from TURNING on do not rotate.
    """
    row, head = tl.program_id(0), tl.program_id(1)
    i = tl.arange(0, PAIRS_ROOM)
    mask = i < DIM // 2
    source = qkv + row * qkv_stride + head * DIM + 2 * i
    even, odd = tl.load(source, mask=mask, other=0.0), tl.load(source + 1, mask=mask, other=0.0)
    position = tl.load(lengths + row) - 1
    if head < HEADS + KEY_HEADS:
        a, b = even.to(tl.float32), odd.to(tl.float32)
        if NORM:
            scale = tl.rsqrt((tl.sum(a * a, 0) + tl.sum(b * b, 0)) / DIM + eps)
            is_query = (head < HEADS) & mask
            is_key = (head >= HEADS) & mask
            by_a = tl.load(query_norm + 2 * i, mask=is_query, other=0.0).to(tl.float32)
            by_b = tl.load(query_norm + 2 * i + 1, mask=is_query, other=0.0).to(tl.float32)
            by_a += tl.load(key_norm + 2 * i, mask=is_key, other=0.0).to(tl.float32)
            by_b += tl.load(key_norm + 2 * i + 1, mask=is_key, other=0.0).to(tl.float32)
            a = ((a * scale).to(even.dtype).to(tl.float32) * by_a).to(even.dtype).to(tl.float32)
            b = ((b * scale).to(odd.dtype).to(tl.float32) * by_b).to(odd.dtype).to(tl.float32)
        turning = i < TURNING
        which = tl.load(ropes + row).to(tl.int64) * rotation_rows + position
        angle = rotations + which * 2 * TURNING + 2 * i
        cosine = tl.load(angle, mask=turning, other=1.0)
        sine = tl.load(angle + 1, mask=turning, other=0.0)
        even = (a * cosine - b * sine).to(even.dtype)
        odd = (a * sine + b * cosine).to(odd.dtype)
    if head < HEADS:
        tl.store(source, even, mask=mask)
        tl.store(source + 1, odd, mask=mask)
    else:
        block = tl.load(tables + row * table_stride + position // BLOCK_SIZE).to(tl.int64)
        place = (block * BLOCK_SIZE + position % BLOCK_SIZE) * page_stride + (head - HEADS) * DIM
        tl.store(pages + place + 2 * i, even, mask=mask)
        tl.store(pages + place + 2 * i + 1, odd, mask=mask)


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x [n, width] → the same shape, contiguous."""
    number, width = x.shape
    out = torch.empty(number, width, dtype=x.dtype, device=x.device)
    room = triton.next_power_of_2(width)
    norm_row[(number,)](x, weight, out, x.stride(0), width, eps, ROOM=room, num_warps=8 if room >= 2048 else 4)
    return out


def gate(both: Tensor) -> Tensor:
    """both [n, 2 × width], contiguous → silu(first half) · second half, [n, width]."""
    number, width = both.shape[0], both.shape[1] // 2
    out = torch.empty(number, width, dtype=both.dtype, device=both.device)
    gate_tile[(number, triton.cdiv(width, TILE))](both, out, width, TILE=TILE)
    return out


def rotate(
    qkv: Tensor,
    pages: Tensor,
    rows: DecodeRows,
    rotations: Tensor,
    norms: tuple[Tensor, Tensor] | None,
    eps: float,
    heads: int,
    key_heads: int,
    head_dim: int,
) -> None:
    """Normalises and rotates q of qkv [n, …] in place, and writes k and v to one layer's pages.

    `rotations` is float32 [tables, positions, pairs, 2].
    """
    rotate_head[(qkv.shape[0], heads + 2 * key_heads)](
        qkv,
        pages,
        rows.tables,
        rows.lengths,
        rows.ropes,
        rotations,
        norms[0] if norms else qkv,
        norms[1] if norms else qkv,
        qkv.stride(0),
        pages.stride(0),
        rows.tables.stride(0),
        rotations.shape[1],
        eps,
        HEADS=heads,
        KEY_HEADS=key_heads,
        DIM=head_dim,
        TURNING=rotations.shape[2],
        PAIRS_ROOM=triton.next_power_of_2(head_dim // 2),
        BLOCK_SIZE=rows.block_size,
        NORM=norms is not None,
        num_warps=1,  # at most 128 pairs: one warp holds them
    )
