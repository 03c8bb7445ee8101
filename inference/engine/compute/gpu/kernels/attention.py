"""Paged decode attention in Triton: one query a sequence, keys and values read where the block table says.

Reading the keys and values once is all that costs here, so the work is cut until every SM reads: a program takes one
key head of one sequence and one part of its tokens, with all query heads that share the key head; a second, small kernel
joins the parts. An H200 has 132 SMs, each of which holds about four such programs; `parts_for` therefore aims at four
times as many programs as there are SMs: 16 parts for a single sequence with 32 key heads, one part (and no second kernel)
from 17 such sequences on.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.engine.compute.gpu.rows import DecodeRows

PROGRAMS_PER_SM = 4
MOST_PARTS = 32
TILE = 4096  # numbers of a tile of keys: 32 tokens of 128 wide heads, 16 registers a thread in bf16
LOG2_E = 1.4426950408889634
NEVER = tl.constexpr(-1e30)  # a score that no token has; two infinities would have no difference


# What changes from step to step is not compiled in: a kernel that is new would be compiled while requests wait.
@triton.jit(do_not_specialize=["table_stride", "window", "parts"])
def read_part(
    query,
    pages,
    tables,
    lengths,
    out,
    partial,
    sums,
    query_stride,
    page_stride,
    table_stride,
    scale,
    window,
    parts,
    KEY_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    GROUP_ROOM: tl.constexpr,
    DIM: tl.constexpr,
    DIM_ROOM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    STEP: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """Program (key head, part, sequence): softmax over the part's tokens in float32, exponents to base 2."""
    head, part, row = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(lengths + row)
    first = tl.where(window > 0, tl.maximum(length - window, 0), 0)
    share = tl.cdiv(tl.cdiv(length - first, parts), STEP) * STEP
    begin = first + part * share
    end = tl.minimum(begin + share, length)
    d = tl.arange(0, DIM_ROOM)
    g = tl.arange(0, GROUP_ROOM)
    wide = d < DIM
    if GROUP == 1:
        q = tl.load(query + row * query_stride + head * DIM + d, mask=wide, other=0.0).to(tl.float32) * scale
        # A softmax for each token of the step: nothing is summed over threads until the loop is over.
        best = tl.full((STEP,), NEVER, tl.float32)
        total = tl.zeros((STEP,), tl.float32)
        seen = tl.zeros((STEP, DIM_ROOM), tl.float32)
    else:
        places = row * query_stride + (head * GROUP + g[:, None]) * DIM + d[None, :]
        q = tl.load(query + places, mask=(g[:, None] < GROUP) & wide[None, :], other=0.0)
        best = tl.full((GROUP_ROOM,), float("-inf"), tl.float32)
        total = tl.zeros((GROUP_ROOM,), tl.float32)
        seen = tl.zeros((GROUP_ROOM, DIM_ROOM), tl.float32)
    for start in range(begin, end, STEP):
        t = start + tl.arange(0, STEP)
        live = t < end
        block = tl.load(tables + row * table_stride + t // BLOCK_SIZE, mask=live, other=0).to(tl.int64)
        at = (block * BLOCK_SIZE + t % BLOCK_SIZE) * page_stride + head * DIM
        mask = live[:, None] & wide[None, :]
        keys = tl.load(pages + at[:, None] + d[None, :], mask=mask, other=0.0)
        values = tl.load(pages + KEY_HEADS * DIM + at[:, None] + d[None, :], mask=mask, other=0.0)
        if GROUP == 1:
            score = tl.where(live, tl.sum(keys.to(tl.float32) * q[None, :], 1), NEVER)
            top = tl.maximum(best, score)
            share_of = tl.where(live, tl.exp2(score - top), 0.0)
            keep = tl.exp2(best - top)
            total = total * keep + share_of
            seen = seen * keep[:, None] + share_of[:, None] * values.to(tl.float32)
        else:
            score = tl.dot(q, tl.trans(keys), input_precision="ieee") * scale
            score = tl.where(live[None, :], score, float("-inf"))
            top = tl.maximum(best, tl.max(score, 1))
            share_of = tl.exp2(score - top[:, None])
            keep = tl.exp2(best - top)
            total = total * keep + tl.sum(share_of, 1)
            seen = seen * keep[:, None] + tl.dot(share_of.to(values.dtype), values, input_precision="ieee")
        best = top
    heads = KEY_HEADS * GROUP
    if GROUP == 1:
        top = tl.max(best, 0)
        weight = tl.exp2(best - top)
        total = tl.sum(total * weight, 0)
        seen = tl.sum(seen * weight[:, None], 0)
        best = top
        if WHOLE:
            tl.store(out + (row * heads + head) * DIM + d, (seen / total).to(out.dtype.element_ty), mask=wide)
        else:
            place = (row * heads + head) * parts + part
            tl.store(partial + place.to(tl.int64) * DIM + d, seen / tl.where(total > 0, total, 1.0), mask=wide)
            tl.store(sums + place, tl.where(total > 0, best + tl.log2(tl.where(total > 0, total, 1.0)), float("-inf")))
    else:
        mine = g < GROUP
        mask = mine[:, None] & wide[None, :]
        if WHOLE:
            places = (row * heads + head * GROUP + g[:, None]) * DIM + d[None, :]
            tl.store(out + places, (seen / total[:, None]).to(out.dtype.element_ty), mask=mask)
        else:
            place = (row * heads + head * GROUP + g) * parts + part
            scaled = seen / tl.where(total > 0, total, 1.0)[:, None]
            tl.store(partial + place.to(tl.int64)[:, None] * DIM + d[None, :], scaled, mask=mask)
            tl.store(
                sums + place,
                tl.where(total > 0, best + tl.log2(tl.where(total > 0, total, 1.0)), float("-inf")),
                mask=mine,
            )


@triton.jit(do_not_specialize=["parts"])
def join_parts(partial, sums, out, parts, DIM: tl.constexpr, DIM_ROOM: tl.constexpr, PARTS_ROOM: tl.constexpr):
    """Program (head of a sequence): the parts weighted by their share of the softmax."""
    place = tl.program_id(0)
    d, p = tl.arange(0, DIM_ROOM), tl.arange(0, PARTS_ROOM)
    part_sums = tl.load(sums + place * parts + p, mask=p < parts, other=float("-inf"))
    weights = tl.exp2(part_sums - tl.max(part_sums, 0))
    at = (place * parts + p).to(tl.int64)[:, None] * DIM + d[None, :]
    seen = tl.load(partial + at, mask=(p < parts)[:, None] & (d < DIM)[None, :], other=0.0)
    joined = tl.sum(seen * weights[:, None], 0) / tl.sum(weights, 0)
    tl.store(out + place * DIM + d, joined.to(out.dtype.element_ty), mask=d < DIM)


def attend(
    query: Tensor, pages: Tensor, rows: DecodeRows, window: int, heads: int, key_heads: int, head_dim: int, parts: int
) -> Tensor:
    """query [n, heads × head_dim] (rows may be strided), one layer's pages [rows, 2 × key_heads × head_dim] → like query."""
    number = query.shape[0]
    group = heads // key_heads
    dim_room = room_for(head_dim, group)
    out = torch.empty(number, heads * head_dim, dtype=query.dtype, device=query.device)
    if parts == 1:
        partial = sums = out
    else:
        partial = torch.empty(number, heads, parts, head_dim, dtype=torch.float32, device=query.device)
        sums = torch.empty(number, heads, parts, dtype=torch.float32, device=query.device)
    read_part[(key_heads, parts, number)](
        query,
        pages,
        rows.tables,
        rows.lengths,
        out,
        partial,
        sums,
        query.stride(0),
        pages.stride(0),
        rows.tables.stride(0),
        head_dim**-0.5 * LOG2_E,
        window,
        parts,
        KEY_HEADS=key_heads,
        GROUP=group,
        # The tensor cores take 16 rows at least; rows beyond the group cost nothing that waits for memory anyway.
        GROUP_ROOM=1 if group == 1 else max(16, triton.next_power_of_2(group)),
        DIM=head_dim,
        DIM_ROOM=dim_room,
        BLOCK_SIZE=rows.block_size,
        STEP=max(16, TILE // dim_room),
        WHOLE=parts == 1,
    )
    if parts > 1:
        room = triton.next_power_of_2(parts)
        join_parts[(number * heads,)](partial, sums, out, parts, DIM=head_dim, DIM_ROOM=dim_room, PARTS_ROOM=room)
    return out


def room_for(head_dim: int, group: int) -> int:
    """The columns that a program has for a head's numbers. The tensor cores, which groups use, take 16 at least; Triton's
    interpreter takes fewer."""
    room = 1 << (head_dim - 1).bit_length()
    return room if group == 1 else max(16, room)


def parts_for(number: int, key_heads: int, processors: int, context: int) -> int:
    """Into how many parts a sequence's tokens are cut; none below 64 tokens, whatever the lengths turn out to be."""
    wanted = processors * PROGRAMS_PER_SM // (number * key_heads)
    return max(1, min(wanted, MOST_PARTS, -(-context // 64)))


def kinds_of_parts() -> list[int]:
    """A number of parts for each kernel that there is: one part is written as it is, several are joined by powers of 2."""
    return [1 << power for power in range(MOST_PARTS.bit_length())]
