"""Compiles every kernel for one capability and number format, and prints what came of each: a program for its test."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from inference.engine.compute.gpu.kernels import attention, fused, gemv, lora

MODELS = ((32, 32, 96), (32, 8, 128), (14, 2, 64), (32, 32, 80), (8, 1, 256), (6, 2, 8))  # heads, key heads, head_dim


def main() -> None:
    capability, kind = int(sys.argv[1]), f"*{sys.argv[2]}"
    for heads, key_heads, dim in MODELS:
        group = heads // key_heads
        room = attention.room_for(dim, group)
        for whole in (True, False):
            fixed = {
                "KEY_HEADS": key_heads,
                "GROUP": group,
                "GROUP_ROOM": 1 if group == 1 else max(16, triton.next_power_of_2(group)),
                "DIM": dim,
                "DIM_ROOM": room,
                "BLOCK_SIZE": 16,
                "STEP": max(16, attention.TILE // room),
                "WHOLE": whole,
            }
            tensors = [kind, kind, "*i32", "*i32", kind, "*fp32", "*fp32"]
            show(capability, attention.read_part, [*tensors, "i32", "i32", "i32", "fp32", "i32", "i32"], fixed)
        fixed = {"DIM": dim, "DIM_ROOM": room, "PARTS_ROOM": 16}
        show(capability, attention.join_parts, ["*fp32", "*fp32", kind, "i32"], fixed)
        for normed in (True, False):
            fixed = {
                "HEADS": heads,
                "KEY_HEADS": key_heads,
                "DIM": dim,
                "TURNING": dim // 2,
                "PAIRS_ROOM": triton.next_power_of_2(dim // 2),
                "BLOCK_SIZE": 16,
                "NORM": normed,
            }
            tensors = [kind, kind, "*i32", "*i32", "*i32", "*fp32", kind, kind]
            show(capability, fused.rotate_head, [*tensors, "i32", "i32", "i32", "i32", "fp32"], fixed, warps=1)
    show(capability, fused.norm_row, [kind, kind, kind, "i32", "i32", "fp32"], {"ROOM": 4096}, warps=8)
    show(capability, fused.gate_tile, [kind, kind, "i32"], {"TILE": fused.TILE})
    for rows in range(1, gemv.MOST_ROWS + 1):
        for gated, added, normed, biased in (
            (False, False, True, False),
            (False, False, True, True),
            (False, True, False, False),
            (True, False, True, False),
        ):
            room = triton.next_power_of_2(rows)
            fixed = {
                "INPUTS": 3072,
                "ROWS": rows,
                "ROWS_ROOM": room,
                "N_STEP": gemv.outputs_at_once(rows, gated),
                "K_STEP": gemv.K_STEP,
                "NORM": normed,
                "BIAS": biased,
                "ADD": added,
                "GATED": gated,
            }
            show(capability, gemv.multiply, [kind] * 5 + ["i32", "fp32"], fixed)
    sizes = {"ROWS": lora.ROWS, "SPLITS": lora.SPLITS, "RANK_STEP": lora.RANK_STEP}
    numbers = ["i32"] * 4
    show(
        capability,
        lora.shrink,
        [kind, kind, "*i32", "*i32", "*fp32", *numbers],
        {**sizes, "K_STEP": lora.K_STEP},
    )
    show(
        capability,
        lora.expand,
        ["*fp32", kind, "*i32", "*i32", kind, *numbers],
        {**sizes, "N_STEP": lora.N_STEP},
    )


def show(capability: int, kernel: Any, kinds: list[str], fixed: dict[str, Any], warps: int = 4) -> None:
    names: list[str] = kernel.arg_names
    left = iter(kinds)
    signature = {name: "constexpr" if name in fixed else next(left) for name in names}
    # As at run time: tensors begin at multiples of 16 bytes, and strides are multiples of 16.
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(names)
        if signature[name].startswith("*")
        or (signature[name] == "i32" and name not in {"number", "parts", "window", "table_stride"})
    }
    constants = {(names.index(name),): value for name, value in fixed.items()}
    source = ASTSource(kernel, signature, constants, aligned)
    built: Any = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps})
    text: str = built.asm["ptx"]
    print(
        json.dumps(
            {
                "kernel": kernel.__name__,
                "fixed": {name: str(value) for name, value in fixed.items()},
                "shared": built.metadata.shared,
                "wide_loads": len(re.findall(r"ld\.global[.\w:]*\.v4|cp\.async\.cg", text)),
                "exchanges": main_loop(built.asm["ttgir"]).count("ttg.convert_layout"),
                **usage(text, capability),
            }
        )
    )


def main_loop(code: str) -> str:
    """The last loop of a kernel, before it becomes instructions; empty where there is none."""
    _, loop, body = code.rpartition("scf.for")
    return body.partition("scf.yield")[0] if loop else ""


def usage(text: str, capability: int) -> dict[str, int]:
    """Registers a thread, and bytes spilled, as ptxas reports them."""
    ptxas = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(text)
        file.flush()
        target = f"sm_{capability}a" if capability == 90 else f"sm_{capability}"
        done = subprocess.run(
            [str(ptxas), "-v", f"-arch={target}", file.name, "-o", "/dev/null"],
            check=True,
            capture_output=True,
            text=True,
        )
    registers = re.search(r"Used (\d+) registers", done.stderr)
    spilled = re.search(r"(\d+) bytes spill stores", done.stderr)
    assert registers is not None
    assert spilled is not None
    return {"registers": int(registers[1]), "spilled": int(spilled[1])}


if __name__ == "__main__":
    main()
