"""The paged keys and values, and attention over them.

Every computed token has one row a layer in `pages`; a sequence's rows are where its blocks say. Decoding does not gather
those rows at each step: it keeps a dense copy of the decoding sequences' rows (`Dense`) that grows by one token a step and
is gathered anew only when other sequences decode.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend

from inference.engine.scheduler import Slice
from inference.engine.sequence import Sequence
from inference.engine.spec import ModelSpec

ROOM = 64  # tokens that the dense copy may grow before it is gathered anew


@dataclass(eq=False)
class Dense:
    """Rows of the decoding sequences, [layers, sequences, capacity, key_value], and what of them may be seen."""

    ids: tuple[int, ...]
    rows: Tensor
    seen: dict[int, Tensor]  # window → additive mask [sequences, 1, 1, capacity]
    lengths: list[int]
    first: Tensor  # each sequence's first row when rows are numbered through

    @property
    def capacity(self) -> int:
        return self.rows.shape[2]


@dataclass(frozen=True)
class Prefill:
    """A slice of a prompt: its rows in the batch, what came before, and who sees whom."""

    begin: int
    end: int
    past: Tensor | None  # [layers, tokens, key_value]
    masks: dict[int, Tensor | None]


@dataclass(frozen=True)
class Step:
    """How one step's batch attends: the first `decoding` rows are one token each, then come slices of prompts."""

    decoding: int
    dense: Dense | None
    places: Tensor | None  # where in the dense rows the decoding tokens go
    prefills: list[Prefill]
    fresh: list[Tensor] = field(default_factory=list[Tensor])  # each layer's new keys and values, as they are computed


