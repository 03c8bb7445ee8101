"""A stand-in for where Microsoft releases the Bicep CLI: GitHub's list of releases, and the files, which another host has.

As a program, `FOLDER FILE`: until it is ended; the address of the list is written into the file."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sidecar.gateway.bicep_release import this_asset
from tests.support.bicep_standin import standin


@dataclass
class Releases:
    """`cut`: bytes after which an answer breaks off, once each. `digest`: what the list states; None: nothing."""

    content: bytes
    version: str = "0.49.2"
    digest: str | None = ""
    cut: list[int] = field(default_factory=list[int])
    no_ranges: bool = False
    held: threading.Event | None = None
    """An answer's second half waits for it."""
    seen: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(path, Range) of each request."""
    url: str = ""

    @property
    def environ(self) -> dict[str, str]:
        return {"SLIPWAY_BICEP_RELEASES": f"{self.url}/repos/Azure/bicep/releases"}

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients break off, and are broken off: that is what it is for."""


@contextmanager
def releases(folder: Path, mode: str = "") -> Generator[Releases]:
    program = standin(folder, mode)
    # What is fetched is as large as to come in pieces.
    made = Releases(program.read_bytes() + b"\n# " + b"x" * 300_000 + b"\n")
    server = _Quiet(("127.0.0.1", 0), _handler(made))
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        if made.held is not None:
            made.held.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(made: Releases) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.seen.append((self.path, self.headers.get("Range", "")))
            if self.path.startswith("/repos/"):
                return self._list()
            if self.path == f"/download/v{made.version}/{this_asset()}":
                return self._answer(302, b"", {"Location": f"{made.url}/objects/1?sig=x"})
            return self._file() if self.path.startswith(("/objects/", "/mirror/")) else self._answer(404, b"")

        def _list(self) -> None:
            if self.path.rpartition("/releases/")[2] not in ("latest", f"tags/v{made.version}"):
                return self._answer(404, b'{"message":"Not Found"}')
            digest = {} if made.digest is None else {"digest": f"sha256:{made.digest or made.sha256}"}
            asset = {
                "name": this_asset(),
                "size": len(made.content),
                "browser_download_url": f"{made.url}/download/v{made.version}/{this_asset()}",
                **digest,
            }
            document = {"tag_name": f"v{made.version}", "assets": [{"name": "bicep.exe.txt"}, asset]}
            return self._answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

        def _file(self) -> None:
            asked = self.headers.get("Range", "")
            begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and not made.no_ranges else 0
            body = made.content[begin:]
            if begin and not body:
                return self._answer(416, b"")
            return self._answer(206 if begin else 200, body)

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if len(body) > 100_000 and made.cut:
                self.wfile.write(body[: made.cut.pop(0)])
                self.close_connection = True
                return self.connection.close()
            if len(body) > 100_000 and made.held is not None:
                self.wfile.write(body[:100_000])
                self.wfile.flush()
                made.held.wait()
                body = body[100_000:]
            self.wfile.write(body)
            return None

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


if __name__ == "__main__":
    with releases(Path(sys.argv[1])) as serving:
        written = Path(sys.argv[2])
        written.with_suffix(".new").write_text(serving.environ["SLIPWAY_BICEP_RELEASES"])
        written.with_suffix(".new").rename(written)
        threading.Event().wait()
