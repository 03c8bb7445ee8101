"""Adapters in a decoding batch: each row's own low-rank product, read from stacks by the row's slot.

Shapes never depend on which adapters are in use, so a captured graph goes on after a swap. A program takes 16 rows, which
the tensor cores take anyway, and reads the matrices of each adapter that is among them once: the runner sorts its rows by
adapter, so that mostly there is one. The inner sums of the first product are cut into SPLITS parts, or a batch of one would
keep a single SM busy; the second product adds the parts up.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 16
SPLITS = 8
K_STEP = 64
RANK_STEP = 16
N_STEP = 128


@triton.jit
def shrink(
    x, down, slots, ranks, low, number, inputs, most, x_stride,
    ROWS: tl.constexpr, SPLITS: tl.constexpr, K_STEP: tl.constexpr, RANK_STEP: tl.constexpr,
):  # fmt: skip
    """Program (rows, split, ranks): x · A of each row's slot, over one split of the inputs → low [splits, n, most]."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    split, first_rank = tl.program_id(1), tl.program_id(2) * RANK_STEP
    slot = tl.load(slots + row, mask=row < number, other=0)
    r = first_rank + tl.arange(0, RANK_STEP)
    share = tl.cdiv(tl.cdiv(inputs, SPLITS), K_STEP) * K_STEP
    begin = split * share
    end = tl.minimum(begin + share, inputs)
    sums = tl.zeros((ROWS, RANK_STEP), tl.float32)
    for one in range(tl.min(tl.where(slot > 0, slot, tl.max(slot, 0)), 0), tl.max(slot, 0) + 1):
        mine = slot == one
        if (tl.sum(mine.to(tl.int32), 0) > 0) & (first_rank < tl.load(ranks + one)):
            for start in range(begin, end, K_STEP):
                k = start + tl.arange(0, K_STEP)
                mask = mine[:, None] & (k < end)[None, :]
                a = tl.load(x + row[:, None] * x_stride + k[None, :], mask=mask, other=0.0)
                place = (one * inputs + k[:, None].to(tl.int64)) * most + r[None, :]
                b = tl.load(down + place, mask=(k < end)[:, None] & (r < most)[None, :], other=0.0)
                sums += tl.dot(a, b, input_precision="ieee")
    target = (split * number + row[:, None]) * most + r[None, :]
    tl.store(low + target, sums, mask=(row < number)[:, None] & (r < most)[None, :])


@triton.jit
def expand(
    low, up, slots, ranks, out, number, outputs, most, out_stride,
    ROWS: tl.constexpr, SPLITS: tl.constexpr, N_STEP: tl.constexpr, RANK_STEP: tl.constexpr,
):  # fmt: skip
    """Program (rows, outputs): adds the low-rank sums · B of each row's slot to out; rows of slot 0 are not touched."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    slot = tl.load(slots + row, mask=row < number, other=0)
    n = tl.program_id(1) * N_STEP + tl.arange(0, N_STEP)
    sums = tl.zeros((ROWS, N_STEP), tl.float32)
    for one in range(tl.min(tl.where(slot > 0, slot, tl.max(slot, 0)), 0), tl.max(slot, 0) + 1):
        mine = slot == one
        if tl.sum(mine.to(tl.int32), 0) > 0:
            for start in range(0, tl.load(ranks + one), RANK_STEP):
                r = start + tl.arange(0, RANK_STEP)
                mask = mine[:, None] & (r < most)[None, :]
                a = tl.zeros((ROWS, RANK_STEP), tl.float32)
                for split in range(SPLITS):
                    a += tl.load(low + (split * number + row[:, None]) * most + r[None, :], mask=mask, other=0.0)
                place = (one * most + r[:, None].to(tl.int64)) * outputs + n[None, :]
                b = tl.load(up + place, mask=(r < most)[:, None] & (n < outputs)[None, :], other=0.0)
                sums += tl.dot(a.to(b.dtype), b, input_precision="ieee")
    target = out + row[:, None] * out_stride + n[None, :]
    mask = (slot > 0)[:, None] & (n < outputs)[None, :]
    before = tl.load(target, mask=mask, other=0.0).to(tl.float32)
    tl.store(target, (before + sums).to(out.dtype.element_ty), mask=mask)


def add_lora(out: Tensor, x: Tensor, down: Tensor, up: Tensor, ranks: Tensor, slots: Tensor) -> None:
    """out [n, outputs] += x [n, inputs] · down[slot] · up[slot], row by row.

    down [slots, inputs, most], up [slots, most, outputs]; ranks int32 [slots]: how much of `most` each slot uses.
    """
    number, inputs = x.shape
    outputs, most = out.shape[1], down.shape[2]
    low = torch.empty(SPLITS, number, most, dtype=torch.float32, device=x.device)
    tiles = triton.cdiv(number, ROWS)
    shrink[(tiles, SPLITS, triton.cdiv(most, RANK_STEP))](
        x, down, slots, ranks, low, number, inputs, most, x.stride(0),
        ROWS=ROWS, SPLITS=SPLITS, K_STEP=K_STEP, RANK_STEP=RANK_STEP,
    )  # fmt: skip
    expand[(tiles, triton.cdiv(outputs, N_STEP))](
        low, up, slots, ranks, out, number, outputs, most, out.stride(0),
        ROWS=ROWS, SPLITS=SPLITS, N_STEP=N_STEP, RANK_STEP=RANK_STEP,
    )  # fmt: skip
