"""`python -m sidecar.localcloud`: serves one state folder until it is stopped or nobody has used it for a while."""

import argparse
import asyncio
import contextlib
import errno
import fcntl
import json
import logging
import logging.handlers
import os
import shutil
import signal
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sidecar.localcloud.cloud.cloud import Endpoints, LocalCloud
from sidecar.localcloud.core.fields import Json
from sidecar.localcloud.core.ports import free_port
from sidecar.localcloud.core.settings import Settings, SettingsError, read_settings
from sidecar.localcloud.core.state import StateError, Store, write_private
from sidecar.localcloud.deployments.deployments import Deployments
from sidecar.localcloud.door.arm_app import arm_app
from sidecar.localcloud.door.dated import dated
from sidecar.localcloud.door.faults import Faults, with_admin
from sidecar.localcloud.door.log_streams import log_streams_app
from sidecar.localcloud.door.recorder import recorded
from sidecar.localcloud.files.door import files_app
from sidecar.localcloud.image import described, image_for, shipped_requirements
from sidecar.localcloud.resources import providers
from sidecar.localcloud.runtime.assembly import Surroundings
from sidecar.localcloud.runtime.runtime import Runtime

log = logging.getLogger("sidecar.localcloud")
PARTS = ("arm", "files", "data")


@dataclass(frozen=True)
class Options:
    state: Path
    throwaway: bool
    bind: str
    ingress_bind: str
    idle_exit: float
    companion: int | None
    """A process without which nobody wants this cloud."""
    settings: Path
    record: Path | None


class StartError(Exception):
    """The cloud can't start; the message says why."""


def main() -> int:
    options = _options()
    os.umask(0o077)
    try:
        options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _held(options.state):
            settings = read_settings(options.settings)
            _log_to(options.state / "logs")
            asyncio.run(_serve(options, settings))
    except (StartError, StateError, SettingsError) as problem:
        print(problem, file=sys.stderr)
        return 1
    finally:
        if options.throwaway and not (options.state / "lock").exists():
            shutil.rmtree(options.state, ignore_errors=True)
    return 0


def _options() -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m sidecar.localcloud",
        description="Azure on this machine: ARM, Azure Files and Container Apps over HTTPS on loopback, apps as processes. "
        "Prints one JSON line when it is ready.",
    )
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="where everything is kept (mode 0700)")
    parser.add_argument("--throwaway", action="store_true", help="remove the state folder at the end")
    parser.add_argument("--bind", default="127.0.0.1", help="loopback address of ARM, Files and log streams")
    parser.add_argument("--ingress-bind", default="127.0.0.1", help="address that the apps' ingresses listen on")
    parser.add_argument(
        "--idle-exit", type=float, default=600, metavar="SECONDS", help="stop after so long without a client"
    )
    parser.add_argument("--with", type=int, metavar="PID", dest="companion", help="stop when this process has ended")
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="quotas, regions, profiles, … (DIR/settings.json)"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="append ARM's traffic to a file, for contract tests ($SLIPWAY_LOCAL_RECORD: to a file of its own in that folder)",
    )
    given = parser.parse_args()
    if given.bind not in ("127.0.0.1", "::1", "localhost"):
        parser.error("--bind must be a loopback address: the cloud runs commands as you")
    state = given.state.resolve()
    settings = given.settings or state / "settings.json"
    folder = os.environ.get("SLIPWAY_LOCAL_RECORD")
    record = given.record or (Path(folder) / f"{uuid.uuid4()}.jsonl" if folder else None)
    return Options(
        state,
        given.throwaway,
        given.bind,
        given.ingress_bind,
        given.idle_exit,
        given.companion,
        settings,
        record,
    )


@contextlib.contextmanager
def _held(state: Path) -> Generator[None]:
    """Holds the state folder's lock: a second cloud on the same folder would corrupt it."""
    lock = state / "lock"
    with lock.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            held.seek(0)
            raise StartError(f"A local cloud is already running on {state} (pid {held.read().strip()}).") from problem
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        yield
        lock.unlink(missing_ok=True)


