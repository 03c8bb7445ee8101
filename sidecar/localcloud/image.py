"""The image that replicas run: a Python environment made from inference/requirements.txt and from nothing else."""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """Where one image lies, whether or not it has been built yet. Its folder's name is a digest of what goes in."""

    requirements: Path
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python3"

    @property
    def built(self) -> bool:
        return self.python.exists()


class ImageBuildError(Exception):
    """pip could not make the environment; the message holds the end of its output."""


def shipped_requirements() -> Path:
    """The model server's requirements: inside the package in the wheel, beside it in the extension and a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "shipped"
    return (inside if inside.is_dir() else package.parent) / "inference" / "requirements.txt"


def image_for(requirements: Path, environ: Mapping[str, str]) -> Image:
    """The image that `requirements` describes for this Python and machine."""
    content = requirements.read_bytes()
    build = f"{platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}"
    digest = hashlib.sha256(content + b"\0" + build.encode()).hexdigest()[:24]
    return Image(requirements, cache_folder(environ) / "images" / digest)


def described(bare: bool) -> dict[str, object]:
    """What stands in for every image, for who makes packages for it. `bare`: it has no more than PyTorch and pip."""
    pins = (line.partition("#")[0].strip().partition("==") for line in shipped_requirements().read_text().splitlines())
    return {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "machine": platform.machine(),
        "glibc": int((platform.libc_ver()[1] or "2.0").split(".")[1]),
        "torch": next((version for name, _, version in pins if name == "torch"), ""),
        "holdsAll": not bare,
    }


def cache_folder(environ: Mapping[str, str]) -> Path:
    """$SLIPWAY_CACHE, else slipway/ in the person's cache folder."""
    if own := environ.get("SLIPWAY_CACHE"):
        return Path(own)
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"


def build(image: Image) -> None:
    """Builds the image unless it is there: in a folder of its own, renamed when whole. Two callers build it once."""
    image.folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(image.folder.with_suffix(".lock")):
        if image.built:
            return
        unfinished = image.folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        _say(f"Making a Python environment in {image.folder}")
        _run([sys.executable, "-m", "venv", str(unfinished)])
        python = unfinished / "bin" / "python3"
        _run([str(python), *_pip_install(image.requirements)], Steps(image.requirements.read_text(encoding="utf-8")))
        _repoint_scripts(unfinished, image.folder)
        shutil.rmtree(image.folder, ignore_errors=True)
        unfinished.rename(image.folder)
        _say("The image is ready")


def download_size(image: Image) -> int:
    """Bytes that building the image downloads, asked of the package index (nothing is installed)."""
    question = ["--dry-run", "--ignore-installed", "--report", "-"]
    report = _run([sys.executable, *_pip_install(image.requirements), *question])
    packages = json.loads(report[report.index("{") :])["install"]
    return sum(_size_of(package["download_info"]["url"]) for package in packages)


def _pip_install(requirements: Path) -> list[str]:
    return ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", str(requirements)]


def _size_of(url: str) -> int:
    parsed = urllib.parse.urlparse(url)
    if parsed.scheme == "file":
        return Path(urllib.request.url2pathname(parsed.path)).stat().st_size
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the address comes from pip's own report
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
        return int(answer.headers.get("Content-Length", 0))


class Steps:
    """What a person is told of pip's lines: the package that is fetched, its size, and how many of all are."""

    _NAMED = re.compile(r"(?:Collecting|Processing) (?:\S*/)?(?P<name>[\w.-]+?)(?=-\d|[=<>~!;\[(\s]|$)")
    _FETCHED = re.compile(r"(?:Downloading|Using cached) \S+?(?:\.metadata)? \((?P<size>[\d.]+ \w+)\)")

    def __init__(self, requirements: str) -> None:
        pins = re.findall(r'^[\w.-]+==\S+(?: ; sys_platform (==|!=) "(\w+)")?', requirements, re.MULTILINE)
        # What another system needs is in the lock too, and is not fetched here.
        self.total = sum(not system or (sign == "==") == (system == sys.platform) for sign, system in pins)
        self._package = ""
        self._begun = 0

    def told(self, line: str) -> str | None:
        """None where a line says nothing new."""
        line = line.strip()
        if named := self._NAMED.match(line):
            self._package = named["name"]
            self._begun = min(self._begun + 1, self.total)
            return self._line("")
        if (fetched := self._FETCHED.match(line)) and ".metadata" not in line:
            return self._line(f", {fetched['size']}")
        if line.startswith("Installing collected packages"):
            return f"installing the {self.total} packages"
        return line[:160] if line.startswith(("Successfully", "ERROR")) else None

    def _line(self, size: str) -> str:
        percent = 100 * self._begun // max(self.total, 1)
        return f"{self._package}{size} ({self._begun} of {self.total}, {percent} %)"


def _run(command: list[str], steps: Steps | None = None) -> str:
    """Runs pip or venv, tells its steps on stderr as they come, and returns all that it printed."""
    printed: list[str] = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    with process:
        for line in process.stdout or ():
            printed.append(line)
            if steps is not None and (told := steps.told(line)) is not None:
                _say(f"  {told}")
    if process.returncode != 0:
        raise ImageBuildError(f"{' '.join(command[1:4])} ended with {process.returncode}:\n{''.join(printed[-20:])}")
    return "".join(printed)


def _repoint_scripts(built_in: Path, folder: Path) -> None:
    """Scripts name their interpreter by its whole path, so the names are changed to where the folder will be."""
    for script in (built_in / "bin").iterdir():
        content = b"" if script.is_symlink() else script.read_bytes()
        if str(built_in).encode() in content:
            script.write_bytes(content.replace(str(built_in).encode(), str(folder).encode()))


@contextlib.contextmanager
def _locked(lock: Path) -> Generator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _end_with_stdin() -> None:
    """Whoever asked for the image is gone, however it went: nobody waits for gigabytes any more."""
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sidecar.localcloud.image",
        description="Builds the Python environment that the local cloud runs replicas in, and prints its python.",
    )
    parser.add_argument("--requirements", type=Path, default=shipped_requirements())
    parser.add_argument("--check", action="store_true", help="build nothing; exit 1 when the image is absent")
    parser.add_argument("--size", action="store_true", help="build nothing; print how many bytes it would download")
    parser.add_argument("--while-open", action="store_true", help="end, with all that was started, when stdin closes")
    arguments = parser.parse_args()
    if arguments.while_open:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    image = image_for(arguments.requirements, os.environ)
    try:
        if arguments.size:
            size = 0 if image.built else download_size(image)
            _say(f"Building the image downloads about {size / 1e6:.0f} MB")
            print(size)
            return 0
        if arguments.check:
            return 0 if image.built else 1
        build(image)
    except KeyboardInterrupt:
        return 130  # whoever pressed Ctrl-C knows; what is half made is made anew
    except (ImageBuildError, OSError) as problem:
        _say(f"The image could not be built: {problem}")
        return 1
    print(image.python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
