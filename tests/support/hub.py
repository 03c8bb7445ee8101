"""A model hub on this machine, as awkward as the real one: files with another host, gated models, connections that end."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

LARGE = 1000
"""Bytes from which on a file is kept with the other host."""


@dataclass
class Hub:
    """`models`: organisation/model → folder. `gated`: these want `token`. `cut`: bytes after which an answer breaks off, one for
    each in turn. `spoiled`: names of files that arrive with a wrong byte, so many times. `refusals`: statuses given first."""

    models: dict[str, Path]
    token: str = "hf_the-right-token"
    gated: set[str] = field(default_factory=set[str])
    cut: list[int] = field(default_factory=list[int])
    spoiled: dict[str, int] = field(default_factory=dict[str, int])
    refusals: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    no_ranges: bool = False
    slow: float = 0.0
    """Seconds between two pieces of a large file."""
    seen: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    """(host, path, Authorization, Range) of each request."""
    url: str = ""
    elsewhere: str = ""

    def names(self, host: str) -> list[str]:
        return [path.rpartition("/")[2] for which, path, _, _ in self.seen if which == host]

    @property
    def told_to_others(self) -> set[str]:
        """What hosts but the hub were shown of a token."""
        return {given for host, _, given, _ in self.seen if host == "elsewhere" and given}


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients break off, and are broken off: that is what it is for."""


@contextmanager
def hub(models: dict[str, Path], **more: Any) -> Generator[Hub]:
    made = Hub(models, **more)
    servers = [_Quiet(("127.0.0.1", 0), _handler(made, host)) for host in ("hub", "elsewhere")]
    made.url, made.elsewhere = (f"http://127.0.0.1:{each.server_port}" for each in servers)
    threads = [threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.02}) for each in servers]
    for each in threads:
        each.start()
    try:
        yield made
    finally:
        for each in servers:
            each.shutdown()
            each.server_close()
        for each in threads:
            each.join()


def _handler(hub: Hub, host: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            hub.seen.append((host, urlsplit(self.path).path, given, self.headers.get("Range", "")))
            if hub.refusals and host == "hub":
                status, after = hub.refusals.pop(0)
                return self._plain(status, b"later", {"Retry-After": after} if after else {})
            if host == "elsewhere":
                return self._elsewhere(given)
            return self._hub(given)

        def _hub(self, given: str) -> None:
            parts = urlsplit(self.path).path.strip("/").split("/")
            model = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
            folder = hub.models.get(model)
            if folder is None:  # a private one looks the same
                return self._plain(404, b'{"error":"Repository not found"}')
            if model in hub.gated and given != f"Bearer {hub.token}":
                return self._plain(403 if given else 401, b'{"error":"Access to this model is restricted"}')
            if parts[0] == "api":
                if parts[5] not in ("main", "v1", COMMIT):
                    return self._plain(404, b'{"error":"Invalid rev id"}')
                return self._plain(200, json.dumps(_listing(folder)).encode(), {"Content-Type": "application/json"})
            file = folder.joinpath(*parts[4:])
            if parts[3] != COMMIT or not file.is_file():
                return self._plain(404, b"Entry not found")
            if file.stat().st_size < LARGE:
                return self._content(file)
            where = f"{hub.elsewhere}/objects/{model}/{file.name}?sig=secret-of-the-link"
            return self._plain(302, b"", {"Location": where, "X-Linked-Size": str(file.stat().st_size)})

        def _elsewhere(self, given: str) -> None:
            asked = urlsplit(self.path)
            *_, organisation, name, file = asked.path.split("/")
            if given:  # as S3 does: two ways to sign in at once
                return self._plain(400, b"Only one auth mechanism allowed")
            if parse_qs(asked.query).get("sig") != ["secret-of-the-link"]:
                return self._plain(403, b"SignatureDoesNotMatch")
            return self._content(hub.models[f"{organisation}/{name}"] / file)

        def _content(self, file: Path) -> None:
            content = bytearray(file.read_bytes())
            if hub.spoiled.get(file.name, 0) > 0:
                hub.spoiled[file.name] -= 1
                content[-1] ^= 1
            asked = self.headers.get("Range", "")
            begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and not hub.no_ranges else 0
            headers = {"Accept-Ranges": "bytes", "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
            if begin:
                headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            self._plain(206 if begin else 200, bytes(content[begin:]), headers, large=len(content) >= LARGE)

        def _plain(
            self, status: int, body: bytes, headers: dict[str, str] | None = None, *, large: bool = False
        ) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if large and hub.cut and len(body) > hub.cut[0]:
                self.wfile.write(body[: hub.cut.pop(0)])
                self.close_connection = True
                return self.connection.close()
            if large and hub.slow:
                for start in range(0, len(body), 1 << 16):
                    self.wfile.write(body[start : start + (1 << 16)])
                    time.sleep(hub.slow)  # sleeps: a slow hub
                return None
            self.wfile.write(body)
            return None

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _listing(folder: Path) -> dict[str, Any]:
    siblings: list[dict[str, Any]] = [{"rfilename": "onnx/model.onnx", "size": 5, "blobId": "x"}]
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = file.read_bytes()
        entry: dict[str, Any] = {"rfilename": file.relative_to(folder).as_posix(), "size": len(content)}
        if len(content) >= LARGE:
            entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 135}
            entry["blobId"] = "0" * 40  # of the pointer, not of the content
        else:
            entry["blobId"] = hashlib.sha1(
                f"blob {len(content)}\0".encode() + content, usedforsecurity=False
            ).hexdigest()
        siblings.append(entry)
    return {"id": "org/m", "sha": COMMIT, "gated": False, "siblings": siblings}
