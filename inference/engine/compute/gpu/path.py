"""Puts the GPU's parts together, by the attention that device.py chose."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from inference.engine.compute.choice import Backend, CacheShape
from inference.engine.compute.gpu.decode import Capture, DecodePath, Scores
from inference.engine.compute.gpu.graphs import CudaCapture
from inference.engine.compute.gpu.lora_stacks import LoraStacks
from inference.engine.compute.gpu.operations import Operations, TorchOperations
from inference.engine.compute.gpu.paged_cache import PagedKeyValues
from inference.engine.compute.gpu.static_batch import StaticBatch
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.lora import Lora
from inference.engine.weights.weights import Weights


@dataclass(frozen=True)
class GpuPath:
    """The paged cache, the stacks of adapters, and the decode path over both."""

    cache: PagedKeyValues
    stacks: LoraStacks
    decode: DecodePath

    def install(self, slot: int, lora: Lora) -> Iterator[tuple[int, Lora]]:
        """Copies an adapter into its slot; yields where each slot's matrices stand now, if that has changed."""
        before = self.stacks.version
        self.stacks.install(slot, lora)
        moved = self.stacks.version != before
        if moved:
            self.decode.stacks_changed()
        for each in self.stacks.installed if moved else [slot]:
            yield each, self.stacks.installed_in(each)


def gpu_path(spec: ModelSpec, weights: Weights, rotations: Tensor, *, backend: Backend, shape: CacheShape) -> GpuPath:
    """`rotations` complex [2, positions, 1, pairs]; their device is where everything runs."""
    device = rotations.device  # with its index, which the backend's may lack
    cache = PagedKeyValues(spec, shape.blocks, shape.block_size, backend.dtype, device)
    operations: Operations = TorchOperations(spec, rotations)
    capture: Capture | None = None
    if backend.attention == "triton":
        from inference.engine.compute.gpu.triton_operations import TritonOperations  # noqa: PLC0415  (Triton is not everywhere)

        operations = TritonOperations(spec, rotations)
        capture = CudaCapture[Scores]() if device.type == "cuda" else None
    cache.operations = operations
    stacks = LoraStacks(spec)
    batch = StaticBatch(shape.rows, shape.context, shape.block_size, cache.spare, device)
    return GpuPath(cache, stacks, DecodePath(spec, weights, cache, operations, stacks, batch=batch, capture=capture))
