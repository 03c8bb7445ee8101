"""A row of the sidecar's death amid an upload: killed at every write to the share, and the same command goes on from there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from sidecar.core.workspace import open_workspace
from sidecar.doors.demo import sample_models
from sidecar.gateway.session import open_session
from sidecar.workflows.observe import api_key
from tests.bench.deploy import Ground
from tests.contract.localcloud.conftest import eventually
from tests.faults.rolling.callers import Caller
from tests.faults.rolling.table import Play, Told
from tests.support.contained import ROOT

SECONDS = 120
ADAPTER = "models/qlora/qlora/gpu_model/adapter"
WRITES = {"part": "files", "method": "PUT|DELETE", "times": None}


def killed() -> Told:
    with tempfile.TemporaryDirectory(prefix="slipway-kills-", ignore_cleanup_errors=True) as folder:
        ground = Ground(Path(folder))
        try:
            ground.prepare()
            return swept(ground)
        finally:
            ground.stop()


def swept(ground: Ground) -> Told:
    source = ground.folder / "tuned"
    shutil.copytree(sample_models(ground.settings, threading.Event())[0] / ADAPTER, source)
    known = [_uploaded(ground, source)["hash"]]
    workspace = open_workspace(str(ground.project))
    key = api_key(workspace, open_session(ground.settings, "local"))
    endpoint = json.loads((workspace.infra / "inference.config.json").read_text())["ACA_APP_ENDPOINT"]
    wrong: list[str] = []
    with Caller(f"http://{endpoint}", key, "tuned", rest=0) as caller:
        _faults(ground, {**WRITES, "kind": "delay"})
        _version(source, 0)
        known.append(_uploaded(ground, source)["hash"])
        points = int(_faults(ground)[0]["seen"])
        for number in range(points):
            _version(source, number + 1)
            _faults(ground, {**WRITES, "kind": "hold", "seconds": 60, "skip": number})
            process = _begun(ground, source)
            eventually(lambda: _hits(ground) > 0, SECONDS)
            process.kill()
            process.communicate()
            _faults(ground)
            done = _uploaded(ground, source)
            known.append(done["hash"])
            if done["live"] != "live" or len(set(known)) != len(known):
                wrong.append(f"at write {number}: {done['live']}")
    strange = set(caller.hashes) - set(known)
    wrong += [f"{len(strange)} versions answered that nobody has uploaded"] if strange else []
    wrong += [f"{len(caller.failed)} requests failed: {sorted(set(caller.failed))}"] if caller.failed else []
    seen = f"{points} writes, {len(caller.hashes)} requests answered, {len(set(caller.hashes))} versions; " + (
        "; ".join(wrong) or "each command after went on, and its version answers"
    )
    expected = "the version before answers until the new one is whole; the same command goes on"
    return Told(expected, seen, not wrong and points > 5)


def _version(source: Path, number: int) -> None:
    """Another configuration and other weights, of the same sizes: the last byte of a float's mantissa."""
    config, weights = source / "adapter_config.json", source / "adapter_model.safetensors"
    config.write_text(json.dumps({**json.loads(config.read_text()), "lora_alpha": 100 + number}))
    content = bytearray(weights.read_bytes())
    content[-4] = number % 256
    weights.write_bytes(content)


def _begun(ground: Ground, source: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "sidecar",
        "upload",
        str(source),
        str(ground.project),
        "--cloud",
        "local",
        "--json",
    ]
    return subprocess.Popen(
        [*command, "--as", "tuned"], cwd=ROOT, env=ground.environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _uploaded(ground: Ground, source: Path) -> dict[str, Any]:
    said = json.loads(_begun(ground, source).communicate(timeout=SECONDS)[0])
    if "error" in said:
        raise SystemExit(f"the upload failed: {said['error']['code']}: {said['error']['message']}")
    return said


def _faults(ground: Ground, *rules: dict[str, Any]) -> list[dict[str, Any]]:
    """Sets rules; what those before have seen."""
    known = json.loads((ground.settings.local_state / "cloud.json").read_text())
    headers = {"Authorization": f"Bearer {known['adminToken']}"}
    with httpx.Client(
        base_url=known["arm"], verify=known["caFile"], headers=headers, trust_env=False, timeout=60
    ) as client:
        before = client.get("/admin/faults").json()["rules"]
        client.put("/admin/faults", json={"seed": 1, "rules": list(rules)}).raise_for_status()
        return before


def _hits(ground: Ground) -> int:
    known = json.loads((ground.settings.local_state / "cloud.json").read_text())
    headers = {"Authorization": f"Bearer {known['adminToken']}"}
    url = f"{known['arm']}/admin/faults"
    return int(
        httpx.get(url, headers=headers, verify=known["caFile"], trust_env=False, timeout=60).json()["rules"][0]["hits"]
    )


ROWS: Mapping[str, Callable[[], Told]] = {"upload-kills": killed}


@contextmanager
def opened() -> Generator[Play]:
    """Its ground is a project and a local cloud of its own."""
    yield lambda name: ROWS[name]()
