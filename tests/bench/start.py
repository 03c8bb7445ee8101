"""What a start's packages cost: pip with a package index next to it, beside the archive that a release carries.

    npm run bench -- start [--goals] [--rounds 3]

The container's own start on a Python like the default image's (PyTorch and pip, nothing else), each time with an empty disk,
until the sample's model is ready and its chat page answers. The index is on this machine and counts what it is asked; its wheels
are the ones that the archive holds, fetched once from this machine's own index. What is read of the share is counted by strace,
in starts of their own, whose time does not count. `again`: the same container's next start.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from urllib.parse import unquote

import httpx

from sidecar.core.codefiles import read_tree
from sidecar.core.lock import covered, plain_name
from sidecar.core.platforms import Platform
from sidecar.core.releases import Packages
from sidecar.core.sync import Release, pack
from sidecar.core.wheels import kept, key_of, made
from sidecar.gateway.package_index import PackageIndex
from sidecar.gateway.patience import Patience
from sidecar.localcloud.image import cache_folder, described, image_for, shipped_requirements
from sidecar.localcloud.runtime.layers import container_environment, make_layer
from tests.bench.report import Report, goal_arguments, report_for
from tests.support.contained import API_KEY, ROOT, Contained, contained, eventually, publish, share

PIP = "python3 -m pip install --quiet --disable-pip-version-check -r inference/requirements.txt"
INSTALLED = "echo the packages are there"
COMMANDS = (PIP, INSTALLED, "python3 -m inference")
MOST_READS, MOST_SHARE = 5, 0.25
GOALS = (
    "second start: 0 requests to an index",
    f"second start: ≤ {MOST_READS} reads of the share for packages",
    f"packages there in ≤ {MOST_SHARE} of pip's seconds",
    "the chat page answers from the archive's packages",
)
PEERS = {"strace": (GOALS[1],)}  # which counts the reads
READ = re.compile(r"\b(?:p?readv?2?|pread64|preadv2?|mmap|sendfile|copy_file_range|splice)\(")


@dataclass
class Index:
    """Wheels of a folder as a package index hands them out; `asked` is every request."""

    wheels: Path
    asked: list[str] = field(default_factory=list[str])

    def pages(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for each in sorted(self.wheels.glob("*.whl")):
            found.setdefault(plain_name(each.name.partition("-")[0]), []).append(each)
        return found

    @contextlib.contextmanager
    def serving(self) -> Generator[str]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                index.asked.append(self.path)
                name = unquote(self.path).strip("/").rpartition("/")[2]
                if self.path.startswith("/simple/"):
                    links = "".join(
                        f'<a href="/files/{each.name}">{each.name}</a>' for each in index.pages().get(name, [])
                    )
                    self.give(links.encode(), "text/html")
                else:
                    self.give((index.wheels / name).read_bytes(), "application/octet-stream")

            def give(self, content: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: what is asked is counted."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()
            server.server_close()


@dataclass(frozen=True)
class Start:
    """Seconds until the packages are there, and until the model is ready; requests to the index; whether the page answered."""

    packages: float
    ready: float
    asked: int
    page: bool


@dataclass(frozen=True)
class Ground:
    """`image`: the Python of the environment that stands in for the image. `mount`: the share, with model and releases."""

    folder: Path
    image: Path
    mount: Path
    index: Index
    url: str

    def start(self, release: Release, name: str, *, counted: Path | None = None) -> Start:
        """`name`: of the disk; an empty one where it is new. `counted`: strace writes there what touches the archive."""
        publish(self.mount, release, 1)
        disk = self.folder / name
        if not disk.exists():
            make_layer(disk, self.image, bare=True)
        environment = container_environment({}, disk / "bin", os.environ, {})
        variables = {**environment, "PIP_INDEX_URL": self.url, "PIP_CONFIG_FILE": os.devnull}
        python = str(disk / "bin" / "python3")
        before, began = len(self.index.asked), time.monotonic()
        program = self.traced(release, python, counted)
        with contained(self.mount, self.folder, *COMMANDS, python=program, **variables) as container:
            there = self.until(container, began)
            container.ready(600)
            ready = time.monotonic() - began
            page = self.chat_page(container)
            assert container.chat("Who are you?").status_code == 200
        return Start(there, ready, len(self.index.asked) - before, page)

    def chat_page(self, container: Contained) -> bool:
        """Gradio is loaded after the model is ready."""
        headers = {"authorization": f"Bearer {API_KEY}"}
        try:
            eventually(lambda: "gradio" in httpx.get(f"{container.url}/", headers=headers, timeout=60).text, 60)
        except AssertionError:
            return False
        return True

    def until(self, container: Contained, began: float) -> float:
        while INSTALLED.removeprefix("echo ") not in container.log.read_text():
            assert container.process.poll() is None, container.log.read_text()[-3000:]
            time.sleep(0.01)  # sleeps: between two looks at the log
        return time.monotonic() - began

    def traced(self, release: Release, python: str, counted: Path | None) -> str:
        """The program that is begun in the interpreter's place."""
        if counted is None or release.packages is None:
            return python
        archive = self.mount / ".slipway" / "app" / "packages" / release.packages.archive
        program = self.folder / "traced"
        program.write_text(f'#!/bin/sh\nexec strace -D -f -qq -P "{archive}" -o "{counted}" "{python}" "$@"\n')
        program.chmod(0o755)
        return str(program)


