"""From the mount to a model that answers: check, load, warm up; every phase is noted."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from inference import hub
from inference.engine.adapters.table import Adapters
from inference.engine.adapters.tokenizer import AdapterTokenizers
from inference.engine.adapters.watch import Watch
from inference.engine.compute.adapter_room import Header, adapter_bytes
from inference.engine.compute.choice import CacheShape
from inference.engine.compute.device import LEAST_BLOCKS, SCORES, Device, bytes_in, choose, gpu_name, kv_blocks, uuid_of
from inference.engine.compute.hardware_report import hardware_report
from inference.engine.compute.model_runner import ModelRunner
from inference.engine.engine import Engine, Runner
from inference.engine.files.base_digest import base_digest
from inference.engine.files.folder import (
    ADAPTER_WEIGHTS,
    FolderError,
    ModelFolder,
    base_models,
    check_model,
    find_adapters,
    find_base,
    read_header,
)
from inference.engine.files.generation_config import API_DEFAULTS, read_defaults
from inference.engine.files.patience import patiently
from inference.engine.files.spec import ModelSpec, UnsupportedModel, read_spec
from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.scheduler import Limits
from inference.engine.text.tokenizer import load_tokenizer
from inference.engine.text.tokenizer_grammars import TokenizerGrammars
from inference.engine.weights.nf4 import four_bits, odd_inputs, size_in_nf4
from inference.gpu_metrics import find_gpu
from inference.service import Note, RunsOn, Served, Service
from inference.settings import EngineChoice, Settings

log = logging.getLogger(__name__)

BLOCK_SIZE = 16
HEAD = "lm_head.weight"


def load(service: Service) -> Served:
    """Runs on the loader's thread. torch is imported by this module, so only there."""
    note: Note = service.note
    settings = service.settings
    note("checking", None, "")
    fetch_missing(service)
    name, path = patiently(lambda: find_base(settings.mount, settings.base_model))
    folder = patiently(lambda: check_model(name, path, settings.mount))
    digest = patiently(lambda: base_digest(folder))
    tokenizer = patiently(lambda: load_tokenizer(path, folder.config))
    for line in hardware_report():
        log.info("%s", line)
    spec = spec_for_ours(settings.engine, folder)
    device = device_for(settings, folder, spec, tokenizer.vocabulary)
    if device.device.type == "cuda":
        service.gpu = find_gpu(uuid_of(device.device))
    note("loading-base", 0.0, name)
    context = context_for(settings, folder.config)
    runner, blocks = make_runner(service, folder, spec, device, context)
    limits = Limits(sequences=settings.max_running, tokens=device.tokens, prefill=device.prefill)
    engine = Engine(runner, tokenizer, BlockManager(blocks, BLOCK_SIZE), limits, context, service.deliver)
    said = "%s on %s, engine %s, context %d tokens, weights in %s"
    log.info(said, name, device.name, engine.kind, engine.context, settings.weights)
    note("loading-adapters", 0.0, "")
    tokenizers = AdapterTokenizers(tokenizer, path, settings.mount)
    adapters = Adapters(settings.mount, settings.max_adapters, engine.install, engine.remove, tokenizers.of)
    adapters.load_all(lambda done, number: note("loading-adapters", done / number, f"{done} of {number}"))
    note("warming-up", None, "")
    runner.warm_up()  # from this thread: nothing can be asked of the engine yet, so it takes no step
    engine.warm_up()
    watch = Watch(adapters, settings.mount, path / "config.json", settings.watch_seconds)
    watch.start()
    runs_on = RunsOn(device.device.type, gpu_name(device.device), device.format, settings.weights, device.notes)
    sampling = read_defaults(path) if settings.authors_sampling else API_DEFAULTS
    if told := sampling.differing():
        log.info("where a request leaves it open, as generation_config.json has it: %s", told)
    return Served(
        name, engine, adapters, TokenizerGrammars(tokenizer), watch, runs_on=runs_on, sampling=sampling, digest=digest
    )


def fetch_missing(service: Service) -> None:
    """The base from the hub, where it is the one to be served and not on the share."""
    settings = service.settings
    wanted = settings.hub_model
    if not wanted or settings.base_model != wanted or wanted in base_models(settings.mount):
        return

    def note(share: float, detail: str) -> None:
        service.note("fetching-base", share, detail)

    note(0.0, wanted)
    asked = hub.Wanted(wanted, settings.hub_revision, settings.hub_url, settings.hub_token)
    hub.fetch(settings.mount, asked, note, settings.replica)
    service.note("checking", None, "")


