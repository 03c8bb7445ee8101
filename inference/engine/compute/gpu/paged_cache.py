"""Paged keys and values without a copy: each layer writes its new ones straight to the pages and attends there.

Prompts attend with torch's own kernels over rows that are gathered out of the pages, one layer at a time. Of the choices:
`varlen_attn` of torch 2.13 takes a block table only with FlashAttention 3, which torch does not bring along, and without
one it would save no copy; `scaled_dot_product_attention` runs the same code on a CPU, on a T4 and on an H200, where it
picks FlashAttention itself for whole prompts and for later pieces (aligned to the lower right corner).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right  # pyright: ignore[reportUnknownVariableType]
from torch.nn.functional import scaled_dot_product_attention

from inference.engine.compute.gpu.operations import Operations
from inference.engine.compute.gpu.rows import DecodeRows
from inference.engine.files.spec import ModelSpec
from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import Sequence

PIECE = 512  # queries that attend at once within a sliding window, which bounds their mask


@dataclass(frozen=True)
class Span:
    """A slice of a prompt: its rows in the batch, and the page rows of all its tokens so far (None: they are all new)."""

    begin: int
    end: int
    seen: Tensor | None


@dataclass(frozen=True)
class PagedStep:
    """How one step's batch attends: the first rows are one token each, then come slices of prompts."""

    where: Tensor  # the page row of each token
    decoding: DecodeRows | None
    prompts: list[Span]


class PagedKeyValues:
    """Owns the pages, [layers, rows, key_value]. Behind the blocks that are handed out is one more, where padding goes."""

    def __init__(self, spec: ModelSpec, blocks: int, block_size: int, dtype: torch.dtype, device: torch.device) -> None:
        self.pages = torch.empty(spec.layers, (blocks + 1) * block_size, spec.key_value, dtype=dtype, device=device)
        self.pages[:, blocks * block_size :] = 0
        self.spare = blocks
        self.block_size = block_size
        self.operations: Operations | None = None
        self._spec = spec
        self._device = device

    def begin(self, decoding: list[Slice], prefills: list[Slice]) -> PagedStep:
        """Prepares a step: decoding slices have one token each."""
        where = [self._rows(part.sequence, part.start + part.count)[part.start :] for part in (*decoding, *prefills)]
        spans: list[Span] = []
        begin = len(decoding)
        for part in prefills:
            seen = self._rows(part.sequence, part.start + part.count).to(self._device) if part.start else None
            spans.append(Span(begin, begin + part.count, seen))
            begin += part.count
        rows = decode_rows(decoding, self.block_size, self._device) if decoding else None
        return PagedStep(torch.cat(where).to(self._device), rows, spans)

    def attend(self, step: PagedStep, layer: int, query: Tensor, fresh: Tensor) -> Tensor:
        """query [tokens, heads × head_dim], fresh [tokens, key_value] → [tokens, heads × head_dim]."""
        pages, window = self.pages[layer], self._spec.windows[layer]
        pages.index_copy_(0, step.where, fresh)
        parts: list[Tensor] = []
        if step.decoding is not None:
            assert self.operations is not None
            parts.append(self.operations.attend(query[: step.decoding.number], pages, step.decoding, window))
        for span in step.prompts:
            both = fresh[span.begin : span.end] if span.seen is None else pages.index_select(0, span.seen)
            parts.append(read_prompt(self._spec, query[span.begin : span.end], both, window))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def keep(self, step: PagedStep, slices: list[Slice]) -> None:
        """Nothing is left to do: the pages were written layer by layer."""

    def forget(self, sequence: Sequence) -> None:
        """Nothing is kept of a sequence but its pages."""

    def _rows(self, sequence: Sequence, end: int) -> Tensor:
        """int64 page rows of a sequence's tokens up to `end`, on the CPU."""
        size = self.block_size
        first = torch.tensor(sequence.blocks[: -(-end // size)]).unsqueeze(1) * size
        return (first + torch.arange(size)).flatten()[:end]


def decode_rows(parts: list[Slice], block_size: int, device: torch.device) -> DecodeRows:
    """The tensors of a decoding batch, made anew."""
    lengths = [part.start + 1 for part in parts]
    most = max(-(-length // block_size) for length in lengths)
    tables = [part.sequence.blocks[:most] for part in parts]

    def column(values: list[int] | list[list[int]]) -> Tensor:
        return torch.tensor(values, dtype=torch.int32).to(device)

    return DecodeRows(
        tokens=column([part.sequence.tokens[part.start] for part in parts]),
        lengths=column(lengths),
        ropes=column([part.sequence.rope for part in parts]),
        slots=column([part.sequence.adapter for part in parts]),
        tables=column([table + [table[0]] * (most - len(table)) for table in tables]),
        block_size=block_size,
        longest=max(lengths),
    )


def read_prompt(spec: ModelSpec, query: Tensor, both: Tensor, window: int) -> Tensor:
    """The last tokens of a prompt attend: query [count, heads × head_dim], both [tokens, key_value]."""
    count, total = query.shape[0], both.shape[0]
    queries = query.view(1, count, spec.heads, spec.head_dim).transpose(1, 2)
    pairs = both.view(1, total, 2, spec.kv_heads, spec.head_dim)
    keys, values = pairs[:, :, 0].transpose(1, 2), pairs[:, :, 1].transpose(1, 2)
    group = spec.heads // spec.kv_heads
    if group > 1:
        # Of torch's kernels only FlashAttention shares key heads: below sm80, and wherever there is a mask, what is left
        # would be float32 products with all scores in memory.
        keys, values = keys.repeat_interleave(group, 1), values.repeat_interleave(group, 1)
    if window and total > window:
        out = within_window(queries, keys, values, window)
    elif count == total:
        out = scaled_dot_product_attention(queries, keys, values, is_causal=True)
    else:
        corner = causal_lower_right(count, total)
        out = scaled_dot_product_attention(queries, keys, values, attn_mask=corner)  # pyright: ignore[reportArgumentType]
    return out.transpose(1, 2).reshape(count, spec.query)


def within_window(queries: Tensor, keys: Tensor, values: Tensor, window: int) -> Tensor:
    """[1, heads, count, head_dim] over the keys that each query's window still holds, some queries at a time."""
    count, total = queries.shape[2], keys.shape[2]
    parts: list[Tensor] = []
    for begin in range(0, count, PIECE):
        end = min(begin + PIECE, count)
        at = torch.arange(total - count + begin, total - count + end, device=queries.device).unsqueeze(1)
        first, last = max(total - count + begin - window + 1, 0), total - count + end
        places = torch.arange(first, last, device=queries.device)
        mask = (places <= at) & (places > at - window)
        some = queries[:, :, begin:end]
        parts.append(
            scaled_dot_product_attention(some, keys[:, :, first:last], values[:, :, first:last], attn_mask=mask)
        )
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)
