"""Wheels from the package index, for the container's platform and not this machine's: pip, as a process that a cancel ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.core.platforms import Platform
from sidecar.gateway.patience import Patience
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

OPTIONS = (
    "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--no-deps", "--require-hashes", "--only-binary=:all:",
)  # fmt: skip
NOT_OURS = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME")
"""Variables by which somebody else's set-up would have pip do something else; its index and its proxy are the person's."""

SHOWN_LINES = 40


class NotFetched(CloudError):
    """The wheels could not be had here; `detail` holds pip's last lines."""

    code = "PackagesNotFetched"


@dataclass(frozen=True)
class PackageIndex:
    """As the person's pip has it. `cache`: where archives of packages are kept on this machine."""

    cache: Path
    environ: Mapping[str, str] = field(repr=False)

    def fetch(self, lines: Sequence[str], platform: Platform, folder: Path, patience: Patience) -> Path:
        """A folder with one wheel of each line. Each line has the hashes that its wheel may have: pip refuses others."""
        asked = folder / "asked.txt"
        asked.write_text("\n".join(lines) + "\n", encoding="utf-8")
        wheels = folder / "wheels"
        tags = [part for tag in platform.tags for part in ("--platform", tag)]
        where = ["--implementation", "cp", "--python-version", platform.version, *tags, "--dest", str(wheels)]
        command = [sys.executable, "-m", "pip", "download", *OPTIONS, *where, "-r", str(asked)]
        known = {name: value for name, value in self.environ.items() if name not in NOT_OURS}
        status, printed = _run(command, known, patience, len(lines))
        if status != 0:
            raise NotFetched(
                Text("The packages could not be fetched from the package index."),
                Text("Check the network and pip's settings; the detail holds pip's last lines."),
                detail="".join(printed)[-4000:],
            )
        return wheels


def _run(command: list[str], environ: Mapping[str, str], patience: Patience, count: int) -> tuple[int, list[str]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=dict(environ),
    )
    printed: list[str] = []

    def hear() -> None:
        seen = 0
        for line in process.stdout or ():
            printed.append(line)
            del printed[:-SHOWN_LINES]
            if line.startswith("Collecting "):
                seen += 1
                patience.say(Text("Fetching the packages ({seen} of {count})…", seen=seen, count=count))

    reader = threading.Thread(target=hear, daemon=True)
    reader.start()
    with process:
        try:
            while process.poll() is None:
                patience.wait(0.1)
        except BaseException:
            process.kill()
            raise
        finally:
            reader.join()
    return process.returncode, printed
