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
Part = tuple[int, str]  # a layer (-1: none) and what of it is read and packed together
FIELDS = {
    "self_attn.qkv_proj": "qkv",
    "self_attn.o_proj": "output",
    "mlp.gate_up_proj": "gate_up",
    "mlp.down_proj": "down",
}


@dataclass
class Draft:
    """A model while it is loaded: its parts are exchanged one by one, so that little is held twice."""

    embedding: Tensor
    layers: list[LayerWeights]
    norm: Tensor
    head: Matrix

    def pack(self, part: Part) -> None:
        """Brings a part that has been read into the form that this machine multiplies fastest."""
        index, name = part
        if index < 0:
            if name == "lm_head.weight":
                self.head = packed(self.head)
        elif name in FIELDS:
            field = FIELDS[name]
            matrix: Matrix = getattr(self.layers[index], field)
            self.layers[index] = replace(self.layers[index], **{field: packed(matrix)})

    def packed(self) -> Weights:
        """The whole model. A tied head gets a packed copy of its own where that is cheap. The draft is used up."""
        if self.head.weight is self.embedding and self.embedding.nbytes <= TIED_HEAD:
            self.head = packed(self.head)
        return Weights(self.embedding, tuple(self.layers), self.norm, self.head)