def _log_to(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(folder / "localcloud.log", maxBytes=5_000_000, backupCount=2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", handlers=[handler])
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)


async def _serve(options: Options, settings: Settings) -> None:
    store = Store(options.state)
    last = _ports(options.state)
    sockets = {part: _socket(options.bind, port) for part, port in last.items()}
    ports = {part: int(each.getsockname()[1]) for part, each in sockets.items()}
    for part in (part for part in PARTS if last[part] not in (0, ports[part])):
        log.warning("port %d is taken by another program: %s is on %d now", last[part], part, ports[part])
        store.move(f"https://{options.bind}:{last[part]}/", f"https://{options.bind}:{ports[part]}/")
    urls = {part: f"https://{options.bind}:{port}" for part, port in ports.items()}
    runtime = Runtime(
        Surroundings(options.state, settings, store, options.ingress_bind, lambda: _image_python(os.environ))
    )
    cloud = LocalCloud(
        options.state, settings, Endpoints(urls["arm"], urls["files"], urls["data"], ports), runtime, store
    )
    deployments = Deployments(cloud)
    apps: dict[str, ASGIApp] = {
        "arm": arm_app(cloud, deployments),
        "files": files_app(cloud),
        "data": log_streams_app(cloud),
    }
    if options.record:
        apps["arm"] = recorded(apps["arm"], options.record, urls["arm"])
    faults = Faults()
    doors = {part: faults.guard(part, dated(app, cloud.now)) for part, app in apps.items()}
    doors["arm"] = with_admin(doors["arm"], faults, cloud.directory.admin_token)
    servers = {part: _server(cloud, _guarded(door, ports[part], options.bind)) for part, door in doors.items()}
    serving = [asyncio.create_task(server.serve(sockets=[sockets[part]])) for part, server in servers.items()]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not all(server.started for server in servers.values()):
        await asyncio.sleep(0.01)
    write_private(options.state / "cloud.json", json.dumps(_description(cloud), indent=1))
    providers.resume(cloud)
    deployments.resume()
    cloud.operations.end_cut_off()
    if settings.strict:
        log.info("strict: what this cloud ignores of a request is refused")
    print(json.dumps({"ready": True, "pid": os.getpid(), "arm": urls["arm"], "state": str(options.state)}), flush=True)
    await _until_unwanted(cloud, deployments, stop, options)
    log.info("stopping")
    for server in servers.values():
        server.should_exit = True
    await asyncio.wait(serving, timeout=5)
    await deployments.stop()
    await cloud.stop()


async def _until_unwanted(cloud: LocalCloud, deployments: Deployments, stop: asyncio.Event, options: Options) -> None:
    """Returns when a signal came, when the companion has ended, however it went, or when for so long no client called, no
    request was served and no deployment ran."""
    companion = None if options.companion is None else _process(options.companion)
    while not stop.is_set():
        if options.companion is not None and (companion is None or not _is_alive(companion)):
            log.info("process %d has ended, for which this cloud was started", options.companion)
            return
        if deployments.running or cloud.operations.running:
            cloud.used()
        idle = time.monotonic() - max(cloud.last_used, cloud.runtime.busy_at)
        if idle >= options.idle_exit:
            log.info("no client for %.0f s", idle)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(1.0, max(0.05, options.idle_exit - idle))):
                await stop.wait()


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _is_alive(process: psutil.Process) -> bool:
    """This one, not another under its old number; not reaped yet counts as ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _image_python(environ: Mapping[str, str]) -> Path | None:
    requirements = shipped_requirements()
    if not requirements.exists():
        return None
    image = image_for(requirements, environ)
    return image.python if image.built else None


def _ports(state: Path) -> dict[str, int]:
    """The ports of the last time (0: none yet), so that what people wrote down stays true while nobody else has taken them."""
    file = state / "ports.json"
    kept: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    return {part: kept.get(part, 0) for part in PARTS}


def _socket(host: str, port: int) -> socket.socket:
    """Bound to the port; to another one where there is none yet, or another program has taken it meanwhile."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        try:
            made.bind((host, port or free_port(host)))
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise
            made.bind((host, free_port(host)))
    except OSError as problem:
        made.close()
        raise StartError(f"No port of {host} can be listened on: {problem}") from problem
    return made


def _server(cloud: LocalCloud, app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        ssl_certfile=str(cloud.certificates.chain),
        ssl_keyfile=str(cloud.certificates.key),
        log_config=None,
        access_log=False,
        lifespan="off",
        http="h11",
        ws="none",
        server_header=False,
        date_header=False,  # the door says it, by the cloud's clock
        limit_concurrency=2000,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=65536,
    )
    config.load()
    if config.ssl:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return _Server(config)


class _Server(uvicorn.Server):
    """A server that leaves signals alone: one handler stops all three."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends what is kept open for a next request at once: a client that only keeps it does not answer TLS's farewell, for
        which every stop would wait to its deadline. What is under way has that long."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol) and _is_idle(connection):
                connection.transport.abort()
        await super().shutdown(sockets)


def _is_idle(connection: H11Protocol) -> bool:
    """Whether nothing was asked yet or all that was is answered, to the last byte."""
    cycle = connection.cycle  # pyright: ignore[reportUnknownMemberType]
    return (not cycle or cycle.response_complete) and connection.transport.get_write_buffer_size() == 0


def _guarded(app: ASGIApp, port: int, bind: str) -> ASGIApp:
    """Refuses a request whose Host is not ours: a web page that rebinds a name to loopback gets nothing."""
    allowed = {f"{host}:{port}".encode() for host in (bind, "127.0.0.1", "localhost", "[::1]")}

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or hosts[0].lower() not in allowed:
                await send({"type": "http.response.start", "status": 421, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body", "body": b""})
                return
        await app(scope, receive, send)

    return guard


def _description(cloud: LocalCloud) -> Json:
    """cloud.json: what a client on this machine needs to sign in."""
    directory, owner = cloud.directory, cloud.directory.owner
    write_private(cloud.folder / "ports.json", json.dumps(dict(cloud.endpoints.ports)))
    return {
        "pid": os.getpid(),
        "arm": cloud.endpoints.arm,
        "authority": cloud.endpoints.arm,
        "caFile": str(cloud.certificates.authority),
        "tenantId": owner.tenant,
        "tenants": list(directory.tenants),
        "clientId": owner.client_id,
        "clientSecret": owner.client_secret,
        "subscriptions": [
            {"id": each.id, "name": each.name, "tenantId": each.tenant} for each in directory.subscriptions
        ],
        "managedIdentity": {
            "endpoint": f"{cloud.endpoints.arm}/msi/token",
            "header": directory.managed_identity_header,
        },
        "adminToken": directory.admin_token,
        "image": described(cloud.settings.bare_image),
        "ports": dict(cloud.endpoints.ports),
    }


if __name__ == "__main__":
    sys.exit(main())
