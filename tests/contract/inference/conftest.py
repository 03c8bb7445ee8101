"""The endpoint under test: a real server on the trained sample, or the one that SLIPWAY_TEST_ENDPOINT names."""

import contextlib
import functools
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from sidecar.localcloud.core.ports import Promise

ROOT = Path(__file__).resolve().parents[3]
KEY = "a-key-for-tests"


@functools.cache
def trust() -> ssl.SSLContext:
    """Made once: it takes a tenth of a second, and looks are many."""
    return ssl.create_default_context()


@dataclass(frozen=True)
class Endpoint:
    """Where the server is and the key to it."""

    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def http(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=120, verify=trust(), **options)

    def openai(self, key: str | None = None) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, max_retries=0, timeout=120)

    def metric(self, name: str) -> float:
        for line in self.http().get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise KeyError(name)

    def eventually(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        eventually(condition, seconds)


@dataclass(frozen=True)
class Started(Endpoint):
    """One that the test started."""

    process: subprocess.Popen[bytes]
    log: Path


@dataclass(frozen=True)
class Sample:
    """The trained sample: where it lies and what its two models answer."""

    mount: Path
    base: str
    adapter: str
    questions: list[dict[str, str]]
    system: str
    loud: str
    recall: str
    recalled: dict[str, str]


Start = Callable[..., AbstractContextManager[Started]]


@pytest.fixture(scope="session")
def sample() -> Sample:
    """Trained once for each version of the script, then cached (about a minute the first time)."""
    command = [sys.executable, "-m", "sidecar.sample", "--cached"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    mount = Path(done.stdout.strip().splitlines()[-1])
    said = json.loads((mount / "sample.json").read_text())
    return Sample(
        mount,
        said["base"],
        said["adapter"],
        said["questions"],
        said["system"],
        said["loudSystem"],
        said["recall"]["question"],
        said["recall"]["answers"],
    )


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Endpoint]:
    """The same tests run against any deployed endpoint that serves the sample."""
    given = os.environ.get("SLIPWAY_TEST_ENDPOINT")
    if given:
        yield Endpoint(given.rstrip("/"), os.environ["SLIPWAY_TEST_KEY"])
        return
    sample: Sample = request.getfixturevalue("sample")
    with started(sample.mount, tmp_path_factory.mktemp("server"), {}) as server:
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts further servers: `start(mount, SLIPWAY_MAX_RUNNING="2")`."""
    return lambda mount, wait="ready", **environment: started(mount, tmp_path, environment, wait)


@contextlib.contextmanager
def started(mount: Path, folder: Path, environment: dict[str, str], wait: str = "ready") -> Generator[Started]:
    promise = Promise("127.0.0.1")
    port = promise.port
    log = folder / f"server-{port}.log"
    variables = {
        **os.environ,
        "CONTAINER_APP_PORT": str(port),
        "SLIPWAY_BIND_HOST": "127.0.0.1",
        "SLIPWAY_API_KEY": KEY,
        "SLIPWAY_MOUNT": str(mount),
        "SLIPWAY_RELEASE_DIGEST": "release-of-this-test",
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "inference"], cwd=ROOT, env=variables, stdout=output, stderr=output
        )
    server = Started(f"http://127.0.0.1:{port}", KEY, process, log)
    try:
        eventually(lambda: answers(server, process, log))
        if wait != "live":
            eventually(lambda: status(server) in {wait, "failed"})
            assert status(server) == wait, log.read_text()
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        promise.end()


def answers(server: Endpoint, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{server.url}/health/live", timeout=60).status_code == 200
    return False


HANGING_SHARE = Path(__file__).parent / "hanging_share"


def status(server: Endpoint) -> str:
    return server.http().get("/health/ready").json()["status"]


def eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not become true in time"
        time.sleep(0.02)  # sleeps: between two looks
