"""What a server's own words, and the end of a container's log, say of the cause behind a failed start. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.gateway.log_lines import ConsoleLine
from sidecar.words.text import Text

MOST = 300


@dataclass(frozen=True)
class Reason:
    """A cause by name, and what helps. `words`: of the log, on one line."""

    code: str
    advice: Text
    words: str = ""


NO_BASE = re.compile(r"\bno base model under\b|\bbase model '.*' is not under\b")
HUB = re.compile(
    r"\bthe hub (?:does not give|has no|does not answer|answers HTTP)\b|\barrived damaged twice\b|\bas a hub does\b"
)
SHARE_FULL = re.compile(r"\bthe share is full\b")
FULL = re.compile(r"No space left on device|\[Errno 28\]|Disk quota exceeded")
GPU_MEMORY = re.compile(r"GB of GPU memory and|CUDA out of memory|CUDA error: out of memory")
GPU = re.compile(r"PyTorch sees no (?:GPU|CUDA device)|PyTorch is built without CUDA|the GPU is lost|\bCUDA error\b")
SHARE_AWAY = re.compile(r"\bthe share does not answer: ")
MEMORY = re.compile(r"can't allocate memory|Cannot allocate memory|\bMemoryError\b")
PACKAGES = re.compile(
    r"^ERROR: (?:Could not find a version|No matching distribution|Cannot install|Could not install packages|Failed building|"
    r"Could not open requirements file|Invalid requirement|ResolutionImpossible|THESE PACKAGES DO NOT MATCH|Failed to build)"
)
TRACEBACK = "Traceback (most recent call last):"
PLACE = re.compile(r'^\s+File "(.*)", line (\d+)')
RAISED = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning|Lost|Expired)(?:: .*|$)")


def in_words(said: str) -> Reason | None:
    """Of one sentence: what the server gave up with, or a line of its log."""
    for pattern, code, advice in (
        (SHARE_FULL, "ShareFull", _SHARE),
        (SHARE_AWAY, "ShareAway", _AWAY),
        (HUB, "HubRefused", _HUB),
        (FULL, "DiskFull", _DISK),
        (NO_BASE, "NoBaseModel", _BASE),
        (GPU_MEMORY, "GpuOutOfMemory", _GPU_MEMORY),
        (GPU, "GpuUnusable", _GPU),
        (MEMORY, "OutOfMemory", _MEMORY),
    ):
        if pattern.search(said):
            return Reason(code, advice, _short(said))
    return None


def in_log(lines: Sequence[ConsoleLine]) -> Reason | None:
    """Of a container that has ended: its last words that name a cause. In a crash loop the next instance may have begun to
    write already: then those of the one before count, if it was of the same release."""
    instances = _instances([line.text for line in lines])
    newest = instances[-1]
    for each in reversed(instances[-2:]):
        if each is not newest and (each[:1] != newest[:1] or _was_ready(newest)):
            return None
        if (found := _in_instance(each)) is not None:
            return found
    return None


def _in_instance(texts: Sequence[str]) -> Reason | None:
    """A full disk, or a lack of memory, comes first: it makes others follow."""
    for text in reversed(texts):
        found = in_words(text)
        if found is not None and found.code != "NoBaseModel":
            return found
    packages = next((text for text in reversed(texts) if PACKAGES.match(text)), None)
    if packages is not None:
        return Reason("PackagesFailed", _PACKAGES, _short(packages.removeprefix("ERROR: ")))
    return _raised(texts)


def _instances(texts: Sequence[str]) -> list[list[str]]:
    """A container's log, cut where our start begins to write; the first may lack its beginning."""
    found: list[list[str]] = [[]]
    for text in texts:
        if text.startswith("slipway: starting release ") and found[-1]:
            found.append([])
        found[-1].append(text)
    return found


def _was_ready(texts: Sequence[str]) -> bool:
    return "slipway: phase ready" in texts


def _raised(texts: Sequence[str]) -> Reason | None:
    """Python's last exception that nobody caught, and the place in the release's own files where it came up."""
    begins = [number for number, text in enumerate(texts) if text.strip() == TRACEBACK]
    below = texts[begins[-1] :] if begins else texts
    raised = next((text for text in below if RAISED.match(text)), None)
    places = [found for text in below if (found := PLACE.match(text))]
    if raised is None or not (begins or places):
        return None
    own = [found for found in places if "/inference/" in found[1]] or places
    where = f" ({_own_path(own[-1][1])}, line {own[-1][2]})" if own else ""
    return Reason("CodeError", _CODE, f"{_short(raised)}{where}")


def _own_path(path: str) -> str:
    _, mark, below = path.rpartition("/inference/")
    return f"inference/{below}" if mark else path


def _short(text: str) -> str:
    return " ".join(text.split())[:MOST].rstrip(".")


_DISK = Text(
    "The replica's disk is full. Fewer packages, or more cores for the app, whose disk grows with them up to 8 GiB; "
    "models belong on the share."
)
_SHARE = Text("Delete what is no longer needed on the share, or raise its quota in the portal, then run Deploy again.")
_AWAY = Text(
    "The platform starts the container again by itself. If that goes on, look at the storage account: its firewall, and whether "
    "its metrics show throttling or failed transactions."
)
_HUB = Text(
    "Accept the model's licence at the hub and give the app a token that may read it (SLIPWAY_HUB_TOKEN), correct "
    "SLIPWAY_HUB_MODEL, or upload the model from here (AI Toolkit: Upload model or adapter)."
)
_BASE = Text("Put the base model on the share (fine-tuning leaves it there by itself), then run Deploy again.")
_GPU_MEMORY = Text(
    "Serve the model in 4 bits (SLIPWAY_WEIGHTS=nf4), a smaller one, a shorter context, or state a GPU with more memory."
)
_GPU = Text(
    "The PyTorch of the image does not fit the GPU's driver, or the app has no GPU profile. Use the default image, and leave "
    "torch out of the code's requirements; SLIPWAY_DEVICE=cpu serves without a GPU."
)
_MEMORY = Text("Give the app more memory, or serve a smaller model or fewer adapters.")
_PACKAGES = Text(
    "Correct the package in inference/requirements.txt or in defaultCommands, then run Deploy again; if it is there, the "
    "replica can't reach the package index."
)
_CODE = Text("Correct the code and run Deploy again.")
