"""What is chosen on which hardware, and how memory is shared out."""

import os
import subprocess
import sys
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import pytest
import torch

from inference.engine.compute.device import (
    DeviceError,
    DeviceLost,
    Hardware,
    bytes_in,
    cpu_share,
    gpu_share,
    kv_blocks,
    obstacle_to,
    plan_for,
    raise_if_lost,
    set_up_cuda,
    try_kernel,
    unseen_gpu,
)
from inference.engine.files.folder import TensorPlace
from inference.engine.files.spec import read_spec
from inference.engine.weights.loader import AHEAD, READERS, Target, pieces
from inference.engine.weights.rope import rotations
from tests.gpu.where import KERNELS

GB = 10**9
ROOT = Path(__file__).resolve().parents[3]
H200: dict[str, Any] = {"capability": (9, 0), "gpus": 1, "name": "H200"}
HALVES = frozenset({"BF16"})


def hardware(**changes: Any):
    return Hardware(**{**H200, **changes})


@pytest.mark.parametrize(
    ("machine", "stored", "expected"),
    [
        (Hardware(), HALVES, ("cpu", torch.float32, "dense")),
        (Hardware(cpu_bfloat16=True), HALVES, ("cpu", torch.bfloat16, "dense")),
        (Hardware(cpu_bfloat16=True), frozenset({"BF16", "F32"}), ("cpu", torch.float32, "dense")),
        (hardware(capability=(7, 5)), HALVES, ("cuda", torch.float16, "torch")),
        (hardware(capability=(8, 0)), HALVES, ("cuda", torch.bfloat16, "triton")),
        (hardware(), HALVES, ("cuda", torch.bfloat16, "triton")),
        (hardware(obstacle="no Triton"), HALVES, ("cuda", torch.bfloat16, "torch")),
    ],
)
def test_the_plan(machine: Hardware, stored: Any, expected: tuple[Any, ...]):
    plan = plan_for("auto", machine, stored)
    assert (plan.kind, plan.dtype, plan.attention) == expected


def test_the_first_of_several_gpus_is_used_and_that_is_said():
    plan = plan_for("auto", hardware(gpus=4), HALVES)
    assert plan.notes == ("4 GPUs are there; the first one (H200) is used",)
    assert plan_for("auto", hardware(), HALVES).notes == ()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'triton'"), "No module named 'triton'"),
        (RuntimeError("Failed to find C compiler. Please specify via CC\nor else"), "Failed to find C compiler"),
        (CalledProcessError(1, ["gcc", "main.c"]), "gcc"),  # Python.h is missing
        (AssertionError("libcuda.so cannot found!\nPlease make sure"), "libcuda.so cannot found!"),
        (PermissionError(13, "Permission denied", "/root/.triton"), "/root/.triton"),
        (AssertionError(), "no reason given"),
    ],
)
def test_what_keeps_our_kernels_away_is_said(error: Any, said: str):
    def probe():
        raise error

    obstacle = obstacle_to(probe)
    assert said in obstacle
    plan = plan_for("auto", hardware(obstacle=obstacle), HALVES)
    assert plan.attention == "torch"
    assert plan.notes == (f"{obstacle}: decoding goes on without our kernels and graphs, more slowly",)
    assert "\n" not in plan.notes[0]


def test_a_kernel_that_runs_is_no_obstacle():
    pytest.importorskip("triton")
    assert obstacle_to(lambda: try_kernel(KERNELS)) == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_driver_a_kernel_is_an_obstacle():
    """In a process of its own, where Triton does not interpret."""
    pytest.importorskip("triton")
    told = "import torch; from inference.engine.compute.device import obstacle_to, try_kernel;"
    told += "print(obstacle_to(lambda: try_kernel(torch.device('cpu'))))"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("Triton does not work here ("), done.stderr


def test_a_gpu_that_pytorch_cannot_use_is_said():
    seen = unseen_gpu(["/dev/nvidia0", "/dev/nvidia1"], "13.0")
    assert "/dev/nvidia0" in seen
    assert "CUDA 13.0" in seen
    assert "without CUDA" in unseen_gpu(["/dev/nvidia0"], None)
    assert unseen_gpu([], "13.0") == ""
    built = Hardware(unseen=seen, built_for_gpus=False)
    assert plan_for("auto", built, HALVES).notes == (f"{seen}: the CPU serves, slowly",)
    assert plan_for("cpu", Hardware(unseen=seen), HALVES).notes == ()
    with pytest.raises(DeviceError, match=r"driver too old.*Set SLIPWAY_DEVICE to cpu"):
        plan_for("auto", Hardware(unseen=seen), HALVES)
    with pytest.raises(DeviceError, match="driver too old"):
        plan_for("cuda", Hardware(unseen=seen), HALVES)


def test_cuda_sums_in_float32_and_plans_no_attention():
    matmul, cuda = torch.backends.cuda.matmul, torch.backends.cuda
    before = cuda.cudnn_sdp_enabled()
    names = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
    kept = {name: getattr(matmul, name) for name in names}
    try:
        set_up_cuda()
        assert not cuda.cudnn_sdp_enabled()
        assert not any(getattr(matmul, name) for name in names)
    finally:
        cuda.enable_cudnn_sdp(before)
        for name, value in kept.items():
            setattr(matmul, name, value)


def test_a_gpu_that_is_wanted_and_not_there_is_an_error():
    with pytest.raises(DeviceError, match="SLIPWAY_DEVICE is cuda"):
        plan_for("cuda", Hardware(), HALVES)


