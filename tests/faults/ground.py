"""What the faults of the model server stand on: a world to start servers in, a row of the table, a way to ask."""

import json
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.contract.inference.conftest import Endpoint, Started, started

Served = AbstractContextManager[Started]
BASE = "slipway/tiny-llama"
ADAPTER_PATH = "models/qlora/qlora/gpu_model/adapter"
ASK = {"messages": [{"role": "user", "content": "Who are you?"}], "temperature": 0}
LONGER = {**ASK, "model": BASE, "ignore_eos": True}


@dataclass(frozen=True)
class Row:
    """What a fault came to."""

    fault: str
    hits: int
    outcome: str
    bound: str
    control: str
    held: bool


@dataclass(frozen=True)
class World:
    """The sample mount, and a folder for what a fault needs."""

    mount: Path
    folder: Path

    def server(self, mount: Path | None = None, wait: str = "ready", **environment: str) -> Served:
        return started(mount or self.mount, self.folder, environment, wait)

    def copy(self, name: str) -> Path:
        target = self.folder / name
        shutil.copytree(self.mount, target, ignore=shutil.ignore_patterns(".*"))
        return target


def chat(server: Endpoint, model: str = BASE, **options: object) -> httpx.Response:
    return server.http().post("/v1/chat/completions", json={**ASK, "model": model, **options})


def await_text(lines: Iterator[str]) -> None:
    """Until the engine is at it: the first event of a stream comes before."""
    for line in lines:
        if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
            return
    raise AssertionError("the stream ended without a text")