class KeyValues:
    """Owns the pages and the dense copy."""

    def __init__(self, spec: ModelSpec, blocks: int, block_size: int, dtype: torch.dtype, device: torch.device) -> None:
        # Not filled: memory that no token has used yet stays with the system. Row 0 pads, so it must be finite.
        self.pages = torch.empty(spec.layers, blocks * block_size, spec.key_value, dtype=dtype, device=device)
        self.pages[:, 0] = 0
        self._spec = spec
        self._block_size = block_size
        self._device = device
        self._dense: Dense | None = None
        self._windows = sorted(set(spec.windows))

    def begin(self, decoding: list[Slice], prefills: list[Slice]) -> Step:
        """Prepares a step: decoding slices have one token each."""
        dense = self._dense_for(decoding) if decoding else None
        places = None
        if dense is not None:
            positions = torch.tensor([part.start for part in decoding], device=self._device)
            places = dense.first + positions
            for window, mask in dense.seen.items():
                reveal(mask, positions, window)
            dense.lengths = [part.start + 1 for part in decoding]
        spans: list[Prefill] = []
        begin = len(decoding)
        for part in prefills:
            spans.append(self._prefill(part, begin))
            begin += part.count
        return Step(len(decoding), dense, places, spans)

    def attend(self, step: Step, layer: int, query: Tensor, fresh: Tensor) -> Tensor:
        """query [tokens, heads × head_dim], fresh [tokens, key_value] → [tokens, heads × head_dim]."""
        step.fresh.append(fresh)
        if step.dense is not None and not step.prefills:
            return self._decode(step, step.dense, layer, query, fresh)
        out = torch.empty_like(query)
        if step.dense is not None:
            n = step.decoding
            out[:n] = self._decode(step, step.dense, layer, query[:n], fresh[:n])
        for span in step.prefills:
            rows = slice(span.begin, span.end)
            out[rows] = self._read_prompt(span, layer, query[rows], fresh[rows])
        return out

    def keep(self, step: Step, slices: list[Slice]) -> None:
        """Writes the step's keys and values of all layers to the pages at once."""
        where = [row for part in slices for row in self._rows(part.sequence, part.start, part.start + part.count)]
        self.pages.index_copy_(1, torch.tensor(where, device=self._device), torch.stack(step.fresh))

    def forget(self, sequence: Sequence) -> None:
        """A sequence that ended or gave way: its blocks may be written by others, so its dense rows are stale."""
        if self._dense is not None and sequence.id in self._dense.ids:
            self._dense = None

    def _decode(self, step: Step, dense: Dense, layer: int, query: Tensor, fresh: Tensor) -> Tensor:
        spec = self._spec
        assert step.places is not None
        rows = dense.rows[layer]
        count, capacity, width = rows.shape
        rows.view(count * capacity, width).index_copy_(0, step.places, fresh)
        both = rows.view(count, capacity, 2, spec.kv_heads, spec.head_dim)
        # The queries that share a key head stand as if they were several positions: no key is repeated.
        grouped = query.view(count, spec.kv_heads, spec.heads // spec.kv_heads, spec.head_dim)
        mask = dense.seen[spec.windows[layer]]
        out = attend(grouped, both[:, :, 0].transpose(1, 2), both[:, :, 1].transpose(1, 2), attn_mask=mask)
        return out.reshape(count, spec.query)

    def _read_prompt(self, span: Prefill, layer: int, query: Tensor, fresh: Tensor) -> Tensor:
        spec = self._spec
        count = query.shape[0]
        rows = fresh if span.past is None else torch.cat([span.past[layer], fresh])
        both = rows.view(rows.shape[0], 2, spec.kv_heads, spec.head_dim)
        mask = span.masks[spec.windows[layer]]
        out = attend(
            query.view(1, count, spec.heads, spec.head_dim).transpose(1, 2),
            both[None, :, 0].transpose(1, 2),
            both[None, :, 1].transpose(1, 2),
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=spec.heads != spec.kv_heads,
        )
        return out.transpose(1, 2).reshape(count, spec.query)

    def _prefill(self, part: Slice, begin: int) -> Prefill:
        past = None
        if part.start:
            rows = torch.tensor(self._rows(part.sequence, 0, part.start), device=self._device)
            past = self.pages.index_select(1, rows)
        masks = {window: causal_mask(part, window, self._device) for window in self._windows}
        return Prefill(begin, begin + part.count, past, masks)

    def _dense_for(self, decoding: list[Slice]) -> Dense:
        """The dense copy of these sequences' rows: the one of the step before when it still fits."""
        ids = tuple(part.sequence.id for part in decoding)
        dense = self._dense
        starts = [part.start for part in decoding]
        if dense is not None and dense.ids == ids and dense.lengths == starts and max(starts) < dense.capacity:
            return dense
        self._dense = None  # frees the old copy before the new one is made
        self._dense = self._gather(decoding, ids)
        return self._dense

    def _gather(self, decoding: list[Slice], ids: tuple[int, ...]) -> Dense:
        starts = [part.start for part in decoding]
        capacity = -(-(max(starts) + 1) // ROOM) * ROOM + ROOM
        index = [row for part in decoding for row in self._padded(part, capacity)]
        rows = self.pages.index_select(1, torch.tensor(index, device=self._device))
        lengths = torch.tensor(starts, device=self._device)
        seen = {window: past_mask(lengths, window, capacity, rows.dtype) for window in self._windows}
        first = torch.arange(len(decoding), device=self._device) * capacity
        return Dense(ids, rows.view(rows.shape[0], len(decoding), capacity, -1), seen, starts, first)

    def _padded(self, part: Slice, capacity: int) -> list[int]:
        rows = self._rows(part.sequence, 0, part.start)
        return rows + [0] * (capacity - len(rows))

    def _rows(self, sequence: Sequence, start: int, end: int) -> list[int]:
        """Page rows of a sequence's tokens from `start` to `end`."""
        size = self._block_size
        if end - start == 1:
            return [sequence.blocks[start // size] * size + start % size]
        rows: list[int] = []
        for index in range(start // size, -(-end // size)):
            first = sequence.blocks[index] * size
            rows.extend(range(first + max(start - index * size, 0), first + min(end - index * size, size)))
        return rows


def reveal(mask: Tensor, positions: Tensor, window: int) -> None:
    """Makes each row's new position visible, and hides the one that leaves its window."""
    flat = mask.view(mask.shape[0], mask.shape[-1])
    flat.scatter_(1, positions.unsqueeze(1), 0.0)
    if window:
        gone = positions - window
        flat.scatter_(1, gone.clamp(min=0).unsqueeze(1), hidden_where(gone >= 0, flat, gone))


def hidden_where(condition: Tensor, flat: Tensor, places: Tensor) -> Tensor:
    now = flat.gather(1, places.clamp(min=0).unsqueeze(1))
    return torch.where(condition.unsqueeze(1), float("-inf"), now)


def past_mask(lengths: Tensor, window: int, capacity: int, dtype: torch.dtype) -> Tensor:
    """What each row has seen before this step: its own tokens, within the window of the next one."""
    positions = torch.arange(capacity, device=lengths.device)
    visible = positions < lengths.unsqueeze(1)
    if window:
        visible &= positions > (lengths.unsqueeze(1) - window)
    mask = torch.zeros(visible.shape, dtype=dtype, device=lengths.device).masked_fill_(~visible, float("-inf"))
    return mask.view(len(lengths), 1, 1, capacity)


def causal_mask(part: Slice, window: int, device: torch.device) -> Tensor | None:
    """[count, start + count] of who may see whom; None when plain causal attention says the same."""
    end = part.start + part.count
    if not part.start and (not window or end <= window):
        return None
    queries = torch.arange(part.start, end, device=device).unsqueeze(1)
    keys = torch.arange(end, device=device)
    visible = keys <= queries
    return visible & (keys > queries - window) if window else visible
