"""The routes about models: listing, loading and unloading adapters, and the tokenizer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from inference.api.completions import encode, encode_chat
from inference.engine.adapters.table import InstalledAdapter
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import FolderError
from inference.engine.text.tokenizer import Tokenizer
from inference.messages import FIRST, ApiError, Message, Strict, json_response, parse
from inference.service import Served, Service

Result = TypeVar("Result")
CHANGES = ThreadPoolExecutor(1, "adapters")
Name = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]


class LoadRequest(Strict):
    """`lora_path` is a folder under the mount, relative to it or absolute; without one, `alias_of` names a loaded adapter."""

    lora_name: Name
    lora_path: Annotated[str, Field(pattern=r"^[^\x00]+$")] | None = None
    alias_of: str | None = None
    load_inplace: bool = False


class UnloadRequest(Strict):
    lora_name: str


class TokenizeRequest(Strict):
    model: str | None = None  # without one: the base
    prompt: str | None = None
    messages: Annotated[list[Message], FIRST] | None = None
    tools: Annotated[list[dict[str, Any]], FIRST] | None = None
    add_special_tokens: bool = True  # of a prompt; a chat template writes its own


class DetokenizeRequest(Strict):
    model: str | None = None
    tokens: Annotated[list[int], FIRST]


async def models(request: Request) -> Response:
    """GET /v1/models."""
    service: Service = request.app.state.service
    served = service.model()
    return json_response({"object": "list", "data": [describe(service, served, name) for name in served.names()]})


async def model(request: Request) -> Response:
    """GET /v1/models/{name}; names hold slashes."""
    service: Service = request.app.state.service
    name: str = request.path_params["model"]
    served = service.model()
    if name not in served.names():
        raise service.unknown(name)
    return json_response(describe(service, served, name))


def describe(service: Service, served: Served, name: str) -> dict[str, Any]:
    adapter = served.adapters.installed.get(name)
    return {
        "id": name,
        "object": "model",
        "created": int(service.started.timestamp()),
        "owned_by": "slipway",
        "parent": served.base if adapter else None,
        "hash": adapter.digest if adapter else None,
        "max_model_len": served.engine.context,
        "engine": served.engine.kind,
        "sampling_defaults": vars(served.sampling),
        "device": served.runs_on.device,
        "dtype": served.runs_on.dtype,
        "weights": served.runs_on.weights,
        "attention": served.engine.attention,
    }


async def load(service: Service, raw: bytes, request: Request) -> Response:
    """POST /v1/load_lora_adapter: loads, replaces (`load_inplace`) or gives another name."""
    asked = parse(LoadRequest, raw)
    served = service.model()
    if asked.lora_name == served.base:
        raise ApiError(400, "an adapter cannot have the base model's name", code="invalid_value", param="lora_name")
    if asked.lora_name in served.adapters.installed and not asked.load_inplace:
        message = f"{asked.lora_name!r} is loaded already; load_inplace replaces it"
        raise ApiError(409, message, code="already_loaded", param="lora_name")
    if (asked.lora_path is None) == (asked.alias_of is None):
        raise ApiError(400, "give either lora_path or alias_of", code="invalid_value", param="lora_path")
    if asked.alias_of is not None and asked.alias_of not in served.adapters.installed:
        raise service.unknown(asked.alias_of, "alias_of")

    def change() -> InstalledAdapter:
        if asked.lora_path is None:
            return served.adapters.alias(asked.lora_name, asked.alias_of or "")
        return served.adapters.load(asked.lora_name, within(service.settings.mount, asked.lora_path))

    try:
        adapter = await aside(change)
    except (AdapterError, FolderError, OSError) as error:
        param = "lora_path" if asked.lora_path is not None else "alias_of"
        raise ApiError(400, str(error), code="adapter_refused", param=param) from error
    return json_response({"name": adapter.name, "hash": adapter.digest, **reached(service)})


async def unload(service: Service, raw: bytes, request: Request) -> Response:
    """POST /v1/unload_lora_adapter; requests under way finish with the adapter that they began with."""
    asked = parse(UnloadRequest, raw)
    served = service.model()
    try:
        await aside(lambda: served.adapters.unload(asked.lora_name))
    except AdapterError as error:
        raise service.unknown(asked.lora_name, "lora_name") from error
    return json_response({"name": asked.lora_name, "unloaded": True, **reached(service)})


def reached(service: Service) -> dict[str, Any]:
    """What a change by the API has reached: a server knows of no other, and a caller may think that it has told them all."""
    said = "this replica alone; a change of the files on the share reaches every one"
    return {"replica": service.settings.replica or None, "reaches": said}


async def tokenize(service: Service, raw: bytes, request: Request) -> Response:
    """POST /tokenize: the tokens of a prompt or of rendered messages."""
    asked = parse(TokenizeRequest, raw)
    served = service.model()
    tokenizer = tokenizer_for(service, asked.model)
    if (asked.prompt is None) == (asked.messages is None):
        raise ApiError(400, "give either prompt or messages", code="invalid_value", param="prompt")
    if asked.messages is not None:
        messages = [message.plain() for message in asked.messages]
        tokens = await encode_chat(served.engine, tokenizer, messages, asked.tools)
    else:
        encoder = tokenizer.encode_prompt if asked.add_special_tokens else tokenizer.encode
        tokens = await encode(served.engine, tokenizer, encoder, asked.prompt or "")
    return json_response({"tokens": tokens, "count": len(tokens), "max_model_len": served.engine.context})


async def detokenize(service: Service, raw: bytes, request: Request) -> Response:
    """POST /detokenize: the text of tokens."""
    asked = parse(DetokenizeRequest, raw)
    tokenizer = tokenizer_for(service, asked.model)
    size, most = tokenizer.fast.get_vocab_size(), service.model().engine.context
    if len(asked.tokens) > most:  # more would hold up everybody's streams
        message = f"at most {most} tokens, the context's, are made text at a time; these are {len(asked.tokens)}"
        raise ApiError(400, message, code="context_length_exceeded", param="tokens")
    if asked.tokens and not (min(asked.tokens) >= 0 and max(asked.tokens) < size):
        raise ApiError(400, f"tokens must lie between 0 and {size - 1}", code="invalid_value", param="tokens")
    return json_response({"prompt": tokenizer.fast.decode(asked.tokens, skip_special_tokens=False)})


def tokenizer_for(service: Service, model: str | None) -> Tokenizer:
    served = service.model()
    if model is None:
        return served.engine.tokenizer
    with service.holding(model) as adapter:
        return served.tokenizer(adapter)


def aside(change: Callable[[], Result]) -> asyncio.Future[Result]:
    """On the one thread for changes of adapters: they wait for one another anyway, and for a share that may hang, so
    they must not take the threads that prompts are encoded on."""
    return asyncio.get_running_loop().run_in_executor(CHANGES, change)


def within(mount: Path, path: str) -> Path:
    """A folder under the mount; anything that leads out of it is refused."""
    folder = (mount / path).resolve()
    if not folder.is_relative_to(mount.resolve()):
        raise ApiError(400, "lora_path must lie under the mount", code="invalid_value", param="lora_path")
    return folder
