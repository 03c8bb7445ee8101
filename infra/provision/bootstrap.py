"""The container's start and its first process: runs the commands of the current release on the share, and exchanges it.

`npm run fix` puts this file, and those of this folder that it imports, into inference.bicep; the container runs them as
`python3 -c <this> <script>`, on whatever Python the image has, before any package is installed. It chooses the release,
verifies it, and unpacks it to the local disk. Until the first deploy it answers the probes and the deploy key alone.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import pathlib
import shutil
import sys

from infra.provision.container import Container
from infra.provision.exchange import Exchange
from infra.provision.packages import Depot
from infra.provision.releases import Shelf, candidates, say, unpacked, verified
from infra.provision.server_process import Release
from infra.provision.streams import Answer, Asked, answering, discard, folder_for_sockets

PHASE = {
    "status": "loading",
    "phase": "waiting-for-first-deploy",
    "progress": None,
    "detail": "run Deploy for inference",
}


def main(script: str) -> None:
    mount = os.environ["SLIPWAY_MOUNT"]
    home = pathlib.Path(mount, ".slipway", os.environ["SLIPWAY_APP"])
    # The default image's Python is its system's own, and marked so that pip refuses to install into it (PEP 668). The image's
    # PyTorch is in there and the container is thrown away, so pip may. What a person has set for pip stays as it is.
    os.environ.setdefault("PIP_BREAK_SYSTEM_PACKAGES", "1")
    os.environ.setdefault("PIP_ROOT_USER_ACTION", "ignore")
    sys.exit(asyncio.run(supervise(script, first_release(script, mount, home), Depot(home))))


def first_release(script: str, mount: str, home: pathlib.Path) -> Release | None:
    """None before the first deploy."""
    if "cd " + mount in script:
        say("the commands change into the mount: they run from the plain tree there, not from a release")
        return Release("", "", "")
    offered = candidates(home)
    for digest, generation in offered:
        bundle = verified(home, digest)
        if bundle is not None:
            release = Release(digest, generation, unpacked(bundle))
            say(f"starting release {digest[:12]}" + (f" (generation {generation})" if generation else ""))
            say("phase dependencies")
            return release
    if offered:
        sys.exit("slipway: failed: no release on the share is intact: run Deploy for inference again")
    say("waiting for the first deploy: only the probes are answered")
    say("phase waiting-for-first-deploy")
    return None


async def supervise(script: str, first: Release | None, depot: Depot) -> int:
    """The exit code of the server that served last."""
    control = f"{folder_for_sockets()}/control"
    container, shelf = Container(script, control), Shelf()
    exchange = Exchange(container, shelf, depot)
    container.watch()
    served: list[asyncio.AbstractServer] = [await asyncio.start_unix_server(answering(exchange.answer), control)]
    os.chmod(control, 0o600)
    probes = Probes(container)
    if first is None:
        container.doorkeeper = await waiting(container, probes, exchange)
    begun = [asyncio.create_task(probes.open(served))]
    if first is not None:
        begun.append(asyncio.create_task(serve(container, first, depot)))
    code = await container.code
    depot.stop.set()
    for each in begun:
        each.cancel()
    await exchange.stop()
    await container.quiet()
    for each in served:
        each.close()
    shutil.rmtree(os.path.dirname(control), ignore_errors=True)
    return code


async def serve(container: Container, first: Release, depot: Depot) -> None:
    """Once its packages are there."""
    try:
        packages = await asyncio.to_thread(depot.packages, first.place)
    except EOFError:
        return  # told to end
    if not container.ending:
        container.serve(first._replace(packages=packages))


class Probes:
    """Answers for the server on a port of its own, and while none serves."""

    def __init__(self, container: Container) -> None:
        self._container = container

    async def open(self, served: list[asyncio.AbstractServer]) -> None:
        """Not before requests have a port: the platform takes the only port that is listened on for the one that was meant."""
        port = os.environ.get("SLIPWAY_PROBE_PORT", "")
        if not port:
            return
        while not await self._container.is_open():
            await asyncio.sleep(0.2)
        served.append(await asyncio.start_server(answering(self.answer), self._container.port[0], int(port)))

    async def answer(self, asked: Asked) -> Answer | None:
        await discard(asked)
        if asked.path not in ("/health/live", "/health/ready"):
            return Answer(404)
        if self._container.pausing:
            return Answer(200)  # requests wait for the release that comes: the container is well
        serves = self._container.running
        if serves is None:
            return self.waiting(asked)
        try:
            return Answer((await serves.ask("GET", asked.path, keyed=False, seconds=60)).status)
        except (OSError, EOFError, ValueError, TimeoutError):
            return None  # as where nobody listens

    def waiting(self, asked: Asked) -> Answer:
        """Alive, not ready; why is told to those who have the key."""
        key = os.environ.get("SLIPWAY_API_KEY", "")
        given = asked.headers.get("authorization", "").removeprefix("Bearer ").strip()
        known = bool(key) and hmac.compare_digest(key.encode(), given.encode())
        return Answer(200 if asked.path == "/health/live" else 503, PHASE if known else None)


async def waiting(container: Container, probes: Probes, exchange: Exchange) -> asyncio.AbstractServer:
    """On the port itself, by a descriptor of its own: the socket outlives it."""

    async def answer(asked: Asked) -> Answer | None:
        if asked.path.startswith("/slipway/"):
            return await exchange.answer(asked)
        await discard(asked)
        return probes.waiting(asked)

    return await asyncio.start_server(answering(answer), sock=container.socket(container.port).dup(), backlog=2048)


if __name__ == "__main__":
    main(sys.argv[1])
