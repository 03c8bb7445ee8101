"""Faults of a Deploy as a whole: two at once, a replica that starts amid a sync, releases that end, logs that break off."""

from __future__ import annotations

import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Callable

from sidecar.gateway.log_lines import moment
from tests.contract.localcloud.conftest import eventually
from tests.faults.deploying.ground import Ended, Ground, Row

TOLD_WITHIN = 15
"""Seconds from the end of a container until the person is told."""

HELD = {"part": "files", "method": "PUT", "path": r"generations/\d+\.json\?comp=rename", "kind": "hold", "seconds": 240}
"""A release that is about to be made current."""


def two_at_once(ground: Ground) -> Row:
    """19: both have read the record before either makes its release current."""
    ground.write("serve", "first")
    assert ground.deploy().code == 0
    began = time.monotonic()
    with ground.faults({**HELD, "times": 2}) as hits:
        ground.write("serve", "one")
        one = ground.begin()
        eventually(lambda: hits()[0] == 1, 180, "the first to make its release current")
        ground.write("serve", "two")
        two = ground.begin()
        struck = eventually(lambda: hits()[0] == 2 and 2, 180, "the second to do so")
    ended = [ground.finish(each) for each in (one, two)]
    codes = sorted(each.code for each in ended)
    loser = next((each for each in ended if each.code), None)
    winner = next((each for each in ended if each.code == 0), None)
    told = loser.error["code"] if loser else "nobody was told"
    seen = f"exits {codes}, told {told}, generations {len(ground.generations())}"
    right = winner is not None and ground.serving() == winner.document["release"]
    return Row(
        19, "two windows deploy at once", "one wins the generation and serves, the other is told", seen,
        time.monotonic() - began, struck,
        codes == [0, 1] and told == "DeployedMeanwhile" and right and len(ground.generations()) == 2,
    )  # fmt: skip


def replica_amid_a_sync(ground: Ground) -> Row:
    """29: a replica starts while the bundle is there and not current, or half there."""
    ground.write("serve", "old")
    assert ground.deploy().code == 0
    old = ground.serving()
    began = time.monotonic()
    with ground.faults(HELD) as hits:
        ground.write("serve", "new")
        process = ground.begin()
        eventually(lambda: hits()[0] == 1, 180, "the switch to be held")
        app = ground.config["ACA_APP_NAME"]
        client = ground.world.apps
        revision = client.container_apps.get(ground.name, app).latest_revision_name
        before = names_of(ground, revision)
        client.container_apps_revisions.restart_revision(ground.name, app, revision)
        eventually(lambda: names_of(ground, revision) - before, 180, "a replica of the restart")
        amid = eventually(ground.serving, 180, "an answer amid the sync")
        struck = sum(hits())
    ended = ground.finish(process)
    new = ground.serving()
    seen = f"amid the sync {named(amid, old)}, after it {named(new, old)}, exit {ended.code}"
    right = amid == old and ended.code == 0 and new == ended.document["release"] != old
    return Row(
        29, "a replica starts in mid-sync", "the old release whole, then the new one whole", seen,
        time.monotonic() - began, struck, right,
    )  # fmt: skip


def names_of(ground: Ground, revision: str) -> set[str]:
    found = ground.world.apps.container_apps_revision_replicas.list_replicas(
        ground.name, ground.config["ACA_APP_NAME"], revision
    )
    return {str(each.name) for each in found.value}


def named(release: str, old: str) -> str:
    return "nothing" if not release else "the old release" if release == old else "the new release"


