"""Whether our server would take an adapter for the base model that is there, by its configuration and its tensors' shapes. Pure.

The rules are the model server's (inference/engine/weights/lora.py and whole_modules.py; for models that transformers serves,
inference/engine/compute/fallback.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from sidecar.decisions.checks import Check, Unread, passed, unverified, warned
from sidecar.decisions.model_facts import Adapter, Base, Broken, Json, Tensor, Tensors
from sidecar.decisions.model_shape import Shape
from sidecar.decisions.models_on_share import CUT_OFF, UNFINISHED
from sidecar.decisions.rank_patterns import MOST_WAYS, ways
from sidecar.decisions.tokenizer_check import unusable
from sidecar.words.text import Text

WEIGHTS, PICKLED = "adapter_model.safetensors", "adapter_model.bin"
MOST_RANK, MOST_VOCABULARY = 256, 1 << 20
LORA = re.compile(r"^base_model\.model\.model\.layers\.(\d+)\.([a-z_.]+)\.lora_([AB])\.weight$")
WHOLE = re.compile(
    r"^base_model\.model\.(?:model\.)?(embed_tokens|lm_head)\.(modules_to_save\.|original_module\.|base_layer\.)?weight$"
)
WHOLE_LORA = re.compile(
    r"^base_model\.model\.(?:model\.)?(embed_tokens|lm_head)\.lora_(?:embedding_)?([AB])(?:\.weight)?$"
)
WHOLE_MODULES = ("embed_tokens", "lm_head")

REFUSED_KEYS = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "fan_in_fan_out",
    "lora_bias",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "target_parameters",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
)
"""What changes the arithmetic in ways that our engine does not compute."""

CHANGE_THE_BASE = ("pissa", "olora", "corda", "lora_ga", "loftq")

FOREIGN_TYPES = ("LORA", "LOHA", "LOKR", "IA3", "OFT")
FOREIGN_REFUSED = [
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
    "layer_replication",
    "kasa_config",
]
"""The same for a model that transformers serves."""

KNOWN_KEYS = frozenset(
    (
        "alpha_pattern",
        "auto_mapping",
        "base_model_name_or_path",
        "bias",
        "corda_config",
        "ensure_weight_tying",
        "eva_config",
        "exclude_modules",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "loftq_config",
        "lora_alpha",
        "lora_dropout",
        "lora_ga_config",
        "megatron_config",
        "megatron_core",
        "modules_to_save",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "r",
        "rank_pattern",
        "revision",
        "runtime_config",
        "target_modules",
        "task_type",
        "use_rslora",
        "velora_config",
        *REFUSED_KEYS,
    )
)
"""Of a LoRA configuration, up to PEFT 0.19."""


def adapter_check(adapter: Adapter, base: Base, shape: Shape | None) -> Check:
    """`shape`: of a base that our own engine serves. A refused adapter is a warning: the server starts without it and says so."""
    name = f"adapter {adapter.folder}"
    for part in (adapter.config, adapter.tensors, adapter.tokenizer):
        if isinstance(part, Unread):
            return unverified(name, part)
    refused = refusal(adapter, shape)
    if refused is not None:
        told = {"folder": adapter.folder, "reason": refused.reason}
        return warned(
            name,
            Text("The server will refuse the adapter {folder}: {reason}.", **told),
            Text("Train or save it anew for this base, or take it off the share: until then the others answer."),
        )
    doubt = _doubt(adapter, base)
    if doubt is not None:
        return warned(name, *doubt)
    return passed(name, _told(adapter, base, shape))


def refusal(adapter: Adapter, shape: Shape | None) -> Broken | None:
    """Why the server takes it for no base at all, where no `shape` is given, or not for this one."""
    config, tensors = adapter.config, adapter.tensors
    if UNFINISHED in adapter.files:
        return Broken(CUT_OFF)
    if isinstance(config, Broken):
        return Broken(Text("adapter_config.json: {reason}", reason=config.reason))
    if tensors is None:
        pickled = PICKLED in adapter.files
        return Broken(Text("{file} may hold code and is not read", file=PICKLED) if pickled else _lacks_weights())
    if isinstance(tensors, Broken):
        return Broken(Text("{file}: {reason}", file=WEIGHTS, reason=tensors.reason))
    if isinstance(config, Unread) or isinstance(tensors, Unread):
        return None
    return (
        _by_config(config, shape)
        or (None if shape is None else _by_shapes(config, tensors, shape))
        or unusable(adapter.files, adapter.tokenizer)
    )


def _lacks_weights() -> Text:
    return Text("it has no {file}", file=WEIGHTS)


def _by_config(config: Json, shape: Shape | None) -> Broken | None:
    if not config.get("peft_type"):
        return Broken(Text("adapter_config.json names no peft_type, so it is not PEFT's (mlx-lm writes such files)"))
    kinds = ("LORA",) if shape is not None else FOREIGN_TYPES
    if config.get("peft_type") not in kinds:
        told = {"kind": config.get("peft_type"), "kinds": ", ".join(kinds)}
        return Broken(Text("its peft_type is {kind}; supported are {kinds}", **told))
    for key in REFUSED_KEYS if shape is not None else FOREIGN_REFUSED:
        if config.get(key) or (shape is None and config.get(key) == {}):
            return Broken(Text("it uses {key}, which is not supported", key=key))
    started = str(config.get("init_lora_weights")).lower()
    if started.startswith(CHANGE_THE_BASE):
        return Broken(Text("it was started with {way}, which changes the base's weights too", way=started))
    whole = [] if shape is None else _names(config.get("modules_to_save"))
    others = [each for each in whole if each.split(".")[-1] not in WHOLE_MODULES]
    if others:
        return Broken(Text("it replaces the whole modules {names}", names=", ".join(others)))
    if config.get("bias", "none") != "none":
        return Broken(Text("it trains biases, which is not supported"))
    return _by_patterns(config)


def _by_patterns(config: Json) -> Broken | None:
    """One that goes back and forth for ever would hold up everything: here too."""
    for key in ("rank_pattern", "alpha_pattern"):
        stated: object = config.get(key)
        patterns = cast("dict[str, object]", stated) if isinstance(stated, dict) else {}
        for pattern in patterns:
            if ways(pattern) > MOST_WAYS:
                return Broken(
                    Text("its pattern {pattern} may match in too many ways to be tried", pattern=pattern[:80])
                )
    return None


def _by_shapes(config: Json, tensors: Tensors, shape: Shape) -> Broken | None:
    pairs: dict[tuple[int, str], dict[str, Tensor]] = {}
    added: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if WHOLE.match(key):
            continue
        if (match := WHOLE_LORA.match(key)) is not None:
            added.setdefault(match[1], {})[match[2]] = tensor
            continue
        match = LORA.match(key)
        if match is None or match[2] not in shape.adaptable or int(match[1]) >= shape.layers:
            return Broken(Text("it has a tensor that the base model has no place for: {key}", key=key))
        pairs.setdefault((int(match[1]), match[2]), {})[match[3]] = tensor
    for (layer, module), pair in sorted(pairs.items()):
        wrong = _pair(config, layer, module, pair, shape)
        if wrong is not None:
            return wrong
    for module, pair in sorted(added.items()):
        wrong = _added(config, module, pair, tensors, shape)
        if wrong is not None:
            return wrong
    return _whole_modules(config, tensors, shape) or (None if tensors else Broken(Text("it holds no LoRA weights")))


def _added(config: Json, module: str, pair: Mapping[str, Tensor], tensors: Tensors, shape: Shape) -> Broken | None:
    """LoRA on embedding or head: PEFT stores an embedding's pair the other way round."""
    if len(pair) < 2:
        return Broken(Text("{module} has only one of its two matrices", module=module))
    whole = saved_modules(tensors).get(module)
    rows = whole.shape[0] if whole is not None and len(whole.shape) == 2 else shape.vocabulary
    inner, outer = (rows, shape.hidden) if module == "embed_tokens" else (shape.hidden, rows)
    a, b = pair["A"].shape, pair["B"].shape
    rank = a[0] if a else 0
    if a != (rank, inner) or b != (outer, rank) or not 0 < rank <= MOST_RANK:
        told = {"has": f"{a} and {b}", "needs": f"(r, {inner}) and ({outer}, r)"}
        return Broken(Text("{module} has shapes {has}; the base needs {needs}", module=module, **told))
    said = _rank_of(config, module if module == "lm_head" else f"model.{module}")
    if said is None:
        return Broken(Text("its configuration states ranks that are none"))
    if said and said != rank:
        return Broken(
            Text("{module} has rank {rank}; its configuration says {said}", module=module, rank=rank, said=said)
        )
    return None


