"""`python -m sidecar …`: `serve` is the JSON-RPC door, `demo` is `npm start`, everything else is the terminal door."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    match arguments[:1]:
        case ["serve"]:
            from sidecar.server import serve

            serve(dict(os.environ))
            return 0
        case ["protocol"]:
            from sidecar.protocol import typescript

            sys.stdout.write(typescript())
            return 0
        case ["demo"]:
            from sidecar.demo import main as demo

            return demo(arguments[1:], dict(os.environ))
        case _:
            from sidecar.cli import main as cli

            return cli(arguments, dict(os.environ))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
