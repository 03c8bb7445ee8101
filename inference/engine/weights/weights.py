"""A model's matrices as the decoder uses them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from inference.engine.files.families import PLACES
from inference.engine.weights.matrix import Matrix, in_four_bits, packed


@dataclass(frozen=True)
class LayerWeights:
    """One layer. q, k, v are one matrix, gate and up another; the matrices are called by their places."""

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
Part = tuple[int, str]  # a layer (-1: none) and what of it is read and packed together


@dataclass
class Draft:
    """A model while it is loaded: its parts are exchanged one by one, so that little is held twice."""

    embedding: Tensor
    layers: list[LayerWeights]
    norm: Tensor
    head: Matrix
    four_bits_on: torch.device | None = None  # the projections become nf4 there; the draft itself is in memory then

    def pack(self, part: Part) -> None:
        """Brings a part that has been read into the form that this machine multiplies fastest."""
        index, name = part
        if index < 0:
            to_cpu = self.four_bits_on is None or self.four_bits_on.type == "cpu"
            if name == "lm_head.weight" and to_cpu:
                self.head = packed(self.head)
        elif name in PLACES:
            matrix: Matrix = getattr(self.layers[index], name)
            device = self.four_bits_on
            made = packed(matrix) if device is None else in_four_bits(matrix, device)
            self.layers[index] = replace(self.layers[index], **{name: made})

    def packed(self) -> Weights:
        """The whole model. A tied head gets a packed copy of its own where that is cheap. The draft is used up."""
        if self.four_bits_on is not None:
            self._move_rest(self.four_bits_on)
        if self.head.weight is self.embedding and self.embedding.nbytes <= TIED_HEAD:
            self.head = packed(self.head)
        return Weights(self.embedding, tuple(self.layers), self.norm, self.head)

    def _move_rest(self, device: torch.device) -> None:
        """What is not in 4 bits, to the device."""
        tied = self.head.weight is self.embedding
        self.embedding, self.norm = self.embedding.to(device), self.norm.to(device)
        if tied:
            self.head = Matrix(self.embedding)
        elif self.head.packed is None:
            self.head = Matrix(self.head.weight.to(device))
        for index, layer in enumerate(self.layers):
            self.layers[index] = replace(
                layer,
                input_norm=layer.input_norm.to(device),
                mlp_norm=layer.mlp_norm.to(device),
                query_norm=None if layer.query_norm is None else layer.query_norm.to(device),
                key_norm=None if layer.key_norm is None else layer.key_norm.to(device),
            )
