"""The release in a container is exchanged: real servers under the container's own start, asked over its port."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from sidecar.core.sync import Release
from tests.contract.inference.conftest import Sample
from tests.faults.rolling.defects import DEFECTS, Defect
from tests.faults.rolling.in_place import questions_of, under_load
from tests.support.contained import (
    API_KEY,
    DEPLOY_KEY,
    Contained,
    contained,
    eventually,
    publish,
    release_of,
    share,
    shouting,
)

WHO, AM = "Who are you?", "I am a tiny language model."
LONG = {"ignore_eos": True, "max_tokens": 1500, "stream": True}
SMOKE = [{"prompt": WHO, "contains": AM}]
REPLICA = {"CONTAINER_APP_REPLICA_NAME": "app--1-one"}
Releases = tuple[Release, Release]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """The server as it is, and one that answers in capital letters."""
    folder = tmp_path_factory.mktemp("releases")
    return release_of(folder, "calm"), release_of(folder, "loud", shouting)


@pytest.fixture(scope="module")
def mount(sample: Sample, releases: Releases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = share(tmp_path_factory.mktemp("share"), sample.mount)
    publish(place, releases[0], 1)
    return place


def oldest_python() -> str:
    """The container is begun by whatever Python the image has: the oldest that has to do, where it is here. A shim that finds
    none of that version is none."""
    installed = sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10"))
    for each in ("python3.10", *map(str, installed)):
        if shutil.which(each) and subprocess.run([each, "-c", ""], capture_output=True, check=False).returncode == 0:
            return each
    return sys.executable


@pytest.fixture(scope="module")
def shared(mount: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Contained]:
    """For tests that leave the first release in place."""
    folder, python = tmp_path_factory.mktemp("shared"), oldest_python()
    seconds = {"SLIPWAY_TAKE_OVER_SECONDS": "10", "SLIPWAY_HANDED_SECONDS": "5"}
    with contained(mount, folder, python=python, **seconds, **REPLICA) as started:
        started.ready()
        yield started


@pytest.fixture
def own(mount: Path, tmp_path: Path) -> Generator[Contained]:
    """It waits for the rest of a request for longer than an exchange takes on a busy machine."""
    patience = {"SLIPWAY_HEADER_TIMEOUT": "240", "SLIPWAY_DRAIN_TIMEOUT": "120"}
    with contained(mount, tmp_path, **patience) as started:
        started.ready()
        yield started


@pytest.fixture(scope="module")
def moved(mount: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Contained]:
    """For the two tests that exchange its release to and fro, in their order."""
    with contained(mount, tmp_path_factory.mktemp("moved")) as started:
        started.ready()
        yield started


def said(container: Contained) -> str:
    return container.chat(WHO).json()["choices"][0]["message"]["content"]


def connected(container: Contained) -> socket.socket:
    return socket.create_connection(("127.0.0.1", container.port), timeout=120)


def head(path: str = "/v1/models", method: str = "GET", key: str = API_KEY) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


def answer_on(connection: socket.socket) -> tuple[int, str, bytes]:
    """Status, head and body of one answer with a stated length."""
    got = b""
    while b"\r\n\r\n" not in got:
        block = connection.recv(65536)
        assert block, f"the connection was closed after {got!r}"
        got += block
    told, _, body = got.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in told.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return int(told.split(b" ")[1]), told.decode().lower(), body


def has_command(pid: int) -> bool:
    """A process that has ended and is not reaped yet has none."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def test_beside_no_request_is_lost_whatever_it_is_doing(own: Contained, releases: Releases):
    """A stream goes on to its end on the release that began it; what came in part is answered by it, with the wish to close; a
    connection that waits for its next request is answered by the new release, as one that no request has come on yet."""
    calm, loud = releases
    idle, fresh, partial = connected(own), connected(own), connected(own)
    idle.sendall(head())
    assert answer_on(idle)[0] == 200
    partial.sendall(head("/version")[:20])
    body = {"messages": [{"role": "user", "content": WHO}], "model": "slipway/tiny-llama", "temperature": 0, **LONG}
    headers = {"authorization": f"Bearer {API_KEY}"}
    client = httpx.Client(base_url=own.url, headers=headers, timeout=120)
    with client.stream("POST", "/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()
        first = next(line for line in lines if "content" in line)
        told = own.exchanged(loud, "beside", smoke=[{"prompt": WHO, "equals": AM.upper()}])
        assert told["state"] == "done", told
        assert told["pause"] == 0
        assert stream.headers["x-slipway-release"] == calm.digest
        events = [first, *(line for line in lines if line)]
    assert events[-1] == "data: [DONE]"
    text = "".join(json.loads(each[6:])["choices"][0]["delta"].get("content") or "" for each in events[:-1])
    assert AM in text
    assert text != text.upper()
    partial.sendall(head("/version")[20:])
    status, told_head, version = answer_on(partial)
    assert (status, json.loads(version)["release"]) == (200, calm.digest)
    assert "connection: close" in told_head
    for connection in (idle, fresh):
        connection.sendall(head("/version"))
        status, told_head, version = answer_on(connection)
        assert (status, json.loads(version)["release"]) == (200, loud.digest)
        assert "connection: close" not in told_head
    assert said(own) == AM.upper()
    assert own.exchange()["running"] == {"release": loud.digest, "generation": "2"}
    # on the connection of the stream, whose head was sent before: it was not closed
    assert client.get("/version").json()["release"] == loud.digest
    (server,) = eventually(lambda: found if len(found := own.servers()) == 1 else None)
    # Nothing outlives the supervisor: a server whose container is gone must not keep the port and the GPU.
    own.process.kill()
    eventually(lambda: not has_command(server))


def test_in_turn_requests_wait_and_are_answered_by_the_new_release(own: Contained, releases: Releases):
    _, loud = releases
    idle = connected(own)
    idle.sendall(head("/version"))
    assert answer_on(idle)[0] == 200
    assert own.send(loud).status_code == 201
    assert own.send(loud).status_code == 200
    (serving,) = own.servers()
    assert own.begin(loud, "in turn").status_code == 202
    eventually(lambda: serving not in own.servers())
    idle.sendall(head("/version"))
    assert (own.probe("/health/live"), own.probe("/health/ready")) == (200, 200)
    assert own.version()["release"] == loud.digest  # it waited, as the other one
    assert json.loads(answer_on(idle)[2])["release"] == loud.digest
    told = own.until("done", "failed")
    assert (told["state"], told["generation"]) == ("done", "2")
    assert 0 < told["pause"] < 120
    assert said(own) == AM.upper()
    # Told to end, it answers what it has.
    body = {"messages": [{"role": "user", "content": WHO}], "model": "slipway/tiny-llama", **LONG, "max_tokens": 400}
    headers = {"authorization": f"Bearer {API_KEY}"}
    with httpx.stream("POST", f"{own.url}/v1/chat/completions", json=body, headers=headers, timeout=120) as stream:
        lines = stream.iter_lines()
        next(lines)
        own.process.send_signal(signal.SIGTERM)
        assert list(lines)[-2:] == ["data: [DONE]", ""]
    assert own.process.wait(120) == 0


BESIDE = [each for each in DEFECTS if each.name != "never-ready"]
IN_TURN = [each for each in DEFECTS if each.name == "misnamed"]
"""The others are rows of `npm run faults -- rollout`: each costs two starts."""


@pytest.mark.parametrize("defect", BESIDE, ids=[each.name for each in BESIDE])
def test_beside_a_release_that_does_not_serve_leaves_the_former_one_as_it_is(
    shared: Contained, tmp_path: Path, defect: Defect
):
    serving = shared.servers()
    told = shared.exchanged(release_of(tmp_path, "bad", defect.change), "beside", smoke=SMOKE)
    assert told["state"] == "failed", told
    assert defect.reason in told["reason"]
    assert len(told["log"]) <= 20
    eventually(lambda: shared.servers() == serving)
    assert said(shared) == AM
    assert "slipway: failed:" not in shared.log.read_text()  # it would be taken for the container's own word


@pytest.mark.parametrize("defect", IN_TURN, ids=[each.name for each in IN_TURN])
def test_in_turn_the_former_release_starts_again_where_the_new_one_does_not_serve(
    own: Contained, tmp_path: Path, defect: Defect
):
    """What waits meanwhile is answered."""
    serving = own.servers()
    bad = release_of(tmp_path, "bad", defect.change)
    own.send(bad)
    own.begin(bad, "in turn", smoke=SMOKE)
    eventually(lambda: not set(own.servers()) & set(serving))
    assert said(own) == AM
    told = own.until("failed", "done")
    assert told["state"] == "failed", told
    assert defect.reason in told["reason"]
    assert told["pause"] > 0
    assert own.exchange()["running"]["generation"] == "1"
    (server,) = own.servers()
    # A server that ends by itself ends the container as it ended: the platform sees what it always saw.
    os.kill(server, signal.SIGKILL)
    assert own.process.wait(120) == 137


@pytest.mark.long  # a roll-out beside streaming callers is part of every run: contract/provision/test_beside.py
def test_under_load_no_request_fails_and_none_is_answered_by_two_releases(
    moved: Contained, sample: Sample, releases: Releases
):
    """As `npm run faults -- rollout-load` does through the ingress, ten times: one exchange of each form."""
    told = json.loads((sample.mount / "sample.json").read_text())
    questions = questions_of(moved, told, *releases)
    for form, pair in (("beside", releases), ("in turn", (releases[1], releases[0]))):
        carried = asyncio.run(under_load(moved, questions, pair, form, exchanges=1, clients=6))
        assert carried.held, carried.told()


def test_in_turn_what_ends_before_it_loads_makes_nobody_wait(moved: Contained, releases: Releases, tmp_path: Path):
    """Code and packages are tried while the former server answers: the pause is as long as the model takes to load. A release
    that asks for other packages would change them under it, and has to wait."""
    serving = moved.servers()
    told = moved.exchanged(release_of(tmp_path, "bad", DEFECTS[0].change), "in turn")
    assert (told["state"], told["reason"], told["pause"]) == ("failed", DEFECTS[0].reason, None)
    _, loud = releases
    moved.send(loud)
    moved.begin(loud, "in turn")
    assert moved.slipway("DELETE", "exchange").status_code == 202
    told = moved.until("failed", "done")
    assert (told["reason"], told["pause"]) == ("it was discarded", None)
    assert moved.servers() == serving

    def other_packages(code: Path) -> None:
        (code / "requirements.txt").write_text("# others\n")

    other = release_of(tmp_path, "other", other_packages)
    moved.send(other)
    assert moved.begin(other, "beside").json()["code"] == "OtherPackages"
    moved.begin(other, "in turn")
    eventually(lambda: serving[0] not in moved.servers())
    assert moved.version()["release"] == other.digest


def test_a_checked_release_is_discarded_when_nobody_tells_it_to_take_over(shared: Contained, releases: Releases):
    _, loud = releases
    shared.send(loud)
    assert shared.begin(loud, "beside").status_code == 202
    assert shared.begin(loud, "beside").json()["code"] == "Busy"
    told = shared.until("checked")
    eventually(lambda: shared.exchange()["beside"]["fits"] is not None)
    # Of several replicas the ingress asks any: each says which it is, and takes no order that is meant for another.
    assert told["replica"] == "app--1-one"
    meant = {"release": loud.digest, "replica": "app--1-two"}
    assert shared.slipway("POST", "exchange/take-over", json=meant).json()["code"] == "OtherReplica"
    assert shared.begin(loud, "beside", replica="app--1-two").json()["code"] == "OtherReplica"
    assert shared.version()["release"] != loud.digest
    # Who judges it asks it, with the key of deploys alone; as long as it is asked it waits.
    asked = {"model": "slipway/tiny-llama", "prompt": "Who", "max_tokens": 4, "temperature": 0}
    assert shared.slipway("GET", "candidate/version").json()["release"] == loud.digest
    assert shared.slipway("GET", "candidate/version", key=API_KEY).status_code == 401
    assert shared.slipway("GET", "candidate/metrics").status_code == 404
    assert shared.slipway("POST", "candidate/v1/completions", json={**asked, "model": "nobody"}).status_code == 404
    os.kill(shared.servers()[-1], signal.SIGSTOP)  # it computes for longer than the ingress would wait
    late = shared.slipway("POST", "candidate/v1/completions", json=asked)
    os.kill(shared.servers()[-1], signal.SIGCONT)
    assert (late.status_code, late.json()["code"]) == (504, "TooSlow")
    whole = shared.slipway("POST", "candidate/v1/completions", json=asked)
    last = time.monotonic()
    assert whole.json()["choices"][0]["text"].isupper()
    told = shared.until("failed")
    assert time.monotonic() - last > 9.5
    assert told["reason"] == "nobody told it to take over within 10 s"
    assert shared.slipway("POST", "candidate/v1/completions", json=asked).json()["code"] == "NotChecked"
    assert shared.take_over(loud).status_code == 409
    assert said(shared) == AM


def test_what_is_discarded_leaves_the_former_release(shared: Contained, releases: Releases):
    _, loud = releases
    assert shared.slipway("DELETE", "exchange").status_code == 409
    shared.send(loud)
    shared.begin(loud, "beside")
    assert shared.slipway("DELETE", "exchange").status_code == 202
    told = shared.until("failed", "done")
    assert (told["state"], told["reason"]) == ("failed", "it was discarded")
    assert said(shared) == AM


def test_the_server_that_is_tried_is_killed_while_it_loads(shared: Contained, releases: Releases):
    _, loud = releases
    serving = shared.servers()
    shared.send(loud)
    shared.begin(loud, "beside")
    (tried,) = eventually(lambda: set(shared.servers()) - set(serving))
    os.kill(tried, signal.SIGKILL)
    told = shared.until("failed", "checked")
    assert (told["state"], told["reason"]) == ("failed", "it ended with exit code 137")
    assert shared.servers() == serving
    assert said(shared) == AM


def test_keys_and_bundles_are_checked(shared: Contained, releases: Releases):
    """The key of callers opens nothing here, and the key of deploys nothing else; a bundle is what its name says."""
    calm, loud = releases  # the first is on the share, and was never sent here
    assert shared.slipway("GET", "exchange", key=API_KEY).status_code == 401
    assert shared.slipway("GET", "exchange", key="").status_code == 401
    assert shared.get("/v1/models", key=DEPLOY_KEY).status_code == 401
    assert DEPLOY_KEY not in shared.log.read_text()
    (server,) = shared.servers()
    assert DEPLOY_KEY.encode() not in Path(f"/proc/{server}/environ").read_bytes()
    content = calm.file.read_bytes()
    mismatch = shared.slipway("PUT", f"releases/{calm.digest}", content=content[:-1] + b"x")
    assert (mismatch.status_code, mismatch.json()["code"]) == (400, "DigestMismatch")
    parts = iter([content])  # without a stated length
    assert shared.slipway("PUT", f"releases/{calm.digest}", content=parts).status_code == 411
    no_tar = b"this is no bundle" * 1000
    assert shared.slipway("PUT", f"releases/{hashlib.sha256(no_tar).hexdigest()}", content=no_tar).status_code == 400
    assert shared.slipway("PUT", "releases/none", content=b"x").status_code == 404
    assert shared.begin(Release("0" * 64, loud.file, 0, {}), "beside").json()["code"] == "NoSuchRelease"
    assert shared.slipway("POST", "exchange", content=b"{").status_code == 400
    assert shared.slipway("GET", "elsewhere").status_code == 404
    assert shared.slipway("GET", "exchange%0d%0ax:%20y").status_code == 404
    unlimited = resource.prlimit(shared.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(shared.process.pid, resource.RLIMIT_FSIZE, (len(content) // 2, unlimited[1]))
    full = shared.slipway("PUT", f"releases/{calm.digest}", content=content)
    resource.prlimit(shared.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert (full.status_code, full.json()["code"]) == (507, "DiskFull")
    assert shared.send(calm).status_code == 201


def test_a_port_that_somebody_has_ends_the_container_with_the_reason(mount: Path, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with contained(mount, tmp_path, CONTAINER_APP_PORT=port) as container:
            assert container.process.wait(120) == 1
            assert f"slipway: failed: nobody can listen on port {port}" in container.log.read_text()


def test_the_first_release_may_come_this_way_too(sample: Sample, releases: Releases, tmp_path: Path):
    calm, _ = releases
    with contained(share(tmp_path, sample.mount), tmp_path) as container:
        eventually(lambda: container.probe("/health/live") == 200)
        assert container.probe("/health/ready") == 503
        assert container.exchange()["running"] is None
        assert container.exchanged(calm, "beside", 1)["state"] == "done"
        assert said(container) == AM
        assert container.probe("/health/ready") == 200


def test_a_server_that_is_not_ours_listens_by_itself_and_is_not_exchanged(
    mount: Path, releases: Releases, tmp_path: Path
):
    """As before: its commands bind the port, and what is asked of the container is not answered by anybody."""
    port = "python3 -m http.server $CONTAINER_APP_PORT --bind 127.0.0.1 --directory inference"
    with contained(mount, tmp_path, port) as container:
        eventually(lambda: (container.probe("/health/live"), container.process.poll()) == (404, None))
        assert httpx.get(f"{container.url}/release.txt", timeout=120).text == "calm"
        assert container.slipway("GET", "exchange").status_code == 404