def test_the_cpu_is_used_when_it_is_wanted():
    assert plan_for("cpu", hardware(), HALVES).kind == "cpu"


def test_keys_and_values_get_what_the_weights_leave():
    assert gpu_share(16 * GB, 8 * GB) == int(8 * GB * 0.85) - (1 << 30)
    assert cpu_share(16 * GB, 2 * GB) == 3 * GB


def test_a_model_that_does_not_fit_is_refused_with_numbers():
    with pytest.raises(DeviceError, match=r"needs 16\.\d GB of GPU memory and 15\.0 GB are free"):
        gpu_share(15 * GB, int(14.6 * GB))


@pytest.mark.parametrize(
    ("free", "weights", "smaller", "said"),
    [
        (
            15.6,
            16.0,
            4.5,
            "SLIPWAY_WEIGHTS=nf4 needs 6.1 GB or gpuProfileType Consumption-GPU-NC24-A100 has 80 GiB",
        ),
        (15.6, 16.0, 0, "gpuProfileType Consumption-GPU-NC24-A100 has 80 GiB"),
        (15.6, 140, 40, "gpuProfileType Consumption-GPU-NC24-A100 has 80 GiB with SLIPWAY_WEIGHTS=nf4"),
        (84, 140, 40, "SLIPWAY_WEIGHTS=nf4 needs 41.6 GB"),
        (84, 140, 0, "no serverless GPU holds it: serve a smaller model"),
    ],
)
def test_a_model_that_does_not_fit_is_told_with_what_would(free: float, weights: float, smaller: float, said: str):
    with pytest.raises(DeviceError) as refused:
        gpu_share(int(free * GB), int(weights * GB), int(smaller * GB))
    assert str(refused.value).partition(" are free; ")[2] == said


def test_types_that_overflow_float16_are_not_served_in_it():
    old = hardware(capability=(7, 5), name="Tesla T4")
    for model in ("gemma2", "gemma3_text", "glm4"):
        plan = plan_for("auto", old, HALVES, model)
        assert (plan.kind, plan.dtype, plan.attention) == ("cuda", torch.float32, "torch")
        assert plan.notes == (
            f"{model} overflows float16, and Tesla T4 has no bfloat16: float32 is used, twice the memory",
        )
        assert plan_for("auto", hardware(), HALVES, model).dtype == torch.bfloat16
    assert plan_for("auto", old, HALVES, "llama").dtype == torch.float16


def test_weights_count_in_the_format_that_they_are_loaded_in():
    """A checkpoint of 12 GB in float32 is 6 GB on a T4, so 16 GB leave room for keys and values."""
    shapes = [(3000, 500_000), (1500, 1_000_000), ()]
    assert bytes_in(torch.float32, shapes) == 12 * GB + 4
    assert bytes_in(torch.float16, shapes) == 6 * GB + 2
    assert gpu_share(13 * GB, bytes_in(torch.float16, shapes)) > 4 * GB
    with pytest.raises(DeviceError):
        gpu_share(13 * GB, bytes_in(torch.float32, shapes))


def test_blocks_never_take_more_than_their_bytes_but_for_the_least():
    assert kv_blocks(10 * GB, 10**6, most=4096) == 4096
    assert kv_blocks(GB, 10**6, most=4096) == 1000
    assert kv_blocks(GB, 10**9, most=4096) == 4
    assert kv_blocks(GB, 10**7, most=4096, least=512) == 512  # a CPU's, which takes memory as it is used


def test_one_table_of_rotations_where_one_is_all_that_is_read():
    """A second one of Llama 3.1's 131,072 positions took 67 MB of a GPU that nobody had counted."""
    plain = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 1}
    shape = {**plain, "intermediate_size": 64, "vocab_size": 9}
    assert rotations(read_spec(shape).rope, 32, torch.device("cpu")).shape == (1, 32, 8)
    factors = {"type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
    more = {"rope_scaling": factors, "original_max_position_embeddings": 16, "max_position_embeddings": 32}
    longrope = read_spec({**shape, "model_type": "phi3", **more}).rope
    assert rotations(longrope, 32, torch.device("cpu")).shape == (2, 32, 8)


def broken():
    raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


def test_a_device_that_cannot_be_waited_for_is_lost():
    with pytest.raises(DeviceLost, match=r"Triton Error.+ illegal memory access") as caught:
        raise_if_lost(RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"), broken)
    assert not isinstance(caught.value, RuntimeError)  # or the engine would go on, request by request


def test_a_lack_of_memory_is_no_loss_of_the_device():
    raise_if_lost(torch.OutOfMemoryError("CUDA out of memory"), lambda: None)


@pytest.mark.parametrize("stored", ["BF16", "F32"])
def test_a_gpu_load_stages_little(stored: str, tmp_path: Path):
    """Phi-3-mini: a reader holds one piece as it was read, reordered, and on its way to the device."""
    spec = read_spec(
        {
            "model_type": "phi3",
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "num_hidden_layers": 1,
            "num_attention_heads": 32,
            "vocab_size": 32064,
        }
    )
    width = {"BF16": 2, "F32": 4}[stored]
    largest = 0
    for rows, turning in ((9216, 6144), (3072, 0), (16384, 0), (32064, 0)):
        place = TensorPlace(tmp_path, 0, rows * 3072 * width, stored, (rows, 3072))
        target = Target(torch.empty(rows, 3072, device="meta"), (0, "any"), turning)
        for first, last in pieces(place, target, spec):
            largest = max(largest, (last - first) * 3072 * width)
    assert 3 * READERS * largest * (1 + AHEAD) <= 1 << 30
