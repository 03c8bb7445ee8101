"""The container's start as it is deployed, with real model servers in it: what a test sends it, and what it answers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sidecar.core.codefiles import read_tree
from sidecar.core.deployment import GroupFacts, merge_parameters, plan_names
from sidecar.core.releases import Generation
from sidecar.core.sync import Release, pack
from sidecar.localcloud.core.ports import Promise

ROOT = Path(__file__).resolve().parents[2]
GROUP = GroupFacts("sub", "tenant", "rg", "/subscriptions/sub/resourceGroups/rg", "westeurope")
API_KEY, DEPLOY_KEY = "the-key-of-callers", "the-key-of-deploys"
SERVE = f"{sys.executable} -m inference"
HAND_OUT = "        sink(delta)\n"
SHOUTED = "        sink(delta._replace(text=delta.text.upper()))\n"


def start_command(*commands: str, python: str = sys.executable) -> list[str]:
    """As the template states it for the container."""
    template = json.loads((ROOT / "infra" / "provision" / "inference.json").read_text())
    planned = plan_names(template, merge_parameters(template, {"defaultCommands": list(commands)}, {}), GROUP)
    assert planned.app_template is not None
    container: Any = planned.app_template["containers"][0]  # type: ignore[index]
    assert container["command"][:2] == ["python3", "-c"]
    return [python, *container["command"][1:], *container["args"]]


def release_of(folder: Path, name: str, change: Callable[[Path], None] | None = None) -> Release:
    """The model server as it is here, as a release; `change` edits its code first."""
    code = folder / name / "inference"
    shutil.copytree(ROOT / "inference", code, ignore=shutil.ignore_patterns("__pycache__"))
    (code / "release.txt").write_text(name)
    if change is not None:
        change(code)
    return pack(read_tree(code), folder / f"{name}.tar")


def shouting(code: Path) -> None:
    """The release answers in capital letters: each piece of a text tells which release wrote it."""
    edit(code / "service.py", HAND_OUT, SHOUTED)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file} has changed: {old!r}"
    file.write_text(text.replace(old, new))


def share(folder: Path, models: Path) -> Path:
    """A mount with the sample's models, and room for releases."""
    shutil.copytree(models, folder / "mount", ignore=shutil.ignore_patterns(".*"))
    return folder / "mount"


def publish(mount: Path, release: Release, number: int) -> None:
    home = mount / ".slipway" / "app"
    for name in ("releases", "generations"):
        (home / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(release.file, home / "releases" / release.digest)
    (home / "generations" / f"{number}.json").write_bytes(Generation(number, release.digest).to_json())


def eventually(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """The first answer that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "this did not become true in time"
        time.sleep(0.02)  # sleeps: between two looks
    return found


@dataclass(frozen=True)
class Contained:
    """A container, seen from outside; what happens inside is read from its log."""

    process: subprocess.Popen[bytes]
    port: int
    probe_port: int
    log: Path
    seen: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def slipway(self, method: str, path: str, key: str = DEPLOY_KEY, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.request(method, f"{self.url}/slipway/{path}", headers=headers, timeout=120, **more)

    def exchange(self) -> dict[str, Any]:
        return self.slipway("GET", "exchange").json()

    def send(self, release: Release) -> httpx.Response:
        return self.slipway("PUT", f"releases/{release.digest}", content=release.file.read_bytes())

    def begin(self, release: Release, form: str, generation: int = 2, **more: Any) -> httpx.Response:
        body = {"release": release.digest, "generation": generation, "form": form, **more}
        return self.slipway("POST", "exchange", json=body)

    def take_over(self, release: Release) -> httpx.Response:
        return self.slipway("POST", "exchange/take-over", json={"release": release.digest})

    def until(self, *states: str, seconds: float = 180) -> dict[str, Any]:
        """What is told once the exchange is in one of these states; followed as a Deploy does, by asking for news."""
        deadline = time.monotonic() + seconds
        told = self.exchange()
        while told["state"] not in states:
            assert time.monotonic() < deadline, f"{told}\n{self.log.read_text()[-5000:]}"
            told = self.slipway("GET", f"exchange?after={told['seq']}").json()
            self.seen.append(told)
        return told

    def exchanged(self, release: Release, form: str, generation: int = 2, **more: Any) -> dict[str, Any]:
        """Sends, begins, takes over; the last word on it."""
        assert self.send(release).status_code in (200, 201)
        begun = self.begin(release, form, generation, **more)
        assert begun.status_code == 202, begun.text
        told = self.until("checked", "done", "failed")
        if told["state"] == "checked":
            assert self.take_over(release).status_code == 202
            told = self.until("done", "failed")
        return told

    def get(self, path: str, key: str = API_KEY) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers={"authorization": f"Bearer {key}"}, timeout=120)

    def version(self) -> dict[str, Any]:
        return self.get("/version").json()

    def chat(self, question: str, client: httpx.Client | None = None, **more: Any) -> httpx.Response:
        body = {
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "model": "slipway/tiny-llama",
            **more,
        }
        headers = {"authorization": f"Bearer {API_KEY}"}
        post = httpx.post if client is None else client.post
        return post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=120)

    def probe(self, path: str) -> int | None:
        """The status on the probes' own port; None where there is no answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.probe_port}{path}", timeout=120).status_code
        except httpx.TransportError:
            return None

    def ready(self, seconds: float = 180) -> None:
        eventually(self.is_ready, seconds)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-5000:]
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health/ready", timeout=120).status_code == 200
        return False

    def servers(self) -> list[int]:
        """Process ids of the model servers in it, the oldest first."""
        found: list[tuple[int, int]] = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                after = stat.read_text().rpartition(")")[2].split()
                command = (stat.parent / "cmdline").read_bytes().split(b"\0")
                if int(after[1]) == self.process.pid and b"inference" in command:
                    found.append((int(after[19]), int(stat.parent.name)))
        return [pid for _, pid in sorted(found)]


@contextlib.contextmanager
def contained(
    mount: Path, folder: Path, *commands: str, python: str = sys.executable, **variables: str
) -> Generator[Contained]:
    promises = Promise("127.0.0.1"), Promise("127.0.0.1")
    port, probe_port = (each.port for each in promises)
    log = folder / f"container-{port}.log"
    machine = {name: value for name, value in os.environ.items() if not re.match(r"PIP_|SLIPWAY_|CONTAINER_APP_", name)}
    environment = {
        **machine,
        "SLIPWAY_MOUNT": str(mount),
        "SLIPWAY_APP": "app",
        "SLIPWAY_RELEASE": "current",
        "SLIPWAY_API_KEY": API_KEY,
        "SLIPWAY_DEPLOY_KEY": DEPLOY_KEY,
        "SLIPWAY_BIND_HOST": "127.0.0.1",
        "SLIPWAY_PROBE_PORT": str(probe_port),
        "CONTAINER_APP_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            start_command(*(commands or (SERVE,)), python=python), env=environment, stdout=output, stderr=output
        )
    try:
        yield Contained(process, port, probe_port, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
        if process.poll() is None:
            process.kill()
        process.wait()
        for each in promises:
            each.end()