def _pair(config: Json, layer: int, module: str, pair: Mapping[str, Tensor], shape: Shape) -> Broken | None:
    where = {"layer": layer, "module": module}
    if len(pair) < 2:
        return Broken(Text("layer {layer} {module} has only one of its two matrices", **where))
    a, b, needs = pair["A"].shape, pair["B"].shape, shape.adaptable[module]
    rank = a[0] if a else 0
    if a != (rank, needs.columns) or b != (needs.rows, rank):
        told = {"has": f"{a} and {b}", "needs": f"(r, {needs.columns}) and ({needs.rows}, r)"}
        return Broken(Text("layer {layer} {module} has shapes {has}; the base needs {needs}", **where, **told))
    if rank > MOST_RANK:
        return Broken(
            Text("layer {layer} {module} has rank {rank}; at most {most}", **where, rank=rank, most=MOST_RANK)
        )
    said = _rank_of(config, f"model.layers.{layer}.{module}")
    if said is None:
        return Broken(Text("its configuration states ranks that are none"))
    if said and said != rank:
        return Broken(
            Text("layer {layer} {module} has rank {rank}; its configuration says {said}", **where, rank=rank, said=said)
        )
    return None


def _rank_of(config: Json, module: str) -> int | None:
    """0: it says none. None: what it says is no rank."""
    stated: object = config.get("rank_pattern") or None
    if stated is not None and not isinstance(stated, dict):
        return None
    try:
        for pattern, value in cast("dict[str, object]", stated or {}).items():
            if re.match(rf"(.*\.)?({pattern})$", module):
                return int(cast("int", value))
        return int(cast("int", config.get("r") or 0))
    except (re.error, TypeError, ValueError, OverflowError):
        return None


