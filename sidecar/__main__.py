"""`slipway …`, or `python -m sidecar …`: `serve` is VS Code's door, `mcp` assistants', `demo` `npm start`, the rest is typed."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(arguments: list[str], program: str = "slipway") -> int:
    match arguments[:1]:
        case ["serve"]:
            from sidecar.doors.server import serve  # noqa: PLC0415  (each door loads what it needs)

            serve(dict(os.environ))
            return 0
        case ["protocol"]:
            from sidecar.wire.typescript import typescript  # noqa: PLC0415  (each door loads what it needs)

            sys.stdout.write(typescript())
            return 0
        case ["mcp"]:
            try:
                from sidecar.doors.assistant import main as assistant  # noqa: PLC0415  (MCP takes a second to import)
            except ModuleNotFoundError as error:  # an environment of the person's own, made of an older list
                sys.stderr.write(f"{program} mcp needs the package {error.name}: install sidecar/requirements.txt.\n")
                return 1

            return assistant(arguments[1:], dict(os.environ), f"{program} mcp")
        case ["demo"]:
            from sidecar.doors.demo import main as demo  # noqa: PLC0415  (each door loads what it needs)

            return demo(arguments[1:], dict(os.environ), f"{program} demo")
        case _:
            from sidecar.doors.cli import main as cli  # noqa: PLC0415  (each door loads what it needs)

            return cli(arguments, dict(os.environ), program)


def console() -> int:
    """The console command. What a person types is what help and messages call it."""
    return main(sys.argv[1:], Path(sys.argv[0]).stem)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], "python -m sidecar"))
