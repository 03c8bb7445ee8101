"""What this machine's GPU, its driver and PyTorch say of themselves: lines for the log, before anything depends on them."""

import subprocess
from typing import Any

import torch

SECONDS = 20  # nvidia-smi of a GPU in trouble hangs
QUERY = "--query-gpu=name,driver_version,memory.total"


def hardware_report() -> list[str]:
    """Nobody publishes which driver a cloud's GPUs have: when a start fails for it, the log has to say."""
    return [f"nvidia-smi: {asked()}", f"PyTorch {torch.__version__} (CUDA {torch.version.cuda}): {seen()}"]


def asked(program: str = "nvidia-smi") -> str:
    try:
        done = subprocess.run(
            [program, QUERY, "--format=csv,noheader"], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except FileNotFoundError:
        return "not there"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no answer ({error})"
    return "; ".join((done.stdout if done.returncode == 0 else done.stdout + done.stderr).split("\n")).strip("; ")


def seen() -> str:
    if not torch.cuda.is_available():
        return "no GPU"
    cuda: Any = torch.cuda
    found = [cuda.get_device_properties(number) for number in range(cuda.device_count())]
    return "; ".join(f"{each.name}, {each.total_memory} bytes, capability {each.major}.{each.minor}" for each in found)
