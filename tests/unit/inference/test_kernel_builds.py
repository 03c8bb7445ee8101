"""Every Triton kernel compiles for the GPUs that it is for, in the shapes of real models, without spilling registers.

No GPU is needed: the compiler and ptxas come with Triton. What the kernels compute is tested in test_kernels.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("capability", [80, pytest.param(90, marks=pytest.mark.long)])  # Azure's is the A100
@pytest.mark.parametrize("kind", ["bf16", *(pytest.param(each, marks=pytest.mark.long) for each in ("fp16", "fp32"))])
def test_kernels_compile_without_spilling(capability: int, kind: str):
    """In a process of its own: here Triton was imported to interpret."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.inference.compile_kernels", str(capability), kind],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    built = [json.loads(line) for line in done.stdout.splitlines()]
    assert {each["kernel"] for each in built} == {
        "read_part",
        "join_parts",
        "norm_row",
        "gate_tile",
        "rotate_head",
        "multiply",
        "shrink",
        "expand",
    }
    for each in built:
        assert each["shared"] <= 99 << 10, each  # what every such GPU gives a program
        assert kind == "fp32" or each["spilled"] == 0, each
        if kind != "fp32" and each["kernel"] in {"read_part", "multiply"}:
            assert each["wide_loads"] > 0, each  # 16 bytes a thread, or bandwidth is lost
        if kind != "fp32" and each["kernel"] == "multiply":
            assert each["exchanges"] == 0, each  # through shared memory, in every step
