"""A release that tells itself: its answers name it in a header, and each token of their text follows from its name. With our
health routes, /version and /metrics, and an end that answers what was asked.

Standard library only. It is copied into a project as `inference/__main__.py`; beside it `note.txt` makes one release another."""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RELEASE = os.environ.get("SLIPWAY_RELEASE_DIGEST", "")
BASE = "tiny/base"
ADAPTER = "a" * 64
WORDS = 12
PAUSE = float(os.environ.get("TELLING_PAUSE", "0.05"))
STARTED = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
GRACE = 60
SPENT_AFTER = sys.maxsize
"""Requests after which it answers to its name no more."""


class State:
    """What is under way, and whether more is taken."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.in_flight = 0
        self.begun = 0
        self.leaving = False

    def begin(self) -> None:
        with self.changed:
            self.in_flight += 1
            self.begun += 1

    def end(self) -> None:
        with self.changed:
            self.in_flight -= 1
            self.changed.notify_all()

    def quiet(self) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.in_flight == 0, GRACE)


STATE = State()


def tokens_of(release: str) -> list[str]:
    """What a release says: known to who knows its name."""
    return [hashlib.sha256(f"{release} {number}".encode()).hexdigest()[:8] + " " for number in range(WORDS)]


def text_of(release: str) -> str:
    return "".join(tokens_of(release))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health/live":
            self.answer(200, {})
        elif self.path == "/health/ready":
            self.answer(503 if STATE.leaving else 200, {"status": "ok", "phase": "ready"})
        elif self.path == "/version":
            self.answer(200 if STATE.begun < SPENT_AFTER else 503, version())
        elif self.path == "/metrics":
            self.send(200, f"slipway_in_flight {STATE.in_flight}.0\n".encode(), "text/plain")
        elif self.path == "/v1/models":
            self.answer(200, {"data": [{"id": BASE}]})
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        STATE.begin()
        try:
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            if asked.get("stream"):
                self.stream()
            else:
                self.answer(200, {"choices": [{"message": {"content": text_of(RELEASE)}}]})
        finally:
            STATE.end()

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-Slipway-Release", RELEASE)
        self.send_header("X-Slipway-Adapter-Hash", ADAPTER)
        if STATE.leaving:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        for token in tokens_of(RELEASE):
            self.event(json.dumps({"choices": [{"delta": {"content": token}}]}))
            time.sleep(PAUSE)  # sleeps: it plays a model that takes its time
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, said: str) -> None:
        line = f"data: {said}\n\n".encode()
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()

    def answer(self, status: int, body: object) -> None:
        self.send(status, json.dumps(body).encode(), "application/json")

    def send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if STATE.leaving:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come often."""


def version() -> dict[str, object]:
    return {
        "release": RELEASE,
        "generation": os.environ.get("SLIPWAY_GENERATION"),
        "replica": os.environ.get("CONTAINER_APP_REPLICA_NAME"),
        "base": BASE,
        "adapters": [{"name": "own", "hash": ADAPTER}],
        "refused": [],
        "startedAt": STARTED,
        "readyAfter": 1,
    }


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    port = int(os.environ["CONTAINER_APP_PORT"])
    server = Server((os.environ.get("SLIPWAY_BIND_HOST", "127.0.0.1"), port), Handler)

    def leave(number: int, frame: object) -> None:
        STATE.leaving = True
        threading.Thread(target=end, args=(server,), daemon=True).start()

    signal.signal(signal.SIGTERM, leave)
    print("slipway: phase ready", flush=True)
    server.serve_forever()


def end(server: ThreadingHTTPServer) -> None:
    """Until what was asked is answered; who has a kept connection is told with the answer."""
    STATE.quiet()
    server.shutdown()


if __name__ == "__main__":
    main()
    sys.exit(0)