def archive_of(cache: Path, platform: Platform) -> Packages:
    """Of our own lock for this machine's Python, fetched from this machine's index where it is not there yet."""
    asked, lock = ((ROOT / "inference" / name).read_text() for name in ("requirements.txt", "requirements.lock"))
    found = covered(asked, lock, platform, own=True)
    assert not found.left, f"the lock does not cover {found.left}"
    key = key_of(found.lines, platform)
    archive = kept(cache, key)
    if archive is None:
        with tempfile.TemporaryDirectory() as folder:
            patience = Patience(say=lambda text: print(text, file=sys.stderr))
            archive = made(
                cache, key, PackageIndex(cache, os.environ).fetch(found.lines, platform, Path(folder), patience)
            )
    return Packages(archive.digest, archive.size, key, "inference/requirements.txt", complete=True, file=archive.file)


def platform_here() -> Platform:
    told = described(bare=True)
    return Platform(
        (sys.version_info[0], sys.version_info[1]), str(told["machine"]), int(str(told["glibc"])), str(told["torch"])
    )


def sample() -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "sidecar.sample", "--cached"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return Path(done.stdout.strip().splitlines()[-1])


def reads_in(trace: Path) -> int:
    return sum(READ.search(line) is not None for line in trace.read_text().splitlines())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Seconds, requests and reads that a start's packages cost.")
    goal_arguments(parser, PEERS)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    report = report_for(asked, GOALS, PEERS)
    image = image_for(shipped_requirements(), os.environ)
    assert image.built, "python -m sidecar.localcloud.image makes the environment that stands in for the image"
    packages = archive_of(cache_folder(os.environ) / "bench-packages", platform_here())
    with tempfile.TemporaryDirectory(prefix="slipway-start-") as place:
        folder = Path(place)
        (folder / "wheels").mkdir()
        assert packages.file is not None
        with tarfile.open(packages.file) as archive:
            archive.extractall(folder / "wheels", filter="data")
        mount = share(folder / "share", sample())
        (mount / ".slipway" / "app" / "packages").mkdir(parents=True)
        shutil.copy(packages.file, mount / ".slipway" / "app" / "packages" / packages.archive)
        index = Index(folder / "wheels")
        with index.serving() as url:
            measured(report, Ground(folder, image.python, mount, index, url), packages, asked.rounds)
    report.end(strict=asked.goals)
    return 0


def measured(report: Report, ground: Ground, packages: Packages, rounds: int) -> None:
    tree = read_tree(ROOT / "inference")
    with_pip = pack(tree, ground.folder / "pip.tar")
    carried = pack(tree, ground.folder / "carried.tar", packages)
    report.figure("archive, MB", packages.size / 1e6)
    by_pip: list[Start] = []
    by_archive: list[Start] = []
    again: list[Start] = []
    for number in range(rounds):
        by_pip.append(ground.start(with_pip, f"pip{number}"))
        by_archive.append(ground.start(carried, f"archive{number}"))
        again.append(ground.start(carried, f"archive{number}"))
        shutil.rmtree(ground.folder / f"pip{number}")
        shutil.rmtree(ground.folder / f"archive{number}")
    for name, starts in (("pip", by_pip), ("archive", by_archive), ("archive again", again)):
        for what, values in (
            ("packages there, s", [each.packages for each in starts]),
            ("model ready, s", [each.ready for each in starts]),
        ):
            report.figure(f"{name}: {what}", median(values), rounds=[round(each, 2) for each in values])
        report.figure(f"{name}: requests to the index", max(each.asked for each in starts))
    assert min(each.asked for each in by_pip) > 0, "pip did not ask the index: nothing was compared"
    report.goal(GOALS[0], max(each.asked for each in (*by_archive, *again)) == 0)
    shares = [ours.packages / theirs.packages for ours, theirs in zip(by_archive, by_pip, strict=True)]
    report.figure("archive / pip, packages there", median(shares), rounds=[round(each, 3) for each in shares])
    report.goal(GOALS[2], median(shares) <= MOST_SHARE, f"{GOALS[2]} ({median(shares):.2f})")
    report.goal(GOALS[3], all(each.page for each in (*by_archive, *again)))
    if shutil.which("strace") is None:
        report.goal(GOALS[1], None, "strace is not installed")
        return
    seen: list[int] = []
    for number in range(2):
        trace = ground.folder / f"trace{number}"
        ground.start(carried, "counted", counted=trace)
        seen.append(reads_in(trace))
    report.figure("archive: reads of the share for packages", seen[0])
    report.figure("archive again: reads of the share for packages", seen[1])
    report.goal(GOALS[1], 0 < seen[0] <= MOST_READS and seen[1] == 0, f"{GOALS[1]} ({seen[0]}, {seen[1]})")


if __name__ == "__main__":
    sys.exit(main())
