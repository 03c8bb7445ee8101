"""Puts the GPU's parts together, by the attention that device.py chose."""

from dataclasses import dataclass

from torch import Tensor

from inference.engine.compute.choice import Backend, CacheShape
from inference.engine.compute.gpu.decode import Capture, DecodePath, Scores
from inference.engine.compute.gpu.graphs import CudaCapture
from inference.engine.compute.gpu.lora_stacks import LoraStacks
from inference.engine.compute.gpu.operations import Operations, TorchOperations
from inference.engine.compute.gpu.paged_cache import PagedKeyValues
from inference.engine.compute.gpu.self_check import difference, made_rows
from inference.engine.compute.gpu.static_batch import StaticBatch
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.lora import Lora
from inference.engine.weights.weights import Weights

MOST_TRIED = 16  # rows: beyond, nothing is computed in another way


@dataclass(frozen=True)
class GpuPath:
    """The paged cache, the stacks of adapters, and the decode path over both."""

    cache: PagedKeyValues
    stacks: LoraStacks
    decode: DecodePath
    plain: TorchOperations

    def difference(self, spec: ModelSpec, weights: Weights) -> str:
        """What the operations in use compute otherwise than torch's, in words; raises what they raise."""
        size, device = self.cache.block_size, self.cache.pages.device
        rows = [
            made_rows(number, self.decode.width, size, device) for number in self.decode.buckets if number <= MOST_TRIED
        ]
        return difference(spec, weights, rows, self.decode.operations, self.plain)

    def give_way(self) -> None:
        """From now on torch's operations compute, without graphs. Pages and adapters stay where they are."""
        self.cache.operations = self.plain
        self.decode.use(self.plain)

    def install(self, slot: int, lora: Lora) -> None:
        """Copies an adapter into its slot; others may stand elsewhere afterwards, also when it fails."""
        before = self.stacks.version
        try:
            self.stacks.install(slot, lora)
        finally:
            if self.stacks.version != before:
                self.decode.stacks_changed()


def gpu_path(spec: ModelSpec, weights: Weights, rotations: Tensor, *, backend: Backend, shape: CacheShape) -> GpuPath:
    """`rotations` complex [tables, positions, 1, pairs]; their device is where everything runs."""
    device = rotations.device  # with its index, which the backend's may lack
    cache = PagedKeyValues(spec, shape.blocks, shape.block_size, backend.dtype, device)
    plain = TorchOperations(spec, rotations)
    operations: Operations = plain
    capture: Capture | None = None
    if backend.attention == "triton":
        from inference.engine.compute.gpu.triton_operations import TritonOperations  # noqa: PLC0415  (Triton is not everywhere)

        operations = TritonOperations(spec, rotations)
        capture = CudaCapture[Scores]() if device.type == "cuda" else None
    cache.operations = operations
    stacks = LoraStacks(spec)
    batch = StaticBatch(shape.rows, shape.context, shape.block_size, cache.spare, device)
    batch.padded = backend.attention == "triton"
    decode = DecodePath(spec, weights, cache, operations, stacks, batch=batch, capture=capture)
    return GpuPath(cache, stacks, decode, plain)
