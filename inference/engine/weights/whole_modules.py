"""Embeddings and heads that adapters bring whole: read from their folder, and used for the rows of those adapters only.

PEFT writes them when `modules_to_save` names them or when the vocabulary was resized for training (a `[PAD]` is added, a
padded vocabulary shrinks). One tensor may come under three names, of which the trained one counts.
"""

import re
from collections.abc import Sequence as Rows
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import AdapterFolder, TensorPlace
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.loader import read_tensor
from inference.engine.weights.matrix import Matrix, packed

WHOLE = ("embed_tokens", "lm_head")
KEY = re.compile(
    r"^base_model\.model\.(?:model\.)?(embed_tokens|lm_head)\.(modules_to_save\.|original_module\.)?weight$"
)
MAX_VOCABULARY = 1 << 20


@dataclass(frozen=True)
class Saved:
    """What an adapter has of its own instead of the base's; None where it uses the base's.

    `vocabulary` counts the tokens that may be read. A head may have fewer rows: the others are never drawn.
    """

    embedding: Tensor | None
    head: Matrix | None
    vocabulary: int


def saved_places(folder: AdapterFolder) -> dict[str, TensorPlace]:
    """The whole modules among an adapter's tensors, by name; of one under several keys, the one that PEFT computes with."""
    trained: dict[str, TensorPlace] = {}
    plain: dict[str, TensorPlace] = {}
    for key, place in folder.tensors.items():
        match = KEY.match(key)
        if match is not None and match[2] != "original_module.":
            (trained if match[2] else plain)[match[1]] = place
    return plain | trained


def own_vocabulary(folder: AdapterFolder, base: int) -> int:
    """The tokens that the model has with this adapter, from the header alone; `base` are those that it has without."""
    embedding = saved_places(folder).get("embed_tokens")
    return embedding.shape[0] if embedding is not None and len(embedding.shape) == 2 else base


def read_saved(folder: AdapterFolder, spec: ModelSpec, dtype: torch.dtype, device: torch.device) -> Saved | None:
    """Reads and checks the whole modules, None when there are none; AdapterError names what does not fit."""
    places = saved_places(folder)
    for module in folder.config.get("modules_to_save") or ():
        if str(module).split(".")[-1] not in places:
            raise AdapterError(f"{folder.path} is to bring its own {module}, but holds no such tensor")
    if not places:
        return None
    for name, place in places.items():
        if len(place.shape) != 2 or place.shape[1] != spec.hidden or not 0 < place.shape[0] <= MAX_VOCABULARY:
            raise AdapterError(
                f"{folder.path}: {name} has the shape {place.shape}; the base needs (tokens, {spec.hidden}) "
                f"with at most {MAX_VOCABULARY} tokens"
            )
    vocabulary = own_vocabulary(folder, spec.vocabulary)
    head = places.get("lm_head")
    if head is not None and head.shape[0] > vocabulary:
        raise AdapterError(
            f"{folder.path}: its lm_head draws {head.shape[0]} tokens, but only {vocabulary} have an embedding; "
            "save embed_tokens with it (save_embedding_layers)"
        )
    embedding = places.get("embed_tokens")
    return Saved(
        None if embedding is None else read_whole(folder, "embed_tokens", embedding, dtype, device),
        None if head is None else packed(Matrix(read_whole(folder, "lm_head", head, dtype, device))),
        vocabulary,
    )


def read_whole(
    folder: AdapterFolder, name: str, place: TensorPlace, dtype: torch.dtype, device: torch.device
) -> Tensor:
    tensor = read_tensor(place)
    if not tensor.is_floating_point():
        raise AdapterError(f"{folder.path}: {name} holds {place.dtype}, which are no weights")
    tensor = tensor.to(dtype)
    if not bool(torch.isfinite(tensor).all()):
        raise AdapterError(f"{folder.path}: {name} is not finite")
    return tensor.to(device)


def embed(base: Tensor, tokens: Tensor, own: Rows[tuple[int, int, Saved]]) -> Tensor:
    """tokens [n] → [n, hidden]. `own` names the rows (from, to) of adapters with whole modules."""
    if all(saved.embedding is None for _, _, saved in own):
        return base[tokens]
    x = base[tokens.clamp(max=base.shape[0] - 1)]  # a token beyond the base's belongs to rows that are replaced
    for begin, end, saved in own:
        if saved.embedding is not None:
            x[begin:end] = saved.embedding[tokens[begin:end]]
    return x


def draw_logits(base: Matrix, vocabulary: int, hidden: Tensor, own: Rows[Saved | None]) -> Tensor:
    """Normed hidden states [n, hidden] → float32 [n, tokens]; `own` is each row's. Tokens that a row's model lacks get
    -inf, so that they are never drawn."""
    if not any(own):
        return base.of(hidden).float()
    widest = max(vocabulary, *(saved.vocabulary for saved in own if saved is not None))
    out = hidden.new_full((hidden.shape[0], widest), -torch.inf, dtype=torch.float32)
    begin = 0
    for end in range(1, len(own) + 1):
        if end == len(own) or own[end] is not own[begin]:
            saved = own[begin]
            head = base if saved is None or saved.head is None else saved.head
            part = head.of(hidden[begin:end])[:, : vocabulary if saved is None else saved.vocabulary]
            out[begin:end, : part.shape[1]] = part
            begin = end
    return out
