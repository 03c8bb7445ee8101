"""What the adapters on the share will take of a GPU's memory: told by their headers, before the cache is made."""

import math
from collections.abc import Mapping, Sequence

from inference.engine.compute.gpu.lora_stacks import RANK_UNIT
from inference.engine.files.families import PLACES, Place
from inference.engine.files.folder import TensorPlace
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.lora import KEY
from inference.engine.weights.whole_modules import KEY as WHOLE

Header = Mapping[str, TensorPlace]
BYTES = 2  # of a number on a GPU


def adapter_bytes(spec: ModelSpec, headers: Sequence[Header]) -> int:
    """Stacks as wide as the largest rank of each place, with a slot for the base, each adapter, and one more while one is
    replaced; the largest one once more, on its way there; and each one's own embedding and head."""
    if not headers:
        return 0
    ranks = [ranks_of(spec, header) for header in headers]
    places = {place for each in ranks for place in each}
    widths = {(layer, place): spec.inputs(place) + spec.outputs(place) for layer, place in places}
    widest = {place: -(-max(each.get(place, 0) for each in ranks) // RANK_UNIT) * RANK_UNIT for place in places}
    slot = sum(widest[place] * widths[place] for place in places)
    on_its_way = max(sum(rank * widths[place] for place, rank in each.items()) for each in ranks)
    whole = sum(math.prod(tensor.shape) for header in headers for key, tensor in header.items() if WHOLE.match(key))
    return ((len(headers) + 2) * slot + on_its_way + whole) * BYTES


def ranks_of(spec: ModelSpec, header: Header) -> dict[tuple[int, Place], int]:
    """Of each layer's matrices: those of several projections in one stand side by side."""
    place_of: dict[str, Place] = {projection.name: place for place in PLACES for _, projection in spec.adaptable(place)}
    found: dict[tuple[int, Place], int] = {}
    for key, tensor in header.items():
        match = KEY.match(key)
        if match is not None and match[3] == "A" and match[2] in place_of and tensor.shape:
            where = int(match[1]), place_of[match[2]]
            found[where] = found.get(where, 0) + tensor.shape[0]
    return found
