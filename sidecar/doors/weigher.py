"""The process in which answers are weighed: questions on stdin, what is found on stdout, a line of JSON each.

Whoever asks ends it where it takes too long. Where nobody is left to do so, it ends itself, by a watch of the interpreter's own:
an expression that goes back and forth lets no thread of Python's run."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from typing import TextIO

from sidecar.decisions.weighing import weigh


def main() -> int:
    with open(os.devnull, "w") as nowhere:  # a trace of it could hold what was answered
        try:
            _answer_each(nowhere)
        except BrokenPipeError:
            return 1
        except Exception as error:  # noqa: BLE001  (its words may hold what was answered: only its kind is told)
            sys.stderr.write(type(error).__name__)
            return 1
    return 0


def _answer_each(nowhere: TextIO) -> None:
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        faulthandler.dump_traceback_later(asked["seconds"], exit=True, file=nowhere)
        found = weigh(asked["part"], asked["stated"], asked["text"])
        faulthandler.cancel_dump_traceback_later()
        out.write(json.dumps(found).encode() + b"\n")
        out.flush()
