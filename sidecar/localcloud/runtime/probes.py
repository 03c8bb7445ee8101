"""Health probes: what a container declares, what ACA adds, and what a run of results means."""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Literal

from sidecar.localcloud.core.fields import Json, member, objects

Kind = Literal["Startup", "Liveness", "Readiness"]

# Upper limits that ACA puts on a declared probe: field → (lowest, highest) and, for failures, the highest by kind.
_LIMITS = {
    "initialDelaySeconds": (0, 60),
    "periodSeconds": (1, 240),
    "timeoutSeconds": (1, 240),
    "successThreshold": (1, 10),
}
_FAILURES: dict[str, int] = {"Liveness": 30, "Readiness": 48, "Startup": 240}


@dataclass(frozen=True)
class Probe:
    kind: Kind
    path: str | None
    """None: only a connection is tried."""
    port: int
    headers: tuple[tuple[str, str], ...] = ()
    initial_delay: float = 0
    period: float = 10
    timeout: float = 1
    failure_threshold: int = 3
    success_threshold: int = 1


@dataclass(frozen=True)
class Health:
    """The run of equal results so far, and what was concluded from it."""

    passed: bool | None = None
    """None until a threshold was reached for the first time."""
    successes: int = 0
    failures: int = 0


def observe(health: Health, probe: Probe, result: Literal["success", "failure"]) -> Health:
    """`health` after one more result: a conclusion changes only when its threshold is reached."""
    if result == "success":
        run = health.successes + 1
        return Health(True if run >= probe.success_threshold else health.passed, run, 0)
    run = health.failures + 1
    return Health(False if run >= probe.failure_threshold else health.passed, 0, run)


def declared_probes(container: Json) -> tuple[Probe, ...]:
    return tuple(_probe(entry) for entry in objects(container, "probes"))


def probes_of(declared: tuple[Probe, ...], target_port: int | None) -> tuple[Probe, ...]:
    """The probes that run for a container: those it declares, and, where it has ingress, ACA's own for each missing type."""
    if target_port is None:
        return declared
    own = (
        Probe("Startup", None, target_port, initial_delay=1, period=1, timeout=3, failure_threshold=240),
        Probe("Readiness", None, target_port, initial_delay=3, period=5, timeout=5, failure_threshold=48),
        Probe("Liveness", None, target_port),
    )
    kinds = {probe.kind for probe in declared}
    return (*declared, *(probe for probe in own if probe.kind not in kinds))


def scaled(probe: Probe, bounds: float) -> Probe:
    """The same probe on a cloud whose limits are shorter; counts stay."""
    if bounds == 1:
        return probe
    return replace(
        probe,
        initial_delay=probe.initial_delay * bounds,
        period=probe.period * bounds,
        timeout=probe.timeout * bounds,
    )


def _probe(entry: Json) -> Probe:
    http = member(entry, "httpGet")
    target = http or member(entry, "tcpSocket")
    probe = Probe(
        entry["type"],
        (http.get("path") or "/") if http else None,
        int(target.get("port", 0)),
        tuple((str(header.get("name")), str(header.get("value"))) for header in objects(http, "httpHeaders")),
    )
    given = {
        "initial_delay": entry.get("initialDelaySeconds"),
        "period": entry.get("periodSeconds"),
        "timeout": entry.get("timeoutSeconds"),
        "failure_threshold": entry.get("failureThreshold"),
        "success_threshold": entry.get("successThreshold"),
    }
    return replace(probe, **{name: value for name, value in given.items() if value is not None})


def probe_problem(entry: Json) -> tuple[str, str] | None:
    """(code, what follows the container's name) of what ACA says against a declared probe; None where it is fine."""
    kind = entry.get("type")
    if kind not in _FAILURES:
        return "ContainerAppProbeInvalid", f"has a probe of type '{kind}', not one of Liveness, Readiness, Startup."
    if bool(entry.get("httpGet")) == bool(entry.get("tcpSocket")):
        return "ContainerAppProbeInvalid", f"'{kind}' probe must have exactly one of httpGet and tcpSocket."
    port = (member(entry, "httpGet") or member(entry, "tcpSocket")).get("port")
    if type(port) is not int or not 1 <= port <= 65535:
        return "ContainerAppProbePortOutOfRange", f"'{kind}' probe's Port must be in the range of ['1', '65535']."
    headers = objects(member(entry, "httpGet"), "httpHeaders")
    if not all(isinstance(header.get(part), str) for header in headers for part in ("name", "value")):
        return "ContainerAppProbeInvalid", f"'{kind}' probe's httpHeaders must each have a name and a value."
    limits = {**_LIMITS, "failureThreshold": (1, _FAILURES[kind])}
    for name, (low, high) in limits.items():
        value = entry.get(name)
        if value is not None and (type(value) is not int or not low <= value <= high):
            field = f"{name[:1].upper()}{name[1:]}"
            said = f"'{kind}' probe's {field} must be in the range of ['{low}', '{high}']."
            return f"ContainerAppProbe{field}OutOfRange", said
    return None


@dataclass(frozen=True)
class Failure:
    """One failed try, in the words of the system log."""

    text: str


async def run_probe(probe: Probe, port: int | None) -> Failure | None:
    """Tries the probe once against this machine's `port` (None: nothing listens there); None is success."""
    name = PROBE_NAMES[probe.kind]
    # A refused connection has no status; a TCP probe's exit code is 1.
    refused = Failure(f"Probe of {name} failed with status code: {'1' if probe.path is None else ''}")
    if port is None:
        return refused
    try:
        async with asyncio.timeout(probe.timeout):
            status = await _try(probe, port)
    except TimeoutError:
        return Failure(f"Probe of {name} failed with timeout in {probe.timeout:g} seconds.")
    except OSError:
        return refused
    if status is None or 200 <= status < 400:
        return None
    return Failure(f"Probe of {name} failed with status code: {status or ''}")


PROBE_NAMES: dict[Kind, str] = {"Startup": "StartUp", "Liveness": "Liveness", "Readiness": "Readiness"}
"""What the system log calls them."""


async def _try(probe: Probe, port: int) -> int | None:
    """The status of the answer, 0 where it is not HTTP; None for a connection that was all that is asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if probe.path is None:
            return None
        lines = [f"GET {probe.path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "User-Agent: curl/8.11.1", "Accept: */*"]
        lines += [f"{name}: {value}" for name, value in probe.headers if name.lower() != "host"]
        writer.write(("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode())
        await writer.drain()
        status = (await reader.readline()).split()
        return int(status[1]) if len(status) > 1 and status[1].isdigit() else 0
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
