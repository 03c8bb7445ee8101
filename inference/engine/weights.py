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


def packed_weights(weights: Weights) -> Weights:
    """Every matrix in the form that this machine multiplies fastest; the plain ones are let go of one by one."""
    layers = list(weights.layers)
    tied = weights.head.weight is weights.embedding
    embedding, norm, head = weights.embedding, weights.norm, weights.head
    del weights
    for index, layer in enumerate(layers):
        layers[index] = replace(
            layer,
            qkv=packed(layer.qkv),
            output=packed(layer.output),
            gate_up=packed(layer.gate_up),
            down=packed(layer.down),
        )
        del layer
    if not tied or embedding.nbytes <= TIED_HEAD:
        head = packed(head)
    return Weights(embedding, tuple(layers), norm, head)
