"""Makes inference/requirements.lock: the wheels that inference/requirements.txt asks for, by sha256, without any address.

    python -m tests.lock --write     asks the package index what it has; downloads no more than it needs for that

One line a package, with the hash of each wheel that runs on one of PYTHONS and MACHINES. PyTorch and what comes with it are the
image's. `python -m tests.drift` says when the lock does not cover what is asked for.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from sidecar.core.lock import Pin, covered, holds, plain_name, read
from sidecar.core.platforms import Platform, of_torch

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "inference" / "requirements.txt"
LOCK = ROOT / "inference" / "requirements.lock"
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
MACHINES = ("x86_64", "aarch64")
GLIBC = 36
"""Of the older of the images that are meant, Debian 12's; the default one has 39."""

HEAD = """\
# Made from requirements.txt by `python -m tests.lock --write`: every package but PyTorch and what comes with it, which the image
# has, with the sha256 of each wheel for Linux. A Deploy makes of it the archive that a release carries.
"""


def main() -> int:
    if "--write" not in sys.argv[1:]:
        print(__doc__)
        return 2
    LOCK.write_text(HEAD + "".join(f"{line}\n" for line in lines()), encoding="utf-8")
    found = problems()
    print("\n".join(found) or f"{LOCK.relative_to(ROOT)}: whole")
    return 1 if found else 0


def platforms() -> list[Platform]:
    return [Platform(python, machine, GLIBC, "2.13.0") for python in PYTHONS for machine in MACHINES]


def lines() -> list[str]:
    pins = [pin for pin in read(REQUIREMENTS.read_text(encoding="utf-8")).pins if not of_torch(pin.name)]
    hashes: defaultdict[str, set[str]] = defaultdict(set)
    for platform in platforms():
        for name, digest in wheels(pins, platform):
            hashes[name].add(digest)
    return [_line(pin, sorted(hashes[pin.name])) for pin in sorted(pins, key=lambda pin: pin.name)]


def _line(pin: Pin, hashes: list[str]) -> str:
    marker = f" ; {pin.marker}" if pin.marker else ""
    return " \\\n".join([f"{pin.name}=={pin.version}{marker}", *(f"    --hash=sha256:{each}" for each in hashes)])


def wheels(pins: list[Pin], platform: Platform) -> list[tuple[str, str]]:
    """Name and sha256 of each that pip would take on a platform."""
    wanted = [f"{pin.name}=={pin.version}" for pin in pins if not pin.marker or holds(pin.marker, platform.markers)]
    tags = [part for tag in platform.tags for part in ("--platform", tag)]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"),
            *("--only-binary=:all:", "--implementation", "cp", "--python-version", platform.version),
            *(*tags, "--target", folder, "--report", "-", *wanted),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{platform}: {done.stderr[-2000:]}"
    report: Any = json.loads(done.stdout[done.stdout.index("{") :])
    return [
        (plain_name(each["metadata"]["name"]), each["download_info"]["archive_info"]["hashes"]["sha256"])
        for each in report["install"]
    ]


def problems() -> list[str]:
    """Where the lock does not say all that is asked for."""
    asked, lock = (file.read_text(encoding="utf-8") for file in (REQUIREMENTS, LOCK))
    found = {platform: covered(asked, lock, platform, own=True) for platform in platforms()}
    told = [
        f"inference/requirements.lock says nothing of {', '.join(each.left)}: python -m tests.lock --write"
        for each in found.values()
        if each.left or not each.torch
    ]
    named = {pin.name for pin in read(asked).pins}
    more = sorted({pin.name for pin in read(lock).pins} - named)
    return [
        *dict.fromkeys(told),
        *(f"inference/requirements.lock holds {name}, which nobody asks for" for name in more),
    ]


if __name__ == "__main__":
    sys.exit(main())
