"""The digest of a base model: it tells folders apart without reading gigabytes, and proves nothing of who made them."""

import hashlib
from pathlib import Path

from inference.engine.files.folder import ModelFolder

SAMPLES = 16
SAMPLE = 4096
"""Blocks of each file's weights, spread evenly, and their bytes: a fine-tuned model has the header of the one that it came from,
and differs in nearly every weight."""


def base_digest(folder: ModelFolder) -> str:
    """SHA-256 over `config.json` and, of each file of weights, its name, size, header and samples. Folders of the same files have
    the same one; files that differ between the samples alone do too."""
    seen = hashlib.sha256(b"slipway-base-1")
    seen.update(hashlib.sha256((folder.path / "config.json").read_bytes()).digest())
    starts: dict[Path, int] = {}
    for place in folder.tensors.values():
        starts[place.file] = min(place.start, starts.get(place.file, place.start))
    for file, start in sorted(starts.items()):
        seen.update(_of_weights(file, start))
    return seen.hexdigest()


def _of_weights(file: Path, start: int) -> bytes:
    """`start`: where the weights begin, and the header ends."""
    seen = hashlib.sha256()
    with file.open("rb") as stream:
        size = file.stat().st_size
        seen.update(f"{file.name}\n{size}\n".encode())
        seen.update(stream.read(start))
        for number in range(SAMPLES):
            stream.seek(start + number * max(size - start - SAMPLE, 0) // max(SAMPLES - 1, 1))
            seen.update(stream.read(SAMPLE))
    return seen.digest()
