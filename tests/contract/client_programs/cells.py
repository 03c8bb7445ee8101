"""What every program here does: runs its cells, each by itself, and writes a line of JSON for each. Nothing but the standard
library, since each runs in an environment that holds its client alone."""

import asyncio
import inspect
import json
import os
import traceback
from collections.abc import Callable
from typing import Any

URL = os.environ["CLIENT_URL"]
KEY = os.environ["CLIENT_KEY"]
MODEL = os.environ["CLIENT_MODEL"]
SENTENCE = "High tide is at noon."
AFTER_CALL = "The tide table says 12:04."
PLACE = "Brest"
ASK = [{"role": "user", "content": "When is high tide?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_tide",
        "description": "When high tide is at a place",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
        },
    },
}


LOOP = asyncio.new_event_loop()
"""One for all cells: a client's connections belong to the loop that they were opened on."""


class Wrong(Exception):
    """The client got something else than it should."""


def same(got: Any, wanted: Any) -> None:
    if got != wanted:
        raise Wrong(f"{got!r} in place of {wanted!r}")


def one_of(got: Any, *wanted: Any) -> None:
    if got not in wanted:
        raise Wrong(f"{got!r} is none of {wanted!r}")


def raised(call: Callable[[], Any], kind: type[BaseException] | tuple[type[BaseException], ...]) -> Any:
    """What a call ends with, which has to be of that kind."""
    try:
        got = call()
        if inspect.isawaitable(got):
            LOOP.run_until_complete(got)
    except kind as error:
        return error
    raise Wrong("nothing was raised")


def run(cells: dict[str, Callable[[], Any]]) -> None:
    for name, cell in cells.items():
        said = ""
        try:
            done = cell()
            if inspect.isawaitable(done):
                LOOP.run_until_complete(done)
        except BaseException as error:  # noqa: BLE001  (whatever a client raises is the cell's result)
            lines = traceback.format_exception_only(type(error), error)
            said = " ".join("".join(lines).split()) or type(error).__name__
        print(json.dumps({"cell": name, "said": said}), flush=True)
