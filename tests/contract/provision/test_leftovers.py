"""What uploads that were killed have left on the share: taken off once a release serves, and nothing else is."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sidecar.core.journal import Event, Journal
from sidecar.core.releases import Generation
from sidecar.core.workspace import read_config
from sidecar.gateway.apps import Mounted
from sidecar.gateway.files import open_share
from sidecar.workflows.records import write_served
from tests.contract.provision.conftest import Project

CURRENT, ABANDONED, ARRIVING = ("1" * 64, "2" * 64, "3" * 64)
PART = "0123abcd.part"
OLD = {
    f"releases/{ABANDONED}",
    f"releases/{ABANDONED}.json",
    f"releases/.{ABANDONED}.{PART}",
    f"generations/.2.json.{PART}",
    f"generations/.1.served.{PART}",
}
"""Ours, and written to two hours ago."""
FOREIGN = {"releases/notes.txt", f"releases/{ABANDONED}.bak", "generations/readme.part", f"generations/.x.{PART}"}
"""Somebody else's, as old."""
FRESH = {
    f"releases/{ARRIVING}",
    f"releases/{ARRIVING}.json",
    f"releases/.{ARRIVING}.{PART}",
    f"generations/.3.json.{PART}",
}
"""Another deployer's, who is at it just now."""


def test_only_what_is_ours_and_old_and_never_was_current_is_taken_off_the_share(project: Project) -> None:
    project.provision()
    known = read_config(project.workspace)
    app, where = known.ACA_APP_NAME or "", Mounted(known.STORAGE_ACCOUNT_NAME or "", known.FILE_SHARE_NAME or "")
    home = f".slipway/{app}"
    kept = {f"releases/{CURRENT}", f"releases/{CURRENT}.json", "generations/1.json"}

    def listen(event: Event) -> None:
        project.hear(event.text)

    def serve(generation: int) -> set[str]:
        """What lies there once a generation has served."""
        write_served(project.place.app(app), where, home, generation, Journal(None, "t", listen, project.stop))
        with open_share(project.place, where.account, where.share) as share:
            return {
                f"{folder}/{each.name}"
                for folder in ("releases", "generations")
                for each in share.list(f"{home}/{folder}")
            }

    with open_share(project.place, where.account, where.share) as share:
        for path in (*kept, *OLD, *FOREIGN, *FRESH):
            content = Generation(1, CURRENT).to_json() if path == "generations/1.json" else b"bytes"
            share.replace(f"{home}/{path}", content)
        share.replace(f"{home}/generations/2.json", b"damaged")
    put_back(project.world.state, home, {*kept, *OLD, *FOREIGN})

    parts = {each for each in OLD if each.endswith(".part")}
    assert serve(1) == {*kept, *OLD, *FOREIGN, *FRESH, "generations/2.json", "generations/1.served"} - parts, (
        "a generation that can't be read may name any release"
    )
    with open_share(project.place, where.account, where.share) as share:
        share.delete(f"{home}/generations/2.json")
    assert serve(1) == {*kept, *FOREIGN, *FRESH, "generations/1.served"}
    assert any("never became current" in each for each in project.said)


def put_back(state: Path, home: str, paths: set[str]) -> None:
    """As if written to two hours ago."""
    then = time.time() - 7200
    for path in paths:
        (file,) = (state / "shares").rglob(f"{home}/{path}")
        os.utime(file, (then, then))
