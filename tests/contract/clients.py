"""`npm run contract -- clients`: client libraries × what they do, against the real server behind the local cloud's ingress.

Python and npm clients are installed at pinned versions into build/clients. Microsoft's .NET clients speak by their recorded
requests, and their answers are held to what those clients demand; guidellm by the requests that its source writes."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.contract.client_table import CLIENTS, ROOT, Row, printed, run
from tests.contract.localcloud.conftest import QUICK, cloud_with_environment
from tests.contract.localcloud.test_apps import app_body, deployed
from tests.contract.recorded_clients import dotnet_rows, findings_row, guidellm_row
from tests.contract.scripted_server import KEY, NAME

IDLE = 10.0
"""Seconds for which the ingress allows silence: Azure's are 240."""


@contextmanager
def ingress(folder: Path) -> Generator[str]:
    """The address of a container app that runs the scripted server."""
    times = {**QUICK["times"], "bounds": 1, "ingress_idle": IDLE}
    with cloud_with_environment(folder / "cloud", {"times": times}) as world:
        environment = world.apps.managed_environments.get("g", "env").id
        mount = folder / "model"
        mount.mkdir()
        variables = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}
        body = app_body(environment, env=variables, scale={"minReplicas": 1, "maxReplicas": 1})
        (container,) = body["properties"]["template"]["containers"]
        container["command"] = [sys.executable, "-m", "tests.contract.scripted_server", str(mount)]
        container["probes"][0]["failureThreshold"] = 240
        yield deployed(world, "g", "clients", body, seconds=240)  # it imports torch and makes a model


def main(wanted: Sequence[str]) -> int:
    """Those whose names hold one of the words; all without a word."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as made, ingress(Path(made)) as url:
        given = {"CLIENT_URL": url, "CLIENT_KEY": KEY, "CLIENT_MODEL": NAME, "CLIENT_TOKENIZER": f"{made}/model"}
        rows: list[Row] = []
        for client in CLIENTS:
            if not wanted or any(word.lower() in client.name.lower() for word in wanted):
                print(f"… {client.name}", flush=True)
                rows.append(run(client, given))
        if not wanted:
            rows += [guidellm_row(url), *dotnet_rows(url), findings_row(url)]
    lines, right = printed(rows)
    print("\n".join([*lines[:-1], f"{time.monotonic() - began:.0f} s", lines[-1]]))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
