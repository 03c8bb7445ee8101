"""The container's start: chooses the current release on the share, verifies it, unpacks it, and runs the commands there.

`npm run fix` puts this file into inference.bicep; the container runs it as `python3 -c <this> <script>`, on whatever Python
the image has, before any package is installed. Until the first deploy it answers the probes and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import signal
import sys
import tarfile
import tempfile
from typing import NoReturn

PHASE = {
    "status": "loading",
    "phase": "waiting-for-first-deploy",
    "progress": None,
    "detail": "run Deploy for inference",
}


def main(script: str) -> NoReturn:
    mount = os.environ["SLIPWAY_MOUNT"]
    home = pathlib.Path(mount, ".slipway", os.environ["SLIPWAY_APP"])
    # The default image's Python is its system's own, and marked so that pip refuses to install into it (PEP 668). The image's
    # PyTorch is in there and the container is thrown away, so pip may. What a person has set for pip stays as it is.
    os.environ.setdefault("PIP_BREAK_SYSTEM_PACKAGES", "1")
    os.environ.setdefault("PIP_ROOT_USER_ACTION", "ignore")
    if "cd " + mount in script:
        say("the commands change into the mount: they run from the plain tree there, not from a release")
        run(script)
    offered = candidates(home)
    for digest, generation in offered:
        bundle = verified(home, digest)
        if bundle is not None:
            os.chdir(unpacked(bundle))
            os.environ.update(SLIPWAY_RELEASE_DIGEST=digest, SLIPWAY_GENERATION=generation)
            say(f"starting release {digest[:12]}" + (f" (generation {generation})" if generation else ""))
            say("phase dependencies")
            run(script)
    if offered:
        sys.exit("slipway: failed: no release on the share is intact: run Deploy for inference again")
    wait_for_the_first_deploy()


def run(script: str) -> NoReturn:
    os.execvp("/bin/bash", ["/bin/bash", "-c", script])


def say(text: str) -> None:
    print("slipway:", text, flush=True)


def candidates(home: pathlib.Path) -> list[tuple[str, str]]:
    """Digest and generation of each release that may run, the current one first."""
    wanted = os.environ.get("SLIPWAY_RELEASE", "current")
    if wanted != "current":
        return [(wanted, "")]
    numbered = [each for each in home.glob("generations/*.json") if each.stem.isascii() and each.stem.isdigit()]
    found = [(release_of(each), each.stem) for each in sorted(numbered, key=lambda each: int(each.stem), reverse=True)]
    return [(release, generation) for release, generation in found if release]


def release_of(generation: pathlib.Path) -> str:
    """The release that a generation names; empty, and said, when the file is damaged: an older one may still run."""
    try:
        release = json.loads(generation.read_text())["release"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        say(f"generation {generation.stem} can't be read and is skipped ({type(error).__name__})")
        return ""
    if isinstance(release, str) and re.fullmatch("[0-9a-f]{64}", release):
        return release
    say(f"generation {generation.stem} names no release and is skipped")
    return ""


def verified(home: pathlib.Path, digest: str) -> pathlib.Path | None:
    """A copy of the bundle on the local disk, if it is the one that its name says."""
    bundle = home / "releases" / digest
    if not bundle.is_file():
        say(f"release {digest[:12]} is not on the share")
        return None
    copy = pathlib.Path(tempfile.mkdtemp(), "bundle.tar")
    seen = hashlib.sha256()
    with bundle.open("rb") as source, copy.open("wb") as target:
        while block := source.read(1 << 20):
            seen.update(block)
            target.write(block)
    if seen.hexdigest() == digest:
        return copy
    say(f"release {digest[:12]} on the share does not match its digest and is refused")
    return None


def unpacked(bundle: pathlib.Path) -> str:
    place = tempfile.mkdtemp(prefix="release-")
    with tarfile.open(bundle) as archive:
        # Pythons before 3.11.4 (Debian 12's) know no filter; the bundle is ours, to the byte.
        if hasattr(tarfile, "data_filter"):
            archive.extractall(place, filter="data")
        else:
            archive.extractall(place)  # noqa: S202  (see above)
    bundle.unlink()
    return place


def wait_for_the_first_deploy() -> NoReturn:
    say("waiting for the first deploy: only the probes are answered")
    say("phase waiting-for-first-deploy")
    signal.signal(signal.SIGTERM, end)
    address = (os.environ.get("SLIPWAY_BIND_HOST", ""), int(os.environ.get("CONTAINER_APP_PORT", "7860")))
    http.server.ThreadingHTTPServer(address, Probes).serve_forever()
    raise AssertionError("it serves until the container ends")


def end(number: int, frame: object) -> NoReturn:
    sys.exit(0)


class Probes(http.server.BaseHTTPRequestHandler):
    """Alive, not ready; why is told to those who have the key."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        key = os.environ.get("SLIPWAY_API_KEY", "")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        known = bool(key) and hmac.compare_digest(key.encode(), given.encode())
        body = json.dumps(PHASE).encode() if known else b""
        self.send_response(200 if path == "/health/live" else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "5")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds; the log is for what happens."""


if __name__ == "__main__":
    main(sys.argv[1])
