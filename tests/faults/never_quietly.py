"""What would be wrong without a word: numbers that are none, a GPU of no use, a wrong kernel, a share that hiccups."""

import contextlib
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.bench.small_model import make
from tests.faults.ground import Row, World

ROOT = Path(__file__).resolve().parents[2]
ROUGH = str(Path(__file__).parent / "rough_machine")
POISON = 300  # the token whose embedding is infinite
TRY_AGAIN = 75


def not_finite(world: World) -> Row:
    """A prompt makes a model's numbers overflow, beside others that do not."""
    mount = world.folder / "overflowing"
    make(mount, adapters=0)
    poison(mount / "model-cache" / "bench" / "small" / "model.safetensors")
    with world.server(mount) as server:

        def asked(*prompt: int, **options: object) -> tuple[int, str]:
            body = {"model": "bench/small", "prompt": list(prompt), "max_tokens": 3, "ignore_eos": True, **options}
            text = b""
            with server.http().stream("POST", "/v1/completions", json=body) as answer:
                with contextlib.suppress(httpx.RemoteProtocolError):  # a stream that fails ends with the connection
                    for part in answer.iter_raw():
                        text += part
                return answer.status_code, text.decode()

        before = asked(301, 302)
        failed = [
            asked(301, POISON, temperature=temperature, top_p=top_p)
            for temperature, top_p in ((0, 1), (1, 1), (1, 0.5))
        ]
        streamed = asked(301, POISON, stream=True)
        after = asked(301, 302)
    told = all(status == 500 and "no longer finite" in text for status, text in failed)
    broken = "no longer finite" in streamed[1] and "[DONE]" not in streamed[1]
    held = told and broken and before[0] == after[0] == 200
    outcome = f"{[status for status, _ in failed]}, a stream's error event without [DONE]: {broken}, then {after[0]}"
    return Row("numbers that are none", len(failed) + 1, outcome, "only those requests", f"without: {before[0]}", held)


def poison(weights: Path) -> None:
    """Makes one row of the embedding infinite, in place."""
    with weights.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        entry = json.loads(file.read(length))["model.embed_tokens.weight"]
        assert entry["dtype"] == "F32"
        row = entry["shape"][1] * 4
        file.seek(8 + length + entry["data_offsets"][0] + POISON * row)
        file.write(struct.pack("<f", float("inf")) * entry["shape"][1])


def useless_gpu(world: World) -> Row:
    """The system shows a GPU that PyTorch cannot use."""
    played = world.folder / "played"
    rough: dict[str, Any] = {"PYTHONPATH": ROUGH, "USELESS_GPU": "1", "PLAYED": str(played)}
    began = time.monotonic()
    with world.server(wait="failed", **rough) as server:
        said = server.http().get("/health/ready").json()["detail"]
        code = server.process.wait(60)
    took = time.monotonic() - began
    with world.server(**rough, SLIPWAY_DEVICE="cpu") as server:
        control = server.http().get("/version").json()["device"]
    hits = played.read_text().count("gpu")
    held = code == 1 and "PyTorch sees no GPU" in said and "SLIPWAY_DEVICE" in said and control == "cpu" and took < 60
    outcome = f"the start fails with {code} after {took:.0f} s: {said}"
    return Row(
        "a GPU that PyTorch cannot use", hits, outcome, "60 s", f"SLIPWAY_DEVICE=cpu serves on the {control}", held
    )


def wrong_kernel(world: World) -> Row:
    """A kernel that computes something else than torch's operations."""
    command = [sys.executable, "-m", "tests.faults.spoiled_kernels"]
    done = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "TRITON_INTERPRET": "1"}
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    note = " ".join(seen["notes"])
    held = seen["attention"] == "torch" and seen["same"] and "attention of 1 rows is apart" in note
    held = held and seen["sound"] == "triton"
    outcome = f"{seen['attention']} serves, with its own tokens: {seen['same']}; said: {note}"
    return Row(
        "a kernel that fails its self-check", 1, outcome, "before it is ready", f"sound ones: {seen['sound']}", held
    )


def some_read_errors(world: World) -> Row:
    """Some reads of weights fail with EIO."""
    played = world.folder / "played"
    rough: dict[str, Any] = {"PYTHONPATH": ROUGH, "PLAYED": str(played), "READ_ERRORS": "5"}
    with world.server(**rough) as server:
        tried = server.log.read_text().count("the share does not answer")
        status = server.http().get("/health/ready").status_code
    with world.server(READ_ERRORS="5") as server:
        control = server.log.read_text().count("the share does not answer")
    hits = played.read_text().count("read")
    held = hits == tried == 5 and status == 200 and control == 0
    outcome = f"{tried} of 5 tried again, then ready ({status})"
    return Row("EIO of some reads while loading", hits, outcome, "10.5 s of patience", f"without: {control}", held)


def read_errors(world: World) -> Row:
    """All reads of weights fail with EIO, beside a refusal that no restart mends."""
    played = world.folder / "played"
    rough: dict[str, Any] = {"PYTHONPATH": ROUGH, "PLAYED": str(played), "READ_ERRORS": "1000000"}
    with world.server(wait="failed", **rough) as server:
        said = server.http().get("/health/ready").json()["detail"]
        code = server.process.wait(60)
        restart = "a restart may mend this" in server.log.read_text()
    mount = world.copy("truncated")
    os.truncate(next((mount / "model-cache").rglob("*.safetensors")), 1_000_000)
    with world.server(mount, wait="failed") as server:
        control = server.process.wait(60)
        put_right = "no restart mends this" in server.log.read_text()
    hits = played.read_text().count("read")
    held = hits > 0 and code == TRY_AGAIN and restart and control == 1 and put_right
    held = held and "the share does not answer" in said and "Input/output error" in said
    outcome = f"exit code {code}, {said}"
    return Row("EIO of all reads while loading", hits, outcome, "10.5 s of patience", f"truncated: {control}", held)