def ends(mode: str, code: str, fault: str) -> Callable[[Ground], Row]:
    """30: told soon after the container's end, with the end of its log, and the release before serves again."""

    def play(ground: Ground) -> Row:
        ground.write("serve", "good")
        assert ground.deploy().code == 0
        good = ground.serving()
        ground.write(mode, "bad")
        if mode == "import":
            (ground.code / "__main__.py").write_text("print('it speaks', flush=True)\n__import__('no_such_module')\n")
        began = time.monotonic()
        ended, told_after = followed(ground)
        error = ended.error if ended.code else {}
        again = eventually(lambda: ground.serving() == good, 180, "the release before to serve")
        log = error.get("detail") or ""
        seen = (
            f"told {error.get('code')} {told_after:.1f} s after the container's end, log of {len(log.splitlines())} lines, "
            f"back as generation {error.get('restored')}, serves: {bool(again)}"
        )
        right = (
            ended.code == 1
            and error.get("code") == code
            and 0 <= told_after <= TOLD_WITHIN
            and error.get("restored") is not None
            and (mode == "killed" or bool(log))
        )
        return Row(
            30,
            fault,
            f"told {code} in {TOLD_WITHIN} s, log shown, rolled back",
            seen,
            time.monotonic() - began,
            1,
            right,
        )

    return play


def followed(ground: Ground) -> tuple[Ended, float]:
    """A Deploy of a release that ends; seconds from the container's end, as the platform logs it, until the person is told."""
    revision = ground.world.apps.container_apps.get(ground.name, ground.config["ACA_APP_NAME"]).latest_revision_name
    process = ground.begin()
    told: list[float] = []

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            ground.written.append(line)
            if "has ended" in line or "was killed" in line:
                told.append(time.time())

    listening = threading.Thread(target=listen)
    listening.start()
    assert process.stdout is not None
    out = process.stdout.read()
    process.wait()
    listening.join()
    ground.written.append(out)
    ends = [at for at in moments_of_ends(ground, revision) if told and at <= told[0]]
    return Ended(process.returncode, out, ""), (told[0] - ends[-1] if ends else -1.0)


def moments_of_ends(ground: Ground, revision: str) -> list[float]:
    """When containers of the revision ended by themselves, by the platform's own log."""
    events = [json.loads(line) for line in ground.events()]
    return sorted(
        moment(each["TimeStamp"])
        for each in events
        if each["Reason"] == "ContainerTerminated"
        and each["RevisionName"] == revision
        and "ProcessExited" in each["Msg"]
    )


def broken_logs(ground: Ground) -> Row:
    """35: the console breaks off twice, wants a newer token once, and once leads to a stranger, who hears nothing."""
    ground.write("serve", "good")
    assert ground.deploy().code == 0
    ground.write("serve", "lines")
    (ground.code / "__main__.py").write_text(
        "import sys, time\nfor n in range(10):\n    print('line', n, flush=True)\n    time.sleep(0.4)\nsys.exit(3)\n"
    )
    heard: list[bytes] = []
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.2)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    connection, _ = stranger.accept()
                except TimeoutError:
                    continue
                heard.append(connection.recv(65536))

        listening = threading.Thread(target=listen)
        listening.start()
        console = {"part": "data", "path": "logstream"}
        where = f"https://127.0.0.1:{stranger.getsockname()[1]}/stolen"
        with ground.faults(
            {**console, "kind": "reset-before", "times": 2},
            {**console, "kind": "status", "status": 401},
            {**console, "kind": "status", "status": 302, "headers": {"Location": where}},
        ) as hits:
            done = ground.deploy()
            struck = hits()
        ended.set()
        listening.join()
    error = done.error if done.code else {}
    numbers = [
        int(found[1]) for line in (error.get("detail") or "").splitlines() if (found := re.match(r"line (\d+)$", line))
    ]
    follows = all(later == (earlier + 1) % 10 for earlier, later in itertools.pairwise(numbers))
    seen = f"told {error.get('code')}, {len(numbers)} lines in order: {follows}, the stranger heard {len(heard)}"
    right = error.get("code") == "ContainerCrashed" and follows and len(numbers) > 5 and not heard and all(struck)
    return Row(
        35, "the log stream drops, wants a token, redirects", "taken up again, no line twice, token to no other host", seen,
        time.monotonic() - began, sum(struck), right,
    )  # fmt: skip


