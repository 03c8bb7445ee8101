"""How a model's tensors are spread over more files of weights: similar in size, each tensor whole in one. Pure."""

from __future__ import annotations

import heapq
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.decisions.model_facts import DTYPES

ALIGNED = 8
"""Bytes to whose multiple a header is filled up, as its format asks."""


@dataclass(frozen=True)
class Slice:
    """A tensor where it lies now. `start`: its first byte in the file, header included."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str
    start: int
    length: int


@dataclass(frozen=True)
class Shard:
    """A file of weights to be written: its header, then these tensors without a gap."""

    name: str
    header: bytes
    tensors: tuple[Slice, ...]

    @property
    def size(self) -> int:
        return len(self.header) + sum(each.length for each in self.tensors)


def reshard(tensors: Sequence[Slice], count: int, metadata: Mapping[str, str]) -> tuple[Shard, ...]:
    """`count` files, or as many as there are tensors. `metadata`: of the headers; strings alone, as their format has it."""
    number = max(1, min(count, len(tensors)))
    groups: list[list[Slice]] = [[] for _ in range(number)]
    least = [(0, index) for index in range(number)]
    for each in sorted(
        tensors, key=lambda tensor: tensor.length, reverse=True
    ):  # the largest first: they fill up evenly
        size, index = heapq.heappop(least)
        groups[index].append(each)
        heapq.heappush(least, (size + each.length, index))
    order = {each.name: position for position, each in enumerate(tensors)}
    groups.sort(key=lambda group: min((order[each.name] for each in group), default=0))
    return tuple(
        _shard(f"model-{index + 1:05}-of-{number:05}.safetensors", group, order, metadata)
        for index, group in enumerate(groups)
    )


def index_of(shards: Sequence[Shard], former: Mapping[str, object]) -> bytes:
    """The file that says where each tensor is. `former`: the metadata of the one before."""
    total = sum(tensor.length for shard in shards for tensor in shard.tensors)
    places = {tensor.name: shard.name for shard in shards for tensor in shard.tensors}
    document = {"metadata": {**former, "total_size": total}, "weight_map": dict(sorted(places.items()))}
    return json.dumps(document, indent=2).encode()


def _shard(name: str, group: Sequence[Slice], order: Mapping[str, int], metadata: Mapping[str, str]) -> Shard:
    """The widest numbers first, so that each tensor begins where its numbers may."""
    tensors = sorted(group, key=lambda each: (-DTYPES[each.dtype], order[each.name]))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for each in tensors:
        header[each.name] = {
            "dtype": each.dtype,
            "shape": list(each.shape),
            "data_offsets": [end, end + each.length],
        }
        end += each.length
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNED)
    return Shard(name, struct.pack("<Q", len(text)) + text, tuple(tensors))