def device_for(settings: Settings, folder: ModelFolder, spec: ModelSpec | None, vocabulary: int) -> Device:
    in_nf4 = size_in_nf4(folder) if four_bits(settings.weights) else 0
    floats = [place.shape for place in folder.tensors.values() if place.is_floating]
    packed = sum(place.length for place in folder.tensors.values() if not place.is_floating)  # stays as it is stored
    scores = SCORES * settings.max_running * vocabulary
    could_be = (
        spec is not None and not (in_nf4 or packed) and not odd_inputs(spec.hidden, spec.intermediate, spec.query)
    )
    return choose(
        settings.device,
        settings.kv_bytes,
        model=str(folder.config.get("model_type", "")),
        on_disk=in_nf4 or folder.size,
        stored=folder.dtypes,
        loaded=lambda dtype: (in_nf4 or bytes_in(dtype, floats) + packed) + scores,
        smaller=size_in_nf4(folder) + scores if could_be else 0,
        adapters=0 if spec is None else adapter_bytes(spec, adapter_headers(settings)),
    )


def adapter_headers(settings: Settings) -> list[Header]:
    """Of those that will be loaded."""
    found: list[Header] = []
    for path in list(find_adapters(settings.mount).values())[: settings.max_adapters]:
        try:
            found.append(read_header(path / ADAPTER_WEIGHTS))
        except (FolderError, OSError):  # it is refused when it is loaded, and told then
            continue
    return found


def context_for(settings: Settings, config: Mapping[str, Any]) -> int:
    """Tokens of a sequence: what is asked for, as far as the model has positions."""
    usual, most = contexts_of(config)
    if settings.max_context > most:
        log.warning("SLIPWAY_MAX_CONTEXT is %d, but the model has positions for %d only", settings.max_context, most)
    return min(settings.max_context or usual, most)


def make_runner(
    service: Service, folder: ModelFolder, spec: ModelSpec | None, device: Device, context: int
) -> tuple[Runner, int]:
    """Our own engine where it knows the architecture, transformers where not; and the number of KV blocks."""
    settings = service.settings

    def progress(share: float) -> None:
        service.note("loading-base", share, folder.name)

    most = -(-settings.max_running * context // BLOCK_SIZE)
    if spec is not None:
        blocks = blocks_for(spec, device, context, most)
        cache = CacheShape(blocks, BLOCK_SIZE, context, settings.max_running)
        runner = ModelRunner.load(folder, spec, backend=device, cache=cache, packing=settings.weights, note=progress)
        return runner, blocks
    if four_bits(settings.weights):
        raise UnsupportedModel("SLIPWAY_WEIGHTS=nf4 needs our own engine, which does not serve this model")
    from inference.engine.compute import fallback  # noqa: PLC0415  (it imports transformers, which takes seconds)

    return fallback.TransformersRunner(folder, device.device, device.dtype, progress), most


def spec_for_ours(engine: EngineChoice, folder: ModelFolder) -> ModelSpec | None:
    """The model's shape where our own engine is to serve it; None where transformers is."""
    if engine == "transformers":
        return None
    try:
        spec = read_spec(folder.config)
    except UnsupportedModel as error:
        if engine == "own":
            raise
        log.warning("our engine does not know this model (%s): transformers serves it, more slowly", error)
        return None
    if spec.tied and HEAD in folder.tensors:
        log.warning("%s: config.json ties head and embedding, and a head is stored: the stored one counts", folder.name)
        return replace(spec, tied=False)
    return spec


def blocks_for(spec: ModelSpec, device: Device, context: int, most: int) -> int:
    """How many blocks of keys and values there are. A CPU's memory is taken when it is used; a GPU's at once, so there the
    bytes are the bound, and the engine's context follows from the blocks."""
    token = spec.layers * spec.key_value * device.dtype.itemsize
    least = LEAST_BLOCKS if device.device.type == "cuda" else max(-(-context // BLOCK_SIZE) // 8, LEAST_BLOCKS)
    return kv_blocks(device.kv_bytes, token * BLOCK_SIZE, most, least)


def contexts_of(config: Mapping[str, Any]) -> tuple[int, int]:
    """The tokens of a sequence that the model is good for: without being asked, and at most."""
    try:
        return read_spec(config).rope.contexts
    except UnsupportedModel:
        text: Any = config.get("text_config") or config
        trained = int(text.get("max_position_embeddings") or 2048)
        return trained, trained
