"""From the start of the process to the first token, with the weights behind a share's bandwidth, in 1, 4 and 16 files.

A share gives each file some of its bandwidth and all of them together no more than another: only several files at a time get
the whole. A run counts only if what passed the throttle are the weights' bytes, file by file.
"""

import json
import shutil
import time
from collections import Counter
from pathlib import Path
from statistics import median

from load import Target, run
from peers import BASE, KEY, ours
from report import Report

HERE = Path(__file__).resolve().parent
OF_A_FILE = 60 << 20  # bytes a second
OF_ALL = 300 << 20
SHARDS = (1, 4, 16)
BESIDE = 2.0  # seconds, for all that is not reading
ROUNDS = 3


def goal(shards: int) -> str:
    return f"cold start with {shards} shards ≤ 1.2 × bytes / bandwidth + {BESIDE:.0f} s"


GOALS = tuple(map(goal, SHARDS))


def cold_start(report: Report, mount: Path, place: Path) -> None:
    for shards in SHARDS:
        sharded = place / f"shards{shards}"
        files = spread(mount, sharded, shards)
        bandwidth = min(OF_A_FILE * shards, OF_ALL)
        size = sum(files.values())
        times = [once(sharded, files, place / f"reads{shards}-{number}") for number in range(ROUNDS)]
        allowed = 1.2 * size / bandwidth + BESIDE
        whole = [seconds for seconds, read in times if read]
        seconds = median(whole) if whole else None
        more = {
            "weights_mb": size >> 20,
            "mb_s": bandwidth >> 20,
            "goal": round(allowed, 1),
            "rounds_that_count": len(whole),
        }
        report.figure(f"cold start to first token, seconds, {shards} shards", seconds, **more)
        met = seconds is not None and len(whole) == ROUNDS and seconds <= allowed
        said = "not all bytes passed the throttle" if seconds is None else f"{seconds:.1f} s of {allowed:.1f}"
        report.goal(goal(shards), met, f"{goal(shards)} ({said})")
        shutil.rmtree(sharded)


def once(mount: Path, files: dict[str, int], log: Path) -> tuple[float, bool]:
    """Seconds, and whether every byte of the weights was read through the throttle."""
    slowed = {
        "PYTHONPATH": str(HERE / "slow_reads"),
        "BENCH_READ_RATE": str(OF_ALL),
        "BENCH_FILE_RATE": str(OF_A_FILE),
        "BENCH_READ_LOG": str(log),
    }
    began = time.monotonic()
    with ours(mount, **slowed) as port:
        run(Target(port, (BASE,), KEY, {"ignore_eos": True}), 1, 1)
        took = time.monotonic() - began
    return took, read_in(log) == files


def read_in(log: Path) -> dict[str, int]:
    """Bytes that were read of each file of the base, by its name."""
    read: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        number, _, file = line.partition(" ")
        if "model-cache" in Path(file).parts:  # adapters are read the same way
            read[Path(file).name] += int(number)
    return dict(read)


def spread(mount: Path, to: Path, shards: int) -> dict[str, int]:
    """The same model with its tensors in so many files; the bytes of tensors in each."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(mount, to)
    (model,) = (each.parent for each in to.rglob("model.safetensors"))
    tensors = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    parts: list[dict[str, int]] = [{} for _ in range(shards)]
    for name in sorted(tensors, key=lambda each: -tensors[each].nbytes):
        min(parts, key=lambda part: sum(part.values()))[name] = tensors[name].nbytes
    names = [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]
    where = {tensor: file for file, part in zip(names, parts, strict=True) for tensor in part}
    for file, part in zip(names, parts, strict=True):
        save_file({name: tensors[name] for name in part}, model / file, {"format": "pt"})
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return {file: sum(part.values()) for file, part in zip(names, parts, strict=True)}
