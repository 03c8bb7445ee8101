"""A TCP proxy that breaks connections byte-exactly: after so many bytes it resets, half-closes or stops passing them on."""

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Literal

Mode = Literal["reset", "half-close", "stall"]


@dataclass(frozen=True)
class Cut:
    """What happens to a connection once `after` bytes went in one direction. `times` connections meet it, then none."""

    mode: Mode
    direction: Literal["up", "down"]
    after: int
    times: int


class TcpProxy:
    def __init__(self, host: str, port: int, cut: Cut | None) -> None:
        self._target = (host, port)
        self._cut = cut
        self.hits = 0

    async def listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        above_reader, above_writer = await asyncio.open_connection(*self._target)
        cut = self._cut if self._cut and self.hits < self._cut.times else None
        try:
            await asyncio.gather(
                self._pass(reader, above_writer, writer, cut if cut and cut.direction == "up" else None),
                self._pass(above_reader, writer, writer, cut if cut and cut.direction == "down" else None),
            )
        except OSError:
            pass  # a side is gone; that is the point of this proxy
        finally:
            for each in (writer, above_writer):
                each.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter, cut: Cut | None
    ) -> None:
        passed = 0
        while data := await reader.read(65536):
            if cut and passed + len(data) >= cut.after:
                writer.write(data[: cut.after - passed])
                await writer.drain()
                self.hits += 1
                await self._break(cut, writer, client)
                return
            passed += len(data)
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def _break(self, cut: Cut, writer: asyncio.StreamWriter, client: asyncio.StreamWriter) -> None:
        if cut.mode == "half-close":
            writer.write_eof()
        elif cut.mode == "reset":
            # With lingering off, closing sends RST instead of FIN.
            raw = client.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.transport.abort()
        else:
            await asyncio.Event().wait()


async def _serve(host: str, port: int, cut: Cut | None) -> None:
    server = await TcpProxy(host, port, cut).listen()
    async with server:
        sys.stdout.write(json.dumps({"ready": True, "port": server.sockets[0].getsockname()[1]}) + "\n")
        sys.stdout.flush()
        await server.serve_forever()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.tcp_proxy", description=__doc__)
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--mode", choices=("reset", "half-close", "stall"))
    parser.add_argument("--direction", choices=("up", "down"), default="down")
    parser.add_argument("--after", type=int, default=0, metavar="BYTES")
    parser.add_argument("--times", type=int, default=1)
    given = parser.parse_args()
    host, _, port = given.target.rpartition(":")
    cut = Cut(given.mode, given.direction, given.after, given.times) if given.mode else None
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(host, int(port), cut))
    return 0


if __name__ == "__main__":
    sys.exit(main())
