"""How long an adapter takes from the request at a running sidecar until it answers: pushed to the server that runs.

    npm run bench -- adapters [--goals] [--rounds 5]

A part of `npm run bench -- deploy` too. Each round is a new version of one adapter: on the local cloud, with the sample model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import httpx

from sidecar.doors.demo import sample_models
from sidecar.wire import protocol as wire
from sidecar.workflows.actions import api_key_action, endpoint_action
from sidecar.workflows.context import Context
from sidecar.workflows.uploading import upload_action
from tests.bench.report import Report, goal_arguments

MOST = 3.0
PUSHED = "adapter alone: at most 3 s by push"
ADAPTER = "models/qlora/qlora/gpu_model/adapter"


def pushed(report: Report, project: Path, sample: Path, context: Context, rounds: int) -> None:
    """The slowest counts."""
    where = wire.FolderCloudParams(folder=str(project), cloud="local")
    key, url = api_key_action(where, context).api_key, endpoint_action(where, context).url
    source = project.parent / "tuned"
    shutil.copytree(sample / ADAPTER, source)
    took: list[float] = []
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False) as client:
        for number in range(rounds):
            config = source / "adapter_config.json"
            config.write_text(json.dumps({**json.loads(config.read_text()), "lora_alpha": 16 + number}))
            began = time.monotonic()
            done = upload_action(_asked(project, source), context)
            uploaded = time.monotonic() - began
            body = {"model": done.name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
            answer = client.post("/v1/chat/completions", json=body).raise_for_status()
            took.append(time.monotonic() - began)
            if done.live != "live" or answer.headers["x-slipway-adapter-hash"] != done.hash:
                raise SystemExit(f"the new version does not answer: {done.live}")
            report.figure("adapter: request to answer", took[-1], uploaded=round(uploaded, 2), sent=done.sent)
    report.figure("adapter: request to answer (median)", median(took))
    report.goal(PUSHED, max(took) <= MOST, f"{PUSHED} ({max(took):.2f} s)")


def _asked(project: Path, source: Path) -> wire.UploadParams:
    return wire.UploadParams(
        folder=str(project), cloud="local", source=str(source), name="tuned", shards=0, consents=[], operation=""
    )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    from tests.bench.deploy import Ground

    parser = argparse.ArgumentParser(prog="npm run bench -- adapters")
    goal_arguments(parser)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    report = Report((PUSHED,))
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        ground = Ground(Path(folder))
        try:
            ground.prepare()
            pushed(
                report,
                ground.project,
                sample_models(ground.settings, threading.Event())[0],
                ground.context,
                options.rounds,
            )
        finally:
            ground.stop()
    report.end(options.goals)


if __name__ == "__main__":
    main(sys.argv[1:])
