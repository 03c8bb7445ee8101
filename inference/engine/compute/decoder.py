"""The decoder: one forward pass for every family, over a batch of tokens from many sequences.

Rows of q and k are stored so that the two numbers which rotate together stand side by side (see loader.py): rotating is
then one complex multiplication. Scores do not change, since q and k are reordered alike.
"""

from collections.abc import Callable
from collections.abc import Sequence as Rows

import torch
from torch import Tensor
from torch.nn.functional import rms_norm, silu

from inference.engine.compute.lora_rows import LoraBatch
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.weights import LayerWeights, Weights
from inference.engine.weights.whole_modules import Saved, draw_logits, embed

Attend = Callable[[int, Tensor, Tensor], Tensor]


def forward(
    spec: ModelSpec, weights: Weights, attend: Attend, tokens: Tensor, rotation: Tensor, lora: LoraBatch
) -> Tensor:
    """tokens [n] and their rotations [n, 1, dims/2] → hidden states [n, hidden].

    `attend` gets the layer, its queries [n, heads × head_dim] and its new keys and values [n, key_value].
    """
    x = embed(weights.embedding, tokens, lora.saved)
    for index, layer in enumerate(weights.layers):
        h = norm(x, layer.input_norm, spec.eps)
        qkv = layer.qkv.of(h)
        lora.add(qkv, h, index, "qkv")
        rotate(spec, layer, qkv, rotation)
        h = attend(index, qkv[:, : spec.query], qkv[:, spec.query :])
        x = layer.output.added(h, x)
        lora.add(x, h, index, "output")
        h = norm(x, layer.mlp_norm, spec.eps)
        both = layer.gate_up.of(h)
        lora.add(both, h, index, "gate_up")
        h = silu(both[:, : spec.intermediate]).mul_(both[:, spec.intermediate :])
        x = layer.down.added(h, x)
        lora.add(x, h, index, "down")
    return x


def logits(spec: ModelSpec, weights: Weights, hidden: Tensor, saved: Rows[Saved | None] = ()) -> Tensor:
    """Hidden states [n, hidden] → float32 [n, vocabulary]; `saved` is what each row's adapter has of its own."""
    return draw_logits(weights.head, spec.vocabulary, norm(hidden, weights.norm, spec.eps), saved)


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMS norm, in float32 whatever the weights are."""
    if x.dtype == torch.float32:
        return rms_norm(x, weight.shape, weight, eps)
    return rms_norm(x.float(), weight.shape, None, eps).to(x.dtype) * weight


def rotate(spec: ModelSpec, layer: LayerWeights, qkv: Tensor, rotation: Tensor) -> None:
    """Normalises (where the family does) and rotates q and k in place."""
    heads = spec.heads + spec.kv_heads
    width = heads * spec.head_dim
    qk = qkv[:, :width].view(qkv.shape[0], heads, spec.head_dim)
    if layer.query_norm is not None and layer.key_norm is not None:
        qk[:, : spec.heads] = norm(qk[:, : spec.heads], layer.query_norm, spec.eps)
        qk[:, spec.heads :] = norm(qk[:, spec.heads :], layer.key_norm, spec.eps)
    turning = qk[..., : spec.rope.dims]
    pairs = turning.view(*turning.shape[:-1], spec.rope.dims // 2, 2)
    if qkv.dtype == torch.float32:
        torch.view_as_complex(pairs).mul_(rotation)
    else:
        pairs.copy_(torch.view_as_real(torch.view_as_complex(pairs.float()) * rotation))
