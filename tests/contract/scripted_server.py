"""The real server on a model that is scripted: what it says follows from the conversation, all else is the server's own.

It calls `get_tide` where it is told of it, says the result once there is one, and answers everything else with one sentence. An
answer that has to follow a grammar is drawn by the tiny random model itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import uvicorn

from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import Choice, Sequence
from inference.engine.text.tokenizer import Tokenizer
from inference.web.connections import connections
from tests.unit.inference.conftest import Rig, make_family, rig_for, served_by
from tests.unit.inference.test_calls_through_the_api import tokenizer_with

KEY = "key"
NAME = "Qwen/Qwen2.5-0.5B-Instruct"
"""As in the recorded requests of other clients, with its slash."""
SENTENCE = "High tide is at noon."
AFTER_CALL = "The tide table says 12:04."
CALL = '<tool_call>\n{"name": "%s", "arguments": {"place": "Brest"}}\n</tool_call>'
TOLD = re.compile(r'"([\w-]*get_tide)"')
"""The function, by whatever name a client gives it."""
TEMPLATE = (
    "{% if tools %}{{ tools | tojson }}<tool_call>{% endif %}"
    "{% for m in messages %}{{ '\\n' + m.role }}: {{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}{% endfor %}"
)
END = "<|end|>"
BREAK, SLOW = "Break off.", "Take your time."
SOON, PAUSE = 3, 15.0
"""The token of an answer at which one breaks off, or takes its time; and seconds of that."""


class Script:
    """Puts the scripted tokens in the place of those that were drawn."""

    def __init__(self, rig: Rig, tokenizer: Tokenizer) -> None:
        self._rig = rig
        self._tokenizer = tokenizer
        self._scripts: dict[int, list[int]] = {}

    def step(self, slices: list[Slice]) -> list[Choice]:
        drawn = self._rig.runner.run(slices)
        ended = [each.sequence for each in slices if each.last]
        return [self._said(sequence, choice) for sequence, choice in zip(ended, drawn, strict=True)]

    def _said(self, sequence: Sequence, choice: Choice) -> Choice:
        said = self._tokenizer.decode(sequence.tokens[: sequence.prompt_length]) if sequence.generated == SOON else ""
        if BREAK in said:
            raise RuntimeError("CUDA error: an illegal memory access")
        if SLOW in said:
            time.sleep(PAUSE)  # sleeps: it plays a model that takes its time
        if sequence.params.grammar is not None or sequence.params.prompt_logprobs is not None:
            return choice
        if sequence.generated == 0:
            asked = self._tokenizer.decode(sequence.tokens[: sequence.prompt_length])
            self._scripts[sequence.id] = self._tokenizer.encode(f"{answer_to(asked)}{END}")
        script = self._scripts[sequence.id]
        token = script[min(sequence.generated, len(script) - 1)]
        return replace(choice, token=token)


def answer_to(conversation: str) -> str:
    last = conversation.rstrip().rpartition("\n")[2]
    if last.startswith("tool:"):
        return AFTER_CALL
    told = TOLD.search(conversation.partition("\n")[0])  # where the functions of this turn are told
    return CALL % told[1] if told is not None else SENTENCE


async def serve(port: int, folder: Path) -> None:
    tokenizer = tokenizer_with(TEMPLATE)
    family = make_family(folder, "LlamaConfig", ["q_proj"], vocab_size=288, max_position_embeddings=16384)
    rig = rig_for(family, tokenizer=tokenizer, blocks=4096, block_size=16)
    rig.steps.step = Script(rig, tokenizer).step
    _, app = served_by(rig, folder, name=NAME, begin_after=1.0, keep_alive=1.0)
    tokenizer.fast.save(str(folder / "tokenizer.json"))  # for clients that count tokens themselves
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    config = uvicorn.Config(app, "127.0.0.1", port, http=connections(15), lifespan="off", log_config=None, ws="none")
    try:
        await uvicorn.Server(config).serve()
    finally:
        rig.engine.stop()


if __name__ == "__main__":
    asyncio.run(serve(int(os.environ["CONTAINER_APP_PORT"]), Path(sys.argv[1])))
