"""A web server for tests that plays apps in trouble, run as a container's command: standard library only.

LOADING: a file; while it is there it listens and answers everything with 503; START_HELD: a file that it locks for sharing before
it listens (tests/support/held.py); SICK: a file that makes /health answer 503 while it is
there; IGNORE_TERM: it does not end when it is told to; WORKER: a child does the work, and this process outlives it.
"""

import fcntl
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HUNG = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/hang":
            HUNG.set()
        if self.path == "/die":
            os.kill(os.getpid(), signal.SIGKILL)
        if HUNG.is_set() or self.path == "/wait":
            threading.Event().wait()
        sick = self.path == "/health" and Path(os.environ.get("SICK", "/nowhere")).exists()
        loading = Path(os.environ.get("LOADING", "/nowhere")).exists()
        self.answer(503 if sick or loading else 200, b"loading" if loading else os.environ.get("ANSWER", "").encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


def main() -> None:
    if os.environ.get("IGNORE_TERM"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if begin := os.environ.get("START_HELD"):
        with Path(begin).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
    time.sleep(float(os.environ.get("START_AFTER", "0")))  # sleeps: it plays a server that takes its time
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["CONTAINER_APP_PORT"])), Handler)
    if os.environ.get("WORKER") and os.fork():
        os.wait()
        print("the worker has ended", flush=True)
        signal.pause()
    server.serve_forever()


if __name__ == "__main__":
    main()
