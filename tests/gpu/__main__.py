"""`python3 -m tests.gpu`: everything that only a GPU can show, in less than eight minutes, on PyTorch and pytest alone.

First the tests of this folder, then `python3 -m tests.bench.gpu --goals` in the time that is left. Says which PyTorch, Triton
and device ran. Without a GPU it says so and fails, so that nobody takes skipped tests for passed ones.
"""

import argparse
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from inference.engine.compute.hardware_report import hardware_report

ROOT = Path(__file__).resolve().parents[2]
WHOLE = 470  # seconds
FOR_TESTS = 180
NO_GPU = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.gpu", description="Test and measure what needs a GPU.")
    parser.add_argument("--without", action="append", default=[], metavar="PEER", help="as tests.bench.gpu has it")
    asked = parser.parse_args()
    for line in (*hardware_report(), f"Triton {installed('triton')}, pytest {installed('pytest')}"):
        print(line, flush=True)
    if not torch.cuda.is_available():
        print("no GPU: PyTorch sees none here, so nothing was tested", file=sys.stderr)
        return NO_GPU
    began = time.monotonic()
    tests = ran(
        ["pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestConfigWarning", "tests/gpu"], FOR_TESTS
    )
    left = int(WHOLE - (time.monotonic() - began))
    without = [part for peer in asked.without for part in ("--without", peer)]
    goals = ran(["tests.bench.gpu", "--goals", "--seconds", str(left - 20), *without], left)
    print(
        f"tests: {told(tests)}; goals: {told(goals)}; {time.monotonic() - began:.0f} s on {torch.cuda.get_device_name(0)}"
    )
    return tests or goals


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"


def ran(module: list[str], seconds: float) -> int:
    """The exit code of `python3 -m …`; that of `timeout` where it took too long."""
    try:
        return subprocess.run([sys.executable, "-m", *module], cwd=ROOT, timeout=seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"{module[0]} was ended after {seconds:.0f} s", file=sys.stderr)
        return 124


def told(code: int) -> str:
    return "all passed" if code == 0 else f"not all ({code})"


if __name__ == "__main__":
    sys.exit(main())
