"""What the code's way to the share costs: requests and seconds, beside the SDK's own loop and `az storage file upload-batch`.

    npm run bench -- sync [--goals] [--without az]

1,000 files of 3 MB in 60 folders, at 5 ms a request. Each run opens the share anew, as a command of its own does; what this
machine remembers lies on disk. Counted is every request that reaches the share. `sync` brings a release there; the switch, which
makes it current, is printed beside it, and so is the archive of packages that releases name, which travels once.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from sidecar.core.codefiles import read_tree
from sidecar.core.journal import Journal
from sidecar.core.releases import Generation, Packages
from sidecar.core.sync import pack
from sidecar.gateway.files import open_as
from sidecar.gateway.large_files import LargeFiles
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import open_session, settings_from
from sidecar.workflows.packages import upload_packages
from sidecar.workflows.publish import is_current, make_current, upload
from sidecar.workflows.records import read_record
from tests.bench.report import Report, goal_arguments, report_for
from tests.contract.localcloud.conftest import QUICK, World, start_cloud
from tests.support.plain_tree import GROUP, new_account
from tests.support.wheels import packages, wheel

FILES, FOLDERS, BYTES = 1000, 60, 3_000_000
LATENCY = 0.005
ROUNDS = 3
HOME = ".slipway/app"
UNCHANGED, CHANGED, FIRST = 1, 3, 10
GOALS = (
    f"unchanged: ≤ {UNCHANGED} request",
    f"one changed file: ≤ {CHANGED} requests",
    f"first: ≤ {FIRST} requests, the switch included",
    "fewer seconds than the SDK's loop",
    "fewer seconds than az upload-batch",
)

PEERS = {"az": (GOALS[4],)}


@dataclass(frozen=True)
class Cost:
    requests: int
    seconds: float


class Cloud:
    """A local cloud whose share answers late, and counts what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.world: World = start_cloud(folder / "cloud", "--throwaway", settings=QUICK)
        self.world.register()
        self.account = new_account(self.world)
        headers = {"Authorization": f"Bearer {self.world.known['adminToken']}"}
        self._admin = httpx.Client(
            base_url=self.world.arm, headers=headers, verify=self.world.known["caFile"], trust_env=False
        )

    def share(self, name: str) -> None:
        self.world.storage.file_shares.create(GROUP, self.account, name, {})

    def opened(self, state: Path, name: str) -> AbstractContextManager[LargeFiles]:
        settings = settings_from({"SLIPWAY_LOCAL_STATE": str(self.world.state), "SLIPWAY_STATE": str(state)})
        place = GroupPlace(open_session(settings, "local"), self.world.subscription, GROUP)
        return open_as(LargeFiles, place, self.account, name)

    def cost(self, run: Callable[[], object]) -> Cost:
        rules = [{"part": "files", "kind": "delay", "seconds": LATENCY, "times": None}]
        assert self._admin.put("/admin/faults", json={"seed": 1, "rules": rules}).status_code == 200
        began = time.monotonic()
        run()
        seconds = time.monotonic() - began
        (rule,) = self._admin.get("/admin/faults").json()["rules"]
        self._admin.put("/admin/faults", json={"seed": 1, "rules": []})
        return Cost(rule["hits"], seconds)

    def end(self) -> None:
        self._admin.close()
        self.world.stop()


def written(code: Path) -> None:
    for number in range(FILES):
        file = code / f"folder{number % FOLDERS:02}" / f"module{number:04}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"# {number}\n".encode().ljust(BYTES // FILES, b"x"))


@dataclass(frozen=True)
class Synced:
    """`packages`: the archive that the release names; `code`: the release itself; `switch` makes it current."""

    packages: Cost
    code: Cost
    switch: Cost


def synced(cloud: Cloud, state: Path, name: str, code: Path, carried: Packages) -> Synced:
    """What a Deploy does: the record is read, the release brought there and, where it is not, made current."""
    silent = Journal(None, "", lambda _: None, threading.Event())
    with cloud.opened(state, name) as share, tempfile.TemporaryDirectory() as folder:
        found: list[Any] = []

        def sync() -> None:
            record, release = found
            upload(release, share, record, silent)

        read = cloud.cost(lambda: found.append(read_record(share, HOME, silent, bundles=False)))
        began = time.monotonic()
        found.append(pack(read_tree(code), Path(folder, "bundle.tar"), carried))
        packed = time.monotonic() - began
        archive = cloud.cost(lambda: upload_packages(carried, share, found[0], silent))
        sent = cloud.cost(sync)
        brought = Cost(read.requests + sent.requests, read.seconds + packed + sent.seconds)
        record, release = found
        if is_current(record, release.digest):
            return Synced(archive, brought, Cost(0, 0.0))
        made = Generation(0, release.digest, packages=carried.archive)
        return Synced(archive, brought, cloud.cost(lambda: make_current(share, record, made, silent)))


