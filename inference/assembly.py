"""From the mount to a model that answers: check, load, warm up; every phase is noted."""

import logging
from typing import Any

from inference.service import Note, Served, Service

log = logging.getLogger(__name__)

BLOCK_SIZE = 16


def load(service: Service) -> Served:
    """Runs on the loader's thread. The heavy imports are in here, so that the server listens before they are done."""
    note: Note = service.note
    note("dependencies", None, "importing torch")
    from inference.engine.adapters import Adapters
    from inference.engine.block_manager import BlockManager
    from inference.engine.device import choose
    from inference.engine.engine import BatchingEngine
    from inference.engine.folder import check_model, find_base
    from inference.engine.scheduler import Limits
    from inference.engine.tokenizer import load_tokenizer

    settings = service.settings
    note("checking", None, "")
    name, path = find_base(settings.mount, settings.base_model)
    folder = check_model(name, path, settings.mount)
    tokenizer = load_tokenizer(path, folder.config)
    device = choose(settings.device, settings.kv_bytes, folder.size)
    note("loading-base", 0.0, name)
    runner, blocks = make_runner(service, folder, device)
    limits = Limits(sequences=settings.max_running, tokens=device.tokens, prefill=device.prefill)
    context = settings.max_context or context_of(folder.config)
    engine = BatchingEngine(runner, tokenizer, BlockManager(blocks, BLOCK_SIZE), limits, context, service.deliver)
    log.info("%s on %s, engine %s, context %d tokens", name, device.name, engine.kind, engine.context)
    note("loading-adapters", 0.0, "")
    adapters = Adapters(settings.mount, settings.max_adapters, engine.install, engine.remove)
    adapters.load_all(lambda done, number: note("loading-adapters", done / number, f"{done} of {number}"))
    note("warming-up", None, "")
    engine.warm_up()
    return Served(name, engine, adapters)


def make_runner(service: Service, folder: Any, device: Any) -> tuple[Any, int]:
    from inference.engine.fallback import TransformersRunner

    return TransformersRunner(folder, device.device, device.dtype), 4096


def context_of(config: Any) -> int:
    text = config.get("text_config") or config
    return int(text.get("max_position_embeddings") or 2048)
