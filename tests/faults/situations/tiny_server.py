"""A release without a model for the tables of failures: our health routes, keys, /version and one answer, or what it is told.

Standard library only. It is copied into a project as `inference/__main__.py`; beside it `mode.txt` says what it plays, and the
variable MODE, where a revision states it, goes before that.
"""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = "tiny/base"
STARTED = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
LIVE = {"hangs": False, "status": 200, "chat": 200}
FAILED: list[str] = []
READY = threading.Event()
MODES: set[str] = set()
GIVEN_UP = {
    "no-model": "no base model under /mount/model-cache: expected <organisation>/<model>/config.json",
    "old-driver": "/dev/nvidia0 is there, but PyTorch sees no GPU: is the driver too old for its CUDA 13.0?",
    "gpu-memory": "the model needs 15.8 GB of GPU memory and 14.2 GB are free; "
    "gpuProfileType Consumption-GPU-NC24-A100 has 80 GiB",
}
"""Modes of failed starts that need a model or a GPU: the real server's sentences (tests/unit/inference/test_tiny_server.py)."""

KEYS = {key for name in ("SLIPWAY_API_KEY", "SLIPWAY_API_KEY_PREVIOUS") if (key := os.environ.get(name))}


class Handler(BaseHTTPRequestHandler):
    def admits(self) -> bool:
        """Whether what needs a key has one; else it is refused."""
        given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if not self.path.startswith("/v1/") or not KEYS or given in KEYS:
            return True
        self.answer(401, {})
        return False

    def do_GET(self) -> None:
        if not self.admits():
            return
        if self.path == "/health/live":
            if LIVE["hangs"]:
                threading.Event().wait()
            self.answer(LIVE["status"], {})
        elif self.path == "/health/ready":
            ready = READY.is_set()
            phase = "failed" if FAILED else "ready" if ready else "loading-base"
            self.answer(200 if ready else 503, {"status": "ok", "phase": phase, "detail": "".join(FAILED)})
        elif self.path == "/version":
            self.answer(200 if READY.is_set() else 503, version())
        elif self.path == "/v1/models":
            self.answer(200, {"data": [{"id": BASE}]})
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if not self.admits():
            return
        if self.path == "/unready":
            READY.clear()
        if self.path == "/worker":
            lose_worker()
        if self.path == "/say":
            print(said, flush=True)
        if self.path == "/end":
            os._exit(3)
        self.answer(LIVE["chat"], {"choices": [{"message": {"content": "Hello"}}]})

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come often."""


def lose_worker() -> None:
    """A process of its own is killed, this one lives on: the platform sees nothing, so the server says it."""
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker.kill()
    FAILED.append(f"the engine has failed: its worker ended with {worker.wait()}")
    READY.clear()
    print(f"slipway: failed: {FAILED[-1]}", flush=True)


def version() -> dict[str, object]:
    return {
        "release": os.environ.get("SLIPWAY_RELEASE_DIGEST"),
        "generation": os.environ.get("SLIPWAY_GENERATION"),
        "replica": os.environ.get("CONTAINER_APP_REPLICA_NAME"),
        "base": BASE,
        "adapters": [],
        "keys": len(KEYS),
        "refused": [{"name": "broken", "reason": "it is truncated"}] if "refused" in MODES else [],
        "startedAt": STARTED,
        "readyAfter": 1,
    }


def main(mode: str) -> None:
    MODES.add(mode)
    port = int(os.environ["CONTAINER_APP_PORT"])
    if mode == "crash":
        print("Traceback: it broke", flush=True)
        sys.exit(3)
    if mode == "raises":
        raise RuntimeError("the tokenizer is wrong")
    if mode == "full" and sys.platform != "linux":
        raise OSError(28, "No space left on device")  # other systems have no such device
    if mode == "full":
        Path("/dev/full").write_bytes(b"a disk of the container's own, and all of it is used")
    if mode == "packages":
        sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--no-index", "no-such-package-of-anybody"]))
    if mode == "killed":
        os.kill(os.getpid(), 9)
    if mode == "late":
        print("slipway: phase loading-base 10%", flush=True)
        time.sleep(float(os.environ.get("LATE", "25")))  # sleeps: it plays a model that loads for long
    if mode == "elsewhere":
        port = 0
    if mode == "broken-answers":
        LIVE["chat"] = 500
    if mode == "no-route":
        LIVE["status"] = 404
    if mode in GIVEN_UP:
        print(f"slipway: failed: {GIVEN_UP[mode]}", flush=True)
    elif mode == "hangs":
        threading.Timer(2, LIVE.update, [{"hangs": True}]).start()
    else:
        print("slipway: phase ready", flush=True)
        READY.set()
    ThreadingHTTPServer((os.environ.get("SLIPWAY_BIND_HOST", "127.0.0.1"), port), Handler).serve_forever()


if __name__ == "__main__":
    main(os.environ.get("MODE") or Path(__file__).with_name("mode.txt").read_text().strip())
