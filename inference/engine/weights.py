"""A model's matrices as the decoder uses them."""

from dataclasses import dataclass, replace

from torch import Tensor

from inference.engine.matrix import Matrix, packed


@dataclass(frozen=True)
class LayerWeights:
    """One layer. q, k, v are one matrix, gate and up another."""

    input_norm: Tensor
    qkv: Matrix
    query_norm: Tensor | None
    key_norm: Tensor | None
    output: Matrix
    mlp_norm: Tensor
    gate_up: Matrix
    down: Matrix


@dataclass(frozen=True)
class Weights:
    """A whole model. `head` has the embedding's numbers when the two are tied."""

    embedding: Tensor
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Matrix


TIED_HEAD = 128 << 20  # bytes up to which a tied head is worth a packed copy of its own


@dataclass
class Draft:
    """A model while it is loaded: its layers are exchanged one by one, so that none is held twice."""

    embedding: Tensor
    layers: list[LayerWeights]
    norm: Tensor
    head: Matrix

    def packed(self) -> Weights:
        """Every matrix in the form that this machine multiplies fastest. The draft is used up."""
        for index, layer in enumerate(self.layers):
            self.layers[index] = replace(layer, qkv=packed(layer.qkv))
            layer = replace(self.layers[index], output=packed(layer.output))
            layer = replace(layer, gate_up=packed(layer.gate_up))
            self.layers[index] = replace(layer, down=packed(layer.down))
        tied = self.head.weight is self.embedding
        if not tied or self.embedding.nbytes <= TIED_HEAD:
            self.head = packed(self.head)
        return Weights(self.embedding, tuple(self.layers), self.norm, self.head)