def cut_off_before_it_failed(ground: Ground) -> Row:
    """30: a Deploy is killed once its release is current, and run again: what nobody has seen fail has not served either. The
    release before was never waited for to the end, but it answers when it is replaced."""
    ground.write("serve", "good")
    process = ground.begin()
    eventually(lambda: ground.serving(), 180, "the good release to serve")
    ground.kill(process)
    good = ground.serving()
    ground.write("crash", "bad")
    began = time.monotonic()
    process = ground.begin()
    eventually(lambda: "switch" in ground.steps()[-2:] and len(ground.generations()) == 2, 180, "the switch")
    ground.kill(process)
    ended = ground.deploy()
    error = ended.error if ended.code else {}
    seen = f"told {error.get('code')}, back as generation {error.get('restored')}, serves: {ground.serving() == good}"
    return Row(
        30, "killed after the switch, run again, crashes", "rolled back all the same", seen, time.monotonic() - began, 1,
        error.get("code") == "ContainerCrashed" and error.get("restored") == 3 and ground.serving() == good,
    )  # fmt: skip


def ready_and_answers_500(ground: Ground) -> Row:
    """30: ready, and every question ends in 500."""
    ground.write("serve", "good")
    assert ground.deploy().code == 0
    good = ground.serving()
    ground.write("broken-answers", "bad")
    began = time.monotonic()
    ended = ground.deploy()
    error = ended.error if ended.code else {}
    seen = f"told {error.get('code')}, back as generation {error.get('restored')}, serves: {ground.serving() == good}"
    return Row(
        30, "a release that is ready and answers 500", "told, rolled back", seen, time.monotonic() - began, 1,
        error.get("code") == "Endpoint500" and error.get("restored") == 3 and ground.serving() == good,
    )  # fmt: skip


LOST_SECONDS = 75


def network_lost(ground: Ground) -> Row:
    """Nothing of ARM or of the share is reached for a while, once the restart is under way; Azure goes on meanwhile."""
    ground.write("serve", "old")
    assert ground.deploy().code == 0
    ground.write("late", "new")
    began = time.monotonic()
    process = ground.begin()
    lines: list[str] = []

    def listen() -> None:
        assert process.stderr is not None
        lines.extend(process.stderr)

    listening = threading.Thread(target=listen)
    listening.start()
    revision = ground.world.apps.container_apps.get(ground.name, ground.config["ACA_APP_NAME"]).latest_revision_name
    eventually(lambda: len(names_of(ground, revision)) > 1, 180, "a new replica")
    lost = {"kind": "reset-before", "times": None}
    with ground.faults({**lost, "part": "arm", "path": "^/subscriptions/"}, {**lost, "part": "files"}) as hits:
        eventually(lambda: time.monotonic() - began > LOST_SECONDS, LOST_SECONDS + 5)
        struck = sum(hits())
    assert process.stdout is not None
    out = process.stdout.read()
    code = process.wait()
    listening.join()
    ground.written += [out, *lines]
    told = sum("No answer" in line for line in lines)
    seen = f"told {told} times that nothing answers, then exit {code} {json.loads(out).get('error', {}).get('message', '')}"
    serves = ground.serving() == json.loads(out).get("release")
    return Row(
        18, f"the network is lost for {LOST_SECONDS} s", "followed; ends right", seen, time.monotonic() - began, struck,
        code == 0 and struck > 0 and serves and told > 0,
    )  # fmt: skip


ROWS: dict[str, Callable[[Ground], Row]] = {
    "19": two_at_once,
    "29": replica_amid_a_sync,
    "30-exit": ends("crash", "ContainerCrashed", "a container exits 3"),
    "30-memory": ends("killed", "OutOfMemory", "a container is killed for memory"),
    "30-import": ends("import", "ContainerCrashed", "an import that can't be followed fails"),
    "30-again": cut_off_before_it_failed,
    "30-answers": ready_and_answers_500,
    "35": broken_logs,
    "18": network_lost,
}
