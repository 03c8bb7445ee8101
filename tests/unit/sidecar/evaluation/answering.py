"""A server of a base that gives every question the same answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RELEASE, BASE = "a" * 64, "org/base"


@contextmanager
def answering(
    text: str = "4", *, lost: int = 0, release: str = RELEASE, listed: int = 0, refused: bool = False
) -> Generator[tuple[str, list[str]]]:
    """The first looks at its version are lost, and those at its models (`listed`); what it is asked is listed."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path != "/version" and asked.count(self.path) > listed:
                self.answer({"data": [{"id": BASE}]})
            elif self.path != "/version":
                self.close_connection = True
            elif asked.count("/version") > lost:
                poet = [{"name": "poet", "reason": "adapter_model.safetensors is truncated"}] if refused else []
                self.answer(
                    {"release": release, "base": BASE, "baseHash": "c" * 64, "limits": {"running": 4}, "refused": poet}
                )
            else:
                self.close_connection = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self.answer({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})

        def answer(self, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """What is asked is looked at by the test."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}", asked
    finally:
        made.shutdown()
        thread.join()
        made.server_close()
