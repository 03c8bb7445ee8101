"""Rows that a revision beside the old one and a restart have in common: faults 31, 33, 34 and 48, under streaming callers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from sidecar.words.errors import SlipwayError
from sidecar.words.names import StrategyWish
from sidecar.workflows.restart import Patience
from tests.faults.rolling.callers import Counted, called, until
from tests.faults.rolling.ground import SHORT, Rolling
from tests.faults.rolling.table import Told

CALLERS = 8
Row = Callable[[Rolling, StrategyWish], Told]


def never_ready(ground: Rolling, wish: StrategyWish) -> Told:
    """31 and 48: the new one never gets ready, though Azure calls it Provisioned and the latest that is ready."""
    old = ground.first()
    ground.write("no-model", "never ready")
    lies: list[str] = []
    told, counted = played(ground, wish, lambda: _look_for_lies(ground, lies), replace(SHORT, again=10))
    seen = f"told {told}, ARM said meanwhile: {sorted(set(lies))}, {counts(counted)}, serves the old: {ground.serving() == old}"
    lied = "Provisioned, latest ready" if wish == "revision" else "Provisioned"
    right = told in ("NoBaseModel", "ModelLoadFailed") and lied in lies and untouched(ground, counted, old)
    return Told("Provisioned is not believed; the old one serves", seen, right)


def stuck(ground: Rolling, wish: StrategyWish) -> Told:
    """31: alive, without a word on why it is not ready."""
    old = ground.first()
    ground.write("late", "stuck")
    (ground.code / "__main__.py").write_text(STUCK)
    began = time.monotonic()
    told, counted = played(ground, wish, patience=replace(SHORT, whole=12))
    seen = f"told {told} after {time.monotonic() - began:.0f} s, {counts(counted)}"
    return Told("deadline; the old one is untouched", seen, told == "NotReady" and untouched(ground, counted, old))


STUCK = """import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/live" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(os.environ["CONTAINER_APP_PORT"])), Handler).serve_forever()
"""


def mount_refused(ground: Rolling, wish: StrategyWish) -> Told:
    """33: the account's key was rotated, so that only what runs already has the share."""
    old = ground.first()
    ground.world.storage.storage_accounts.regenerate_key(
        ground.name, ground.config["STORAGE_ACCOUNT_NAME"], {"keyName": "key1"}
    )
    ground.tell("no mount")
    told, counted = played(ground, wish)
    seen = f"told {told}, {counts(counted)}, active {len(ground.active())}"
    return Told("named; the old one serves", seen, told == "MountFailed" and untouched(ground, counted, old))


def late(ground: Rolling, wish: StrategyWish) -> Told:
    """34: what is asked before it is ready is held; nobody is sent there before."""
    ground.first()
    ground.tell("late")
    delayed(ground, 5)
    told, counted = played(ground, wish)
    seen = f"told {told}, {counts(counted)}"
    right = told == "done" and not counted.bad and len(counted.releases) == 2 and not ground.at_rest()
    return Told("waited for; no request is held for it", seen, right)


def delayed(ground: Rolling, seconds: int) -> None:
    """The release that tells itself takes so long to start."""
    program = (ground.code / "__main__.py").read_text()
    (ground.code / "__main__.py").write_text(
        program.replace("def main() -> None:", f"def main() -> None:\n    time.sleep({seconds})")
    )


def untouched(ground: Rolling, counted: Counted, old: str) -> bool:
    """Callers have noticed nothing, and one revision is left."""
    return not counted.bad and set(counted.releases) == {old} and len(ground.active()) == 1


def played(
    ground: Rolling,
    wish: StrategyWish,
    meanwhile: Callable[[], None] = lambda: None,
    patience: Patience = SHORT,
    *,
    callers: int = CALLERS,
    scale: float = 1.0,
) -> tuple[str, Counted]:
    """What the person is told (`done`, or the code), while callers ask and somebody looks at ARM."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.3):
            meanwhile()

    with called(ground.url, ground.key(), callers) as counted:
        looking = threading.Thread(target=look)
        looking.start()
        try:
            ground.rolled(patience, wish, scale=scale)
            told = "done"
        except SlipwayError as error:
            told = error.code
        finally:
            ended.set()
            looking.join()
        had = len(counted.calls)
        until(counted, lambda seen: len(seen.calls) > had + callers, 30)
    return told, counted


def counts(counted: Counted) -> str:
    return counted.load.verdict()


def _look_for_lies(ground: Rolling, lies: list[str]) -> None:
    app = ground.world.apps.container_apps.get(ground.name, ground.app).properties
    for each in ground.revisions():
        if not each["active"] or each["provisioningState"] != "Provisioned":
            continue
        ready = {one["name"]: one["properties"] for one in ground.replicas(str(each["name"]))}
        if all(is_ready(one) for one in ready.values()):
            continue
        lies.append("Provisioned")
        if app.latest_ready_revision_name == each["name"] and each["healthState"] != "Healthy":
            lies.append("Provisioned, latest ready")


def is_ready(replica: dict[str, object]) -> bool:
    containers = replica.get("containers")
    return isinstance(containers, list) and all(each.get("ready") for each in containers)


ROWS: dict[str, Row] = {"31": stuck, "33": mount_refused, "34": late, "48": never_ready}


def common(wish: StrategyWish) -> dict[str, Callable[[Rolling], Told]]:
    def by(row: Row) -> Callable[[Rolling], Told]:
        return lambda ground: row(ground, wish)

    return {f"{wish}-{number}": by(row) for number, row in ROWS.items()}
