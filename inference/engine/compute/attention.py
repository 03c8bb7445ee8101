"""The paged keys and values, and attention over them.

Every computed token has one row a layer in `pages`; a sequence's rows are where its blocks say. Decoding does not gather
those rows at each step: it keeps a dense copy of the decoding sequences' rows (dense.py).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend

from inference.engine.compute.dense import Dense
from inference.engine.files.spec import ModelSpec
from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import Sequence


@dataclass(frozen=True)
class Prefill:
    """A slice of a prompt: its rows in the batch, what came before, and who sees whom."""

    begin: int
    end: int
    past: Tensor | None  # [layers, tokens, key_value]
    masks: dict[int, Tensor | None]


@dataclass(frozen=True)
class Decoding:
    """The rows of one token each: where in the dense copy they go, and what each of its slots may see."""

    layers: list[Tensor]  # [2 (keys, values), slots, kv_heads, capacity, head_dim] each
    count: int  # slots in use
    used: int  # tokens in use
    places: dict[int, Tensor]  # capacity → where the new rows go, each head's rows counted through
    masks: dict[int, Tensor]  # window → additive [slots in use × kv_heads, 1, tokens in use]
    order: Tensor | None  # slot → row of the batch; None when they are the same
    back: Tensor | None  # row of the batch → slot


@dataclass(frozen=True)
class Step:
    """How one step's batch attends: the first `count` rows are one token each, then come slices of prompts."""

    count: int
    decoding: Decoding | None
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
        self._dense = Dense(spec.layers, spec.kv_heads, spec.head_dim, dtype, device)
        self._windows = sorted(set(spec.windows))

    def begin(self, decoding: list[Slice], prefills: list[Slice]) -> Step:
        """Prepares a step: decoding slices have one token each."""
        spans: list[Prefill] = []
        begin = len(decoding)
        for part in prefills:
            spans.append(self._prefill(part, begin))
            begin += part.count
        return Step(len(decoding), self._decoding(decoding), spans)

    def attend(self, step: Step, layer: int, query: Tensor, fresh: Tensor) -> Tensor:
        """query [tokens, heads × head_dim], fresh [tokens, key_value] → [tokens, heads × head_dim]."""
        step.fresh.append(fresh)
        if step.decoding is not None and not step.prefills:
            return self._decode(step.decoding, layer, query, fresh)
        out = torch.empty_like(query)
        if step.decoding is not None:
            n = step.count
            out[:n] = self._decode(step.decoding, layer, query[:n], fresh[:n])
        for span in step.prefills:
            rows = slice(span.begin, span.end)
            out[rows] = self._read_prompt(span, layer, query[rows], fresh[rows])
        return out

    def keep(self, step: Step, slices: list[Slice]) -> None:
        """Writes the step's keys and values of all layers to the pages at once."""
        where = [row for part in slices for row in self._rows(part.sequence, part.start, part.start + part.count)]
        self.pages.index_copy_(1, torch.tensor(where, device=self._device), torch.stack(step.fresh))

    @torch.inference_mode()
    def forget(self, sequence: Sequence) -> None:
        """A sequence that ended or gave way."""
        self._dense.drop(sequence.id)

    def _decode(self, decoding: Decoding, layer: int, query: Tensor, fresh: Tensor) -> Tensor:
        spec = self._spec
        both, count = decoding.layers[layer], decoding.count
        own = fresh.reshape(-1, spec.head_dim)
        both.view(-1, spec.head_dim).index_copy_(0, decoding.places[both.shape[3]], own)
        keys, values = both[:, :count, :, : decoding.used].flatten(1, 2)
        if decoding.order is not None:
            query = query.index_select(0, decoding.order)
        # The queries that share a key head stand as if they were several positions: no key is repeated.
        grouped = query.reshape(count * spec.kv_heads, -1, spec.head_dim)
        out = attend_grouped(grouped, keys, values, decoding.masks[spec.windows[layer]])
        out = out.reshape(count, spec.query)
        return out if decoding.back is None else out.index_select(0, decoding.back)

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

    def _decoding(self, parts: list[Slice]) -> Decoding | None:
        """Brings the dense copy to these sequences, each of which gets one token more."""
        dense = self._dense
        there = {part.sequence.id: part.start for part in parts}
        for number in [number for number in dense.ids if not dense.holds(number, there.get(number, -1))]:
            dense.drop(number)
        if not parts:
            return None
        dense.make_room(len(parts), max(there.values()) + 1)
        for part in parts:
            if not dense.holds(part.sequence.id, part.start):
                where = torch.tensor(self._rows(part.sequence, 0, part.start), device=self._device)
                dense.add(part.sequence.id, self.pages.index_select(1, where))
        numbers = [part.sequence.id for part in parts]
        for number in numbers:
            dense.grow(number)
        capacities = {layer.shape[3] for layer in dense.layers}
        places = {each: dense.newest(numbers, each) for each in capacities}
        slots = [dense.slot(number) for number in numbers]
        order = back = None
        if slots != list(range(len(slots))):
            back = torch.tensor(slots, device=self._device)
            order = torch.argsort(back)
        lengths = torch.tensor(dense.lengths, device=self._device)
        used, dtype = dense.used, dense.layers[0].dtype
        heads = self._spec.kv_heads
        masks = {window: decoding_mask(lengths, window, used, heads, dtype) for window in self._windows}
        return Decoding(list(dense.layers), len(parts), used, places, masks, order, back)

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


def attend_grouped(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """query [groups, queries, head_dim], keys and values [groups, tokens, head_dim], mask [groups, 1, tokens].

    For the few queries of decoding, plain products in float32 are up to 1.6 times faster than the fused kernel, whose sums
    16-bit formats need.
    """
    if query.dtype != torch.float32:
        return attend(query, keys, values, attn_mask=mask)
    scores = torch.baddbmm(mask, query, keys.transpose(1, 2), alpha=query.shape[2] ** -0.5)
    return torch.bmm(torch.softmax(scores, -1), values)


def decoding_mask(lengths: Tensor, window: int, tokens: int, heads: int, dtype: torch.dtype) -> Tensor:
    """Additive [sequences × heads, 1, tokens]: each sees its own tokens, the newest `window` of them."""
    positions = torch.arange(tokens, device=lengths.device)
    ends = lengths.repeat_interleave(heads).unsqueeze(1)
    hidden = positions >= ends
    if window:
        hidden |= positions < ends - window
    mask = torch.zeros(hidden.shape, dtype=dtype, device=lengths.device).masked_fill_(hidden, float("-inf"))
    return mask.unsqueeze(1)


def causal_mask(part: Slice, window: int, device: torch.device) -> Tensor | None:
    """[count, start + count] of who may see whom; None when plain causal attention says the same."""
    end = part.start + part.count
    if not part.start and (not window or end <= window):
        return None
    queries = torch.arange(part.start, end, device=device).unsqueeze(1)
    keys = torch.arange(end, device=device)
    visible = keys <= queries
    return visible & (keys > queries - window) if window else visible
