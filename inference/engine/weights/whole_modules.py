"""Embeddings and heads that adapters bring whole: read from their folder, and used for the rows of those adapters only.

PEFT writes them when `modules_to_save` names them or when the vocabulary was resized for training (a `[PAD]` is added, a
padded vocabulary shrinks). One tensor may come under several names, of which the trained one counts. LoRA on one of
them is added to it here: what is applied to a few rows of a batch is one matrix, as for those that were trained whole.
"""

import re
from collections.abc import Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from inference.engine.files.adapter import AdapterError
from inference.engine.files.added_tokens import only_fills_up
from inference.engine.files.folder import AdapterFolder, TensorPlace
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.loader import DTYPES, read_tensor
from inference.engine.weights.matrix import Matrix, packed
from inference.engine.weights.ranks import MAX_RANK, rank_of, scale_of

WHOLE = ("embed_tokens", "lm_head")
KEY = re.compile(
    r"^base_model\.model\.(?:model\.)?(embed_tokens|lm_head)\.(modules_to_save\.|original_module\.|base_layer\.)?weight$"
)
LORA = re.compile(r"^base_model\.model\.(?:model\.)?(embed_tokens|lm_head)\.lora_(?:embedding_)?([AB])(?:\.weight)?$")
Places = Mapping[str, TensorPlace]
NO_PLACES: Places = {}
MAX_VOCABULARY = 1 << 20


@dataclass(frozen=True)
class Saved:
    """What an adapter has of its own instead of the base's; None where it uses the base's.

    `vocabulary` counts the tokens that may be read. A head may have fewer rows: the others are never drawn.
    """

    embedding: Tensor | None
    head: Matrix | None
    vocabulary: int

    @property
    def is_whole(self) -> bool:
        """Whether it has tensors of its own, and not just fewer tokens."""
        return self.embedding is not None or self.head is not None


def saved_places(folder: AdapterFolder) -> dict[str, TensorPlace]:
    """The whole modules among an adapter's tensors, by name; of one under several keys, the one that PEFT computes with."""
    trained: dict[str, TensorPlace] = {}
    plain: dict[str, TensorPlace] = {}
    for key, place in folder.tensors.items():
        match = KEY.match(key)
        if match is not None and match[2] != "original_module.":
            (trained if match[2] == "modules_to_save." else plain)[match[1]] = place
    return plain | trained


def pairs_of(folder: AdapterFolder) -> dict[str, dict[str, TensorPlace]]:
    """The LoRA matrices on whole modules, by module and `A` or `B`."""
    found: dict[str, dict[str, TensorPlace]] = {}
    for key, place in folder.tensors.items():
        if (match := LORA.match(key)) is not None:
            found.setdefault(match[1], {})[match[2]] = place
    return found


def own_vocabulary(folder: AdapterFolder, base: int) -> int:
    """The tokens that the model has with this adapter, without a look at its weights; `base` are those that it has without.
    The one that fills up batches in training is none, though a row was made for it."""
    embedding = saved_places(folder).get("embed_tokens")
    rows = embedding.shape[0] if embedding is not None and len(embedding.shape) == 2 else base
    if rows > base and "embed_tokens" not in trained_whole(folder) and only_fills_up(folder.path, base):
        return base
    return rows


def trained_whole(folder: AdapterFolder) -> set[str]:
    """The modules that training changed; others were saved only since the vocabulary had another size."""
    return {str(module).split(".")[-1] for module in folder.config.get("modules_to_save") or ()} | set(pairs_of(folder))