def sdk_loop(cloud: Cloud, name: str, code: Path) -> Cost:
    """As its documentation shows it: a folder is made where a file needs it, each file is uploaded."""
    client = cloud.world.share(cloud.account, name, GROUP)
    made: set[str] = set()

    def run() -> None:
        for file in sorted(each for each in code.rglob("*") if each.is_file()):
            folder = file.parent.relative_to(code).as_posix()
            if folder not in made:
                client.get_directory_client(folder).create_directory()
                made.add(folder)
            with file.open("rb") as stream:
                client.get_file_client(file.relative_to(code).as_posix()).upload_file(stream)

    try:
        return cloud.cost(run)
    finally:
        client.close()


def az_batch(cloud: Cloud, name: str, code: Path) -> Cost | None:
    """None where az is not installed."""
    az = shutil.which("az")
    if az is None:
        return None
    key = cloud.world.storage.storage_accounts.list_keys(GROUP, cloud.account).keys_property[0].value
    url = cloud.world.storage.storage_accounts.get_properties(GROUP, cloud.account).primary_endpoints.file
    connection = f"DefaultEndpointsProtocol=http;AccountName={cloud.account};AccountKey={key};FileEndpoint={url}"
    command = [az, "storage", "file", "upload-batch", "--source", str(code), "--destination", name]
    environ = {"AZURE_STORAGE_CONNECTION_STRING": connection, "PATH": "/usr/bin:/bin"}
    return cloud.cost(lambda: subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Count what a sync of the code asks of the share.")
    goal_arguments(parser, PEERS)
    asked = parser.parse_args(arguments)
    report = report_for(asked, GOALS, PEERS)
    with tempfile.TemporaryDirectory(prefix="slipway-sync-") as place:
        cloud = Cloud(Path(place))
        try:
            measured(report, cloud, Path(place), with_az="az" not in asked.without)
        finally:
            cloud.end()
    report.end(strict=asked.goals)
    return 0


def measured(report: Report, cloud: Cloud, place: Path, *, with_az: bool) -> None:
    firsts, switches, changed, unchanged, loops, batches, archives = ([] for _ in range(7))
    for name in ("one", "another"):
        wheel(place / "wheels", name, "1.0", {f"{name}.py": "x" * BYTES})
    carried = packages(place / "cache", place / "wheels")
    for number in range(ROUNDS):
        code, state = place / f"code{number}", place / f"state{number}"
        written(code)
        for kind in ("ours", "sdk", "az"):
            cloud.share(f"{kind}{number}")
        first = synced(cloud, state, f"ours{number}", code, carried)
        archives.append(first.packages)
        firsts.append(first.code)
        switches.append(first.switch)
        loops.append(sdk_loop(cloud, f"sdk{number}", code))
        if with_az:
            batches.append(az_batch(cloud, f"az{number}", code))
        (code / "folder07" / "module0007.py").write_bytes(b"changed".ljust(BYTES // FILES))
        for costs in (changed, unchanged):
            done = synced(cloud, state, f"ours{number}", code, carried)
            costs.append(Cost(done.code.requests + done.packages.requests, done.code.seconds + done.packages.seconds))
    for name, costs in (
        ("archive of packages", archives), ("first", firsts),
        ("switch", switches), ("one changed file", changed), ("unchanged", unchanged), ("SDK's loop", loops),
    ):  # fmt: skip
        report.figure(f"{name}, requests", max(each.requests for each in costs))
        report.figure(
            f"{name}, s", median(each.seconds for each in costs), rounds=[round(each.seconds, 2) for each in costs]
        )
    report.goal(GOALS[0], max(each.requests for each in unchanged) <= UNCHANGED)
    report.goal(GOALS[1], max(each.requests for each in changed) <= CHANGED)
    whole = max(first.requests + switch.requests for first, switch in zip(firsts, switches, strict=True))
    report.goal(GOALS[2], whole <= FIRST, f"{GOALS[2]} ({whole})")
    report.ratio(
        "SDK's loop / ours, s", [each.seconds for each in loops], [each.seconds for each in firsts], GOALS[3], 1.0
    )
    there = [each for each in batches if each is not None]
    if with_az and not there:
        report.goal(GOALS[4], None, "az is not installed")
    if there:
        report.figure("az upload-batch, requests", max(each.requests for each in there))
        report.ratio("az / ours, s", [each.seconds for each in there], [each.seconds for each in firsts], GOALS[4], 1.0)


if __name__ == "__main__":
    sys.exit(main())
