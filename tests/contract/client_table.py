"""Client libraries, each in an environment of its own: what they are, how they are put there, and what came of their cells."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).with_name("client_programs")
CACHE = ROOT / "build" / "clients"
INSTALLING = 600
"""Seconds for one client's packages."""
RUNNING = 120
COMMON = ("chat", "stream", "tools", "schema", "errors")


@dataclass(frozen=True)
class Client:
    """`program`: a file of `client_programs`. `cells`: what it prints, those of every client first."""

    name: str
    program: str
    packages: tuple[str, ...]
    cells: tuple[str, ...] = COMMON

    @property
    def in_node(self) -> bool:
        return self.program.endswith(".mjs")


CLIENTS = (
    Client("openai (Python)", "openai_python.py", ("openai==3.57.0",), (*COMMON, "responses")),
    Client("AzureOpenAI (Python)", "azure_openai.py", ("openai==3.57.0",), (*COMMON, "responses")),
    Client("openai (npm)", "openai_npm.mjs", ("openai@6.49.0",), (*COMMON, "responses")),
    Client("LangChain", "langchain_openai_.py", ("langchain-openai==1.7.4",), (*COMMON, "responses")),
    Client("LiteLLM", "litellm_.py", ("litellm==1.110.2",), (*COMMON, "responses")),
    Client("LlamaIndex", "llama_index_.py", ("llama-index-llms-openai-like==0.8.1",)),
    Client("Semantic Kernel", "semantic_kernel_.py", ("semantic-kernel==1.45.0",)),
    Client(
        "Vercel AI SDK",
        "ai_sdk.mjs",
        ("ai@6.0.326", "@ai-sdk/openai@3.0.141", "@ai-sdk/openai-compatible@2.0.92", "zod@4.6.7"),
    ),
    Client("openai-agents", "openai_agents.py", ("openai-agents==0.24.0",), (*COMMON, "session")),
    Client(
        "lm-evaluation-harness",
        "lm_eval_.py",
        ("lm_eval[api]==0.4.13", "transformers==5.24.0"),
        ("chat", "completions", "likelihood", "errors"),
    ),
)


@dataclass(frozen=True)
class Row:
    """`cells`: what went wrong in each, empty where nothing did. `unverified`: why none of it could be tried."""

    name: str
    cells: Mapping[str, str] = field(default_factory=dict[str, str])
    unverified: str = ""


class NotInstalled(Exception):
    """The client's packages cannot be had; the message says why."""


def run(client: Client, given: Mapping[str, str]) -> Row:
    """Its program, against the server that `given` names."""
    try:
        program = environment_of(client)
    except NotInstalled as error:
        return Row(client.name, dict.fromkeys(client.cells, ""), str(error))
    return Row(client.name, outcome(client.cells, program, given))


def outcome(cells: Sequence[str], command: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """By cell; one that the program never came to is red."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", **given}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=RUNNING, check=False)
        printed, why = done.stdout, f"exit {done.returncode}: {last_line(done.stderr)}"
    except subprocess.TimeoutExpired as late:
        so_far = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        printed, why = so_far, f"not within {RUNNING} s"
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith('{"cell"')]
    said: dict[str, str] = {line["cell"]: line["said"] for line in lines}
    return {name: said.get(name, f"it never came to this ({why})") for name in (*cells, *said)}


def environment_of(client: Client) -> list[str]:
    """The command of its program. An environment is made once for its packages, and kept whole or not at all."""
    digest = hashlib.sha256(" ".join([sys.version, *client.packages]).encode()).hexdigest()[:12]
    first = re.split(r"[=@\[]", client.packages[0].lstrip("@"))[0]
    folder = CACHE / f"{first.replace('/', '-')}-{digest}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as made:
            place = Path(made) / "environment"
            place.mkdir()
            for command in npm(place, client) if client.in_node else pip(place, client):
                install(command, place)
            try:
                place.rename(folder)
            except OSError:
                if not folder.exists():  # else another run was first, and its own does as well
                    raise
    if not client.in_node:
        return [str(folder / "bin" / "python"), str(PROGRAMS / client.program)]
    for each in PROGRAMS.glob("*.mjs"):  # a module finds packages from where it lies
        shutil.copy(each, folder)
    return [node(), str(folder / client.program)]


def pip(folder: Path, client: Client) -> list[list[str]]:
    quiet = ["--quiet", "--disable-pip-version-check", "--prefer-binary"]
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", *quiet, *client.packages],
    ]


def npm(folder: Path, client: Client) -> list[list[str]]:
    (folder / "package.json").write_text('{"type": "module"}')
    found = shutil.which("npm")
    if found is None:
        raise NotInstalled("npm is not installed")
    return [
        [found, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *client.packages]
    ]


def node() -> str:
    found = shutil.which("node")
    if found is None:
        raise NotInstalled("node is not installed")
    return found


def install(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALLING, check=False)
    except subprocess.TimeoutExpired as late:
        raise NotInstalled(f"its packages were not there within {INSTALLING} s") from late
    if done.returncode != 0:
        raise NotInstalled(last_line(done.stderr) or f"exit {done.returncode}")


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def printed(rows: Sequence[Row]) -> tuple[list[str], bool]:
    """The table, what is red and what could not be tried, and the count; whether all that could be tried is as expected."""
    further = max((len([name for name in row.cells if name not in COMMON]) for row in rows), default=0)
    heads = [*COMMON, *(["further"] if further else [])]
    lines = [" " * 38 + "".join(f"{each:12}" for each in heads)]
    notes: list[str] = []
    for row in rows:
        own = [name for name in row.cells if name not in COMMON]
        told = [mark(row, name) for name in COMMON]
        lines.append(
            f"{row.name:38}" + "".join(f"{each:12}" for each in told) + ", ".join(f"{n} {mark(row, n)}" for n in own)
        )
        notes += [f"  RED {row.name}, {name}: {said}" for name, said in row.cells.items() if said]
        if row.unverified:
            notes.append(f"  unverified {row.name}: {row.unverified}")
    tried = [said for row in rows if not row.unverified for said in row.cells.values()]
    number, right = sum(len(row.cells) for row in rows), sum(not said for said in tried)
    missing = number - len(tried)
    lines += [*notes, f"{right} of {number} as expected" + (f", {missing} unverified" if missing else "")]
    return lines, right == len(tried)


def mark(row: Row, name: str) -> str:
    if name not in row.cells:
        return "–"
    return "unverified" if row.unverified else "RED" if row.cells[name] else "ok"