def read_saved(
    folder: AdapterFolder, spec: ModelSpec, dtype: torch.dtype, device: torch.device, base: Places = NO_PLACES
) -> Saved | None:
    """Reads and checks the whole modules, None when there are none; AdapterError names what does not fit. `base`: where the
    base's tensors are, which LoRA on one of them is added to."""
    places, pairs = saved_places(folder), pairs_of(folder)
    for module in folder.config.get("modules_to_save") or ():
        if str(module).split(".")[-1] not in places:
            raise AdapterError(f"{folder.path} is to bring its own {module}, but holds no such tensor")
    for name in pairs:
        places.setdefault(name, base_place(folder, name, base))
    if not places:
        return None
    for name, place in places.items():
        if len(place.shape) != 2 or place.shape[1] != spec.hidden or not 0 < place.shape[0] <= MAX_VOCABULARY:
            raise AdapterError(
                f"{folder.path}: {name} has the shape {place.shape}; the base needs (tokens, {spec.hidden}) "
                f"with at most {MAX_VOCABULARY} tokens"
            )
    vocabulary = own_vocabulary(folder, spec.vocabulary)
    head, rows = places.get("lm_head"), places["embed_tokens"].shape[0] if "embed_tokens" in places else vocabulary
    if head is not None and head.shape[0] > rows:
        raise AdapterError(
            f"{folder.path}: its lm_head draws {head.shape[0]} tokens, but only {rows} have an embedding; "
            "save embed_tokens with it (save_embedding_layers)"
        )
    if vocabulary <= spec.vocabulary:
        places = {name: place for name, place in places.items() if not is_the_bases(folder, name, place, base)}
    if not places and vocabulary == spec.vocabulary:
        return None
    read = {
        name: read_whole(folder, name, place, pairs.get(name)).to(dtype).to(device) for name, place in places.items()
    }
    for name, tensor in read.items():
        if not bool(torch.isfinite(tensor).all()):
            raise AdapterError(f"{folder.path}: {name} is not finite")
    return Saved(read.get("embed_tokens"), packed(Matrix(read["lm_head"])) if "lm_head" in read else None, vocabulary)


def is_the_bases(folder: AdapterFolder, name: str, place: TensorPlace, base: Places) -> bool:
    """Whether a module that was only saved has the base's numbers: the base's own serves then, for nothing, on the fast path."""
    if name in trained_whole(folder) or not base:
        return False
    theirs = base_place(folder, name, base)
    if place.shape[1:] != theirs.shape[1:] or not place.is_floating or not theirs.is_floating:
        return False
    rows, format_ = min(place.shape[0], theirs.shape[0]), DTYPES[theirs.dtype]
    return torch.equal(read_tensor(first_rows(place, rows)).to(format_), read_tensor(first_rows(theirs, rows)))


def first_rows(place: TensorPlace, rows: int) -> TensorPlace:
    length = place.length // max(place.shape[0], 1) * rows
    return replace(place, length=length, shape=(rows, *place.shape[1:]))


def base_place(folder: AdapterFolder, name: str, base: Places) -> TensorPlace:
    """Of the base's own module; a head that is tied has the embedding's."""
    for each in (name, "embed_tokens"):
        for key in (f"{each}.weight", f"model.{each}.weight"):
            if key in base:
                return base[key]
    raise AdapterError(f"{folder.path} adds to {name}, which the base does not hold as such")


def read_whole(folder: AdapterFolder, name: str, place: TensorPlace, pair: Places | None) -> Tensor:
    """With what its LoRA matrices add, where it has any."""
    tensor = read_tensor(place)
    if not tensor.is_floating_point():
        raise AdapterError(f"{folder.path}: {name} holds {place.dtype}, which are no weights")
    return tensor if pair is None else tensor.float() + added(folder, name, pair, place.shape)


def added(folder: AdapterFolder, name: str, pair: Places, shape: tuple[int, ...]) -> Tensor:
    """[rows, hidden]. PEFT stores an embedding's pair the other way round: it looks rows of A up."""
    if len(pair) < 2:
        raise AdapterError(f"{folder.path}: {name} has only one of its two matrices")
    a, b = read_tensor(pair["A"]).float(), read_tensor(pair["B"]).float()
    rows, hidden = shape
    inner, outer = (rows, hidden) if name == "embed_tokens" else (hidden, rows)
    rank = a.shape[0]
    if tuple(a.shape) != (rank, inner) or tuple(b.shape) != (outer, rank) or not 0 < rank <= MAX_RANK:
        raise AdapterError(
            f"{folder.path}: {name} has the shapes {tuple(a.shape)} and {tuple(b.shape)}; the base needs (r, {inner}) and "
            f"({outer}, r), r up to {MAX_RANK}"
        )
    module = name if name == "lm_head" else f"model.{name}"
    said = rank_of(folder.config, module)
    if said and said != rank:
        raise AdapterError(f"{folder.path}: {name} has rank {rank}; {folder.path / 'adapter_config.json'} says {said}")
    delta = (b @ a) * scale_of(folder.config, module, rank)
    return delta.t() if name == "embed_tokens" else delta


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