def _whole_modules(config: Json, tensors: Tensors, shape: Shape) -> Broken | None:
    saved = saved_modules(tensors)
    for module in _names(config.get("modules_to_save")):
        if module.split(".")[-1] not in saved:
            return Broken(Text("it is to bring its own {module}, but holds no such tensor", module=module))
    for name, each in saved.items():
        if len(each.shape) != 2 or each.shape[1] != shape.hidden or not 0 < each.shape[0] <= MOST_VOCABULARY:
            told = {"name": name, "has": each.shape, "hidden": shape.hidden}
            return Broken(Text("its {name} has the shape {has}; the base needs (tokens, {hidden})", **told))
        if not each.is_floating:
            return Broken(Text("its {name} holds {dtype}, which are no weights", name=name, dtype=each.dtype))
    head, embedding = saved.get("lm_head"), saved.get("embed_tokens")
    vocabulary = shape.vocabulary if embedding is None else embedding.shape[0]
    if head is not None and head.shape[0] > vocabulary:
        told = {"rows": head.shape[0], "vocabulary": vocabulary}
        return Broken(Text("its lm_head draws {rows} tokens, but only {vocabulary} have an embedding", **told))
    return None


def saved_modules(tensors: Tensors) -> Mapping[str, Tensor]:
    """Embedding and head that it brings whole; of one under several keys the trained one."""
    trained: dict[str, Tensor] = {}
    plain: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        match = WHOLE.match(key)
        if match is not None and match[2] != "original_module.":
            (trained if match[2] == "modules_to_save." else plain)[match[1]] = tensor
    return plain | trained


def _doubt(adapter: Adapter, base: Base) -> tuple[Text, Text | None] | None:
    config = adapter.config
    if isinstance(config, (Broken, Unread)):
        return None
    theirs = config.get("base_model_name_or_path")
    if isinstance(theirs, str) and theirs and _model(theirs) != _model(base.name):
        return (
            Text(
                "{folder} was trained on {theirs}; the base here is {ours}.",
                folder=adapter.folder,
                theirs=theirs,
                ours=base.name,
            ),
            Text("Its shapes fit, so the server takes it: its answers are good only where both have the same weights."),
        )
    unknown = sorted(key for key, value in config.items() if key not in KNOWN_KEYS and value)
    if config.get("peft_type") == "LORA" and unknown:
        return (
            Text(
                "The configuration of {folder} has keys that the server does not know: {keys}.",
                folder=adapter.folder,
                keys=", ".join(unknown),
            ),
            Text("If one of them changes how the adapter is computed, its answers differ from those in training."),
        )
    held = [] if isinstance(adapter.tensors, (Broken, Unread)) else [f".{each}" for each in adapter.tensors or ()]
    absent = [
        each
        for each in _names(config.get("target_modules"))
        if not _has_module(base.tensors, each) and not any(f".{each}.lora_" in tensor for tensor in held)
    ]
    if absent and base.tensors and base.unread is None:
        told = {"folder": adapter.folder, "names": ", ".join(absent), "base": base.name}
        return Text("{folder} is for modules that {base} does not have: {names}.", **told), None
    return None


def _has_module(tensors: Tensors, module: str) -> bool:
    """As PEFT matches a name in a list: the module's own, or the end of its path."""
    return any(f".{name}".endswith(f".{module}.weight") for name in tensors)


def _model(name: str) -> str:
    """What two names of one model have in common: not who published it, nor in how many bits."""
    last = re.split(r"[\\/]", name.rstrip("\\/"))[-1].lower()
    return re.sub(r"(-unsloth)?-(bnb-)?4bit$", "", last)


def _told(adapter: Adapter, base: Base, shape: Shape | None) -> Text:
    config, tensors = adapter.config, adapter.tensors
    if isinstance(config, (Broken, Unread)) or isinstance(tensors, (Broken, Unread)) or tensors is None:
        return Text("{folder} was not looked into.", folder=adapter.folder)
    facts = {"folder": adapter.folder, "base": base.name, "rank": config.get("r"), "count": len(tensors) // 2}
    if shape is None:
        return Text("{folder}: of a kind that is supported; transformers judges its shapes.", **facts)
    embedding = saved_modules(tensors).get("embed_tokens")
    if embedding is not None and embedding.shape[0] != shape.vocabulary:
        facts |= {"own": embedding.shape[0], "vocabulary": shape.vocabulary}
        return Text(
            "{folder} fits {base}: rank {rank}, with {own} tokens of its own in place of {vocabulary}.", **facts
        )
    return Text("{folder} fits {base}: rank {rank}, {count} modules.", **facts)


def _names(value: object) -> list[str]:
    """A list of names; a regular expression is no name."""
    return [str(each) for each in cast("list[object]", value)] if isinstance(value, list) else []
