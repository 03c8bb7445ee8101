"""A small web server for tests, run as a container's command: standard library only.

START_HELD: a file; it does not begin to listen before it can lock that file for sharing (tests/support/held.py). The same holds
an answer of /until, and what follows the first line of /stream.
"""

import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

STATE: dict[str, Any] = {"ready": True, "lost": 0, "broken": 0}


def shared(file: str) -> None:
    with open(file, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/health":
            self.answer(200 if STATE["ready"] else 503, b"")
        elif url.path == "/env":
            self.answer(200, json.dumps(dict(os.environ)).encode())
        elif url.path == "/pid":
            self.answer(200, str(os.getpid()).encode())
        elif url.path == "/lost":
            self.answer(200, json.dumps(STATE["lost"]).encode())
        elif url.path == "/slow":
            time.sleep(float(query["seconds"]))  # sleeps: it plays a server that takes its time
            self.answer(200, b"done")
        elif url.path == "/until":
            shared(query["file"])
            self.answer(200, b"done")
        elif url.path == "/stream":
            self.until = query.get("file", "")
            self.stream(int(query["count"]), float(query["pause"]))
        elif url.path == "/peer":
            self.answer(200, str(self.client_address[1]).encode())
        elif url.path == "/last":
            self.close_connection = True
            self.answer(200, b"", {"Connection": "close"})
        elif url.path == "/nonsense":
            self.connection.sendall(b"this is not HTTP\r\n\r\n")
            self.close_connection = True
        elif url.path == "/break":
            STATE["broken"] += 1
            self.close_connection = True
        elif url.path == "/broken":
            self.answer(200, str(STATE["broken"]).encode())
        else:
            self.answer(404, b"")

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        body = self.body()
        if url.path == "/unready":
            STATE["ready"] = False
        elif url.path == "/exit":
            threading.Timer(0.1, os._exit, [3]).start()
        elif url.path == "/hold":
            STATE["held"] = open(parse_qs(url.query)["path"][0], "a")  # noqa: SIM115 - held on purpose
        elif url.path == "/say":
            print(parse_qs(url.query)["text"][0], flush=True)
        self.answer(200, body if url.path == "/echo" else b"")

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def stream(self, count: int, pause: float) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for number in range(count):
                line = f"line {number}\n".encode()
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
                if self.until:
                    shared(self.until)
                time.sleep(pause)  # sleeps: it plays a server that takes its time
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            STATE["lost"] += 1
            self.close_connection = True

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


if __name__ == "__main__":
    if begin := os.environ.get("START_HELD"):
        shared(begin)
    time.sleep(float(os.environ.get("START_AFTER", "0")))  # sleeps: it plays a server that takes its time
    port = int(os.environ.get("FIXED_PORT") or os.environ["CONTAINER_APP_PORT"])
    print(f"listening on {port}", file=sys.stdout, flush=True)
    if also := os.environ.get("PROBE_PORT"):
        beside = ThreadingHTTPServer(("127.0.0.1", int(also)), Handler)
        threading.Thread(target=beside.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
