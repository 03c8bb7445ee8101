"""The header of a safetensors file, judged as the model server judges it before it reads any weights. Pure."""

from __future__ import annotations

import json
import math
import struct
from typing import Any, cast

from sidecar.decisions.model_facts import DTYPES, Broken, Tensor, Tensors
from sidecar.words.text import Text

PREFIX = 8
"""Bytes before the header, which say how long it is."""

MOST = 100 << 20
"""Bytes of a header that the server takes."""


def header_length(first: bytes, size: int) -> int | Broken:
    """From a file's first bytes and its size."""
    length = struct.unpack("<Q", first[:PREFIX])[0] if len(first) >= PREFIX else MOST + 1
    if length > min(MOST, size - PREFIX):
        return Broken(Text("it is not a safetensors file, or is truncated"))
    return int(length)


def tensors_of(header: bytes, size: int) -> Tensors | Broken:
    """The tensors that a header speaks of, where all of them lie inside the file of this size and none overlap."""
    try:
        document: Any = json.loads(header)
    except (ValueError, RecursionError):
        return Broken(Text("its header is broken"))
    if not isinstance(document, dict):
        return Broken(Text("its header is broken"))
    found: dict[str, Tensor] = {}
    ranges: list[tuple[int, int]] = []
    for name, entry in cast("dict[str, Any]", document).items():
        if name == "__metadata__":
            continue
        read = _tensor(name, entry)
        if isinstance(read, Broken):
            return read
        found[name], place = read
        ranges.append(place)
    return _misplaced(sorted(ranges), size - PREFIX - len(header)) or found


def _tensor(name: str, entry: Any) -> tuple[Tensor, tuple[int, int]] | Broken:
    """It, and where in the data it lies."""
    try:
        dtype, shape, (start, end) = str(entry["dtype"]), tuple(int(n) for n in entry["shape"]), entry["data_offsets"]
    except (KeyError, TypeError, ValueError, OverflowError):
        return Broken(Text("its tensor {name} is described wrongly", name=name))
    if dtype not in DTYPES:
        return Broken(
            Text("its tensor {name} has the type {dtype}, which the server does not read", name=name, dtype=dtype)
        )
    right = all(extent >= 0 for extent in shape) and isinstance(start, int) and isinstance(end, int) and start >= 0
    if not right or end - start != math.prod(shape) * DTYPES[dtype]:
        return Broken(Text("its tensor {name} has a size that does not fit its shape", name=name))
    return Tensor(dtype, shape), (start, end)


def _misplaced(ranges: list[tuple[int, int]], data: int) -> Broken | None:
    """`data`: bytes of the file behind its header."""
    reached = 0
    for start, end in ranges:
        if start < reached:
            return Broken(Text("it has overlapping tensors"))
        reached = end
    if reached > data:
        told = {"there": data, "needed": reached}
        return Broken(Text("it is truncated: {there} bytes of weights, its header speaks of {needed}", **told))
    return None
