"""`python -m sidecar …`: the terminal door; `serve` is the JSON-RPC door; `protocol` prints extension/protocol.ts."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["protocol"]:
        from sidecar.protocol import typescript

        sys.stdout.write(typescript())
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
