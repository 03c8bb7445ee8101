"""Faults 21 to 28: what Azure Files, and people who write to the share by hand, do to a release or a plain tree on its way there.

Each row runs without its fault first. What it came to is read from the share's folder on this disk and from the counts of the
cloud's door, not from what the code under test says of itself."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from sidecar.core.codefiles import read_tree
from sidecar.core.journal import Event, Journal
from sidecar.core.releases import Generation
from sidecar.core.sync import Release, pack
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import open_session, settings_from
from sidecar.words.errors import ConsentNeeded, SlipwayError
from sidecar.workflows.mirror import mirror
from sidecar.workflows.publish import Published, is_current, make_current, repair, upload
from sidecar.workflows.records import read_record
from tests.contract.localcloud.conftest import World, eventually
from tests.faults.deploying.ground import Row
from tests.support.plain_tree import GROUP, Ground, new_account, new_ground
from tests.unit.sidecar.test_bootstrap import start

HOME = ".slipway/app"
WITHIN = 10
"""Seconds that a throttled share may cost."""

Rule = dict[str, Any]
CREATES: Rule = {"part": "files", "method": "PUT", "path": r"\.part$", "kind": "delay", "times": None}
RANGES: Rule = {**CREATES, "path": r"\.part\?comp=range"}
RENAMES: Rule = {**CREATES, "path": r"\?comp=rename"}
"""Rules that change nothing and count: the log of what was asked."""


@contextmanager
def struck(world: World, *rules: Rule) -> Generator[Callable[[], list[int]]]:
    """Rules in force; the value tells how often each has struck."""
    headers = {"Authorization": f"Bearer {world.known['adminToken']}"}
    with httpx.Client(
        base_url=world.arm, headers=headers, verify=world.known["caFile"], trust_env=False, timeout=60
    ) as http:
        assert http.put("/admin/faults", json={"seed": 1, "rules": list(rules)}).status_code == 200
        try:
            yield lambda: [each["hits"] for each in http.get("/admin/faults").json()["rules"]]
        finally:
            http.put("/admin/faults", json={"seed": 1, "rules": []})


@contextmanager
def stand(world: World, folder: Path, name: str) -> Generator[Ground]:
    """A share that the product opens as it does for a person, with the SDK's own patience."""
    account = new_account(world)
    state = str(world.state)
    session = open_session(settings_from({"SLIPWAY_LOCAL_STATE": state, "SLIPWAY_STATE": state}), "local")
    place = GroupPlace(session, world.subscription, GROUP)
    with (
        new_ground(world, account, folder / name) as ground,
        open_share(place, account, ground.client.share_name) as share,
    ):
        yield replace(ground, share=share)


def journal_of(ground: Ground) -> Journal:
    def hear(event: Event) -> None:
        ground.said.append(str(event.text))

    return Journal(None, "fault", hear, threading.Event())


def packed(ground: Ground, text: str) -> Release:
    ground.local("a.txt", text)
    return pack(read_tree(ground.code), ground.code.parent / f"{text.strip()}.tar")


def released(ground: Ground, text: str) -> Published:
    return put_there(packed(ground, text), ground)


def put_there(release: Release, ground: Ground) -> Published:
    """As a Deploy does: uploaded, and made current where it is not."""
    journal = journal_of(ground)
    record = read_record(ground.share, HOME, journal)
    upload(release, ground.share, record, journal)
    if is_current(record, release.digest):
        return Published(release.digest, record.highest, changed=False)
    return make_current(ground.share, record, Generation(0, release.digest, by="faults"), journal)


def publish(release: Release, share: Share, home: str, origin: Generation, journal: Journal) -> Published:
    """Uploaded and made current, as a Deploy by restart does it."""
    record = read_record(share, home, journal)
    upload(release, share, record, journal)
    if is_current(record, release.digest):
        return Published(release.digest, record.highest, changed=False)
    return make_current(share, record, replace(origin, release=release.digest), journal)


def on_disk(ground: Ground) -> Mapping[str, bool]:
    """The bundles on the share, and whether each has the bytes that its name says."""
    folder = ground.disk / HOME / "releases"
    names = [each for each in folder.glob("*") if "." not in each.name]
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() == each.name for each in names}


def generations(ground: Ground) -> list[str]:
    return sorted(each.name for each in (ground.disk / HOME / "generations").glob("*.json"))


def came(run: Callable[[], object]) -> str:
    """`done`, or the code that the person is told."""
    try:
        run()
    except SlipwayError as error:
        return error.code
    return "done"


def timed(run: Callable[[], object]) -> tuple[str, float]:
    began = time.monotonic()
    return came(run), time.monotonic() - began


def row_21(world: World, folder: Path) -> Row:
    began = time.monotonic()
    busy: Rule = {"part": "files", "method": "PUT", "path": r"\.part$"}
    with stand(world, folder, "row-21") as ground:
        calm = timed(lambda: released(ground, "calm"))
        with struck(world, {**busy, "status": 503, "code": "ServerBusy"}) as hits:
            refused = timed(lambda: released(ground, "refused"))
            struck_first = hits()[0]
        with struck(world, {**busy, "status": 429, "code": "TooManyRequests"}) as hits:
            throttled = timed(lambda: released(ground, "throttled"))
            struck_then = hits()[0]
        intact = on_disk(ground)
    results = {"unarmed": calm, "503": refused, "429": throttled}
    seen = ", ".join(f"{name}: {what} after {seconds:.1f} s" for name, (what, seconds) in results.items())
    good = all(what == "done" and seconds < WITHIN for what, seconds in results.values())
    waited = min(refused[1], throttled[1]) > calm[1]
    right = good and waited and struck_first == struck_then == 1 and list(intact.values()) == [True] * 3
    return _row(
        21,
        "the share answers 503, 429",
        f"asked again, within {WITHIN} s",
        seen,
        began,
        struck_first + struck_then,
        right,
    )


def row_22(world: World, folder: Path) -> Row:
    began = time.monotonic()
    with stand(world, folder, "row-22") as ground:
        with struck(world, CREATES) as asked:
            released(ground, "old ")
            without = asked()[0]
        damaged = {**CREATES, "kind": "status", "status": 400, "code": "Md5Mismatch", "times": 1}
        with struck(world, damaged, CREATES) as asked:
            new = released(ground, "new ").release
            hits, rest = asked()
        intact = on_disk(ground)
        stored = ground.disk / HOME / "releases" / new
        sound = started(ground)
        stored.write_bytes(stored.read_bytes().replace(b"new ", b"bad "))
        refused = started(ground)
        mended = repair(packed(ground, "new "), ground.share, HOME, journal_of(ground))
        after = started(ground)
    seen = f"uploads {without} unarmed, {hits}+{rest} armed; start: {sound}, damaged {refused}, mended {after}"
    right = hits == 1 and rest == without and all(intact.values()) and len(intact) == 2 and mended
    right = right and (sound, refused, after) == ("new", "old, refused", "new")
    expected = "sent again; the start refuses the damaged one and runs the one before; Deploy mends it"
    return _row(22, "a byte of an upload, of a stored bundle is wrong", expected, seen, began, hits, right)


def started(ground: Ground) -> str:
    """What the container's start makes of the share: which release it runs, and whether it refused one."""
    done = start(ground.disk, "cat code/a.txt")
    ran = done.stdout.splitlines()[-1].strip() if done.returncode == 0 else f"exit {done.returncode}"
    return f"{ran}, refused" if "does not match its digest" in done.stdout else ran


def row_23(world: World, folder: Path) -> Row:
    began = time.monotonic()
    refused = {**CREATES, "kind": "status", "status": 400, "code": "InvalidHeaderValue", "times": 1}
    with stand(world, folder, "row-23") as ground:
        with struck(world, RANGES, CREATES, RENAMES) as asked:
            released(ground, "one")
            at_once = asked()
        with struck(world, refused, RANGES, CREATES, RENAMES) as asked:
            released(ground, "two")
            hits, *in_ranges = asked()
        intact = on_disk(ground)
    files = at_once[1]
    seen = f"ranges, creates, renames: {at_once} unarmed, {in_ranges} and {hits} refused"
    right = at_once == [0, files, files] and in_ranges == [files, files, files] and hits == 1
    right = right and files > 0 and list(intact.values()) == [True, True]
    expected = "every file is created empty then, filled by ranges, and renamed"
    return _row(23, "a service that takes no data with a create", expected, seen, began, hits, right)


def row_24(world: World, folder: Path) -> Row:
    """The share alone. A container's full disk needs a file system of its own, which not every machine may make."""
    began = time.monotonic()
    with stand(world, folder, "row-24") as ground:
        ground.client.set_share_quota(1)
        free = came(lambda: released(ground, "one"))
        before = generations(ground)
        taken = sum(each.stat().st_size for each in ground.disk.rglob("*") if each.is_file())
        ground.client.get_file_client("full").create_file(2**30 - taken - 1000)
        full = came(lambda: released(ground, "two"))
        after = generations(ground)
        intact = all(on_disk(ground).values())
    seen = f"unarmed: {free}, generations {before}; full: {full}, generations {after}"
    right = (free, full) == ("done", "ShareSizeLimitReached") and before == after == ["1.json"] and intact
    return _row(
        24, "the share is full", "said by name, no generation is written", seen, began, int(full != free), right
    )


def row_25(world: World, folder: Path) -> Row:
    began = time.monotonic()
    with stand(world, folder, "row-25") as ground:
        ground.local("a.py", "0")
        ground.sync()  # the folder is there: an upload that misses it is sent again
        ground.local("a.py", "1")
        with struck(world, CREATES) as asked:
            ground.sync()
            without = asked()[0]
            ground.local("a.py", "22")
            _mirrored_while(ground, lambda: ground.local("a.py", "333"))
            once = asked()[0] - without
        settled = ground.there["a.py"]
        changing = subprocess.Popen([sys.executable, "-c", CHANGING, str(ground.code / "a.py")])
        try:
            eventually(lambda: (ground.code / "a.py").read_text() != "333", what="the first change")
            with struck(world, {**CREATES, "path": r"/code/.*\.part$", "seconds": 0.3}) as tries:
                code, named = _refused(lambda: ground.sync())
                tried = tries()[0]
        finally:
            changing.kill()
            changing.wait()
        kept = ground.there
    seen = f"uploads {without} unarmed, {once} when changed once ({settled!r} is there); always: {code} after {tried}"
    right = tried == 3 and (without, once, settled, code) == (3, 4, "333", "ChangesMeanwhile") and "a.py" in named
    right = right and kept == {"a.py": "333"}
    expected = "read again; given up by name when it never stops, the former one stays"
    return _row(25, "a file changes between its hash and its upload", expected, seen, began, once - without, right)


def _mirrored_while(ground: Ground, change: Callable[[], None]) -> None:
    """A sync, and `change` once it has hashed everything and is about to upload."""

    def hear(event: Event) -> None:
        if "Uploading" in str(event.text):
            change()

    mirror(read_tree(ground.code), ground.share, "", Journal(None, "fault", hear, threading.Event()))


CHANGING = """
import itertools, sys
with open(sys.argv[1], "r+b", buffering=0) as stream:
    for number in itertools.count():
        stream.seek(0)
        stream.write(b"%012d" % number)
"""
"""A process of its own: a thread would wait for the one that reads."""


def _refused(run: Callable[[], object]) -> tuple[str, str]:
    try:
        run()
    except SlipwayError as error:
        return error.code, str(error.message)
    return "done", ""


ODD = ("Notes.md", "NOTES.md", "10:30.txt", "notes.", "CON", "x" * 200 + "/" + "y" * 200 + "/" + "z" * 240)


def row_26(world: World, folder: Path) -> Row:
    began = time.monotonic()
    with stand(world, folder, "row-26") as ground:
        ground.local("a.py", "1")
        plain = came(lambda: ground.sync())
        ground.local("a.py", "2")
        for name in ODD:
            ground.local(name, "odd")
        code, said = _refused(lambda: ground.sync())
        untouched = ground.there == {"a.py": "1"}
        ground.local("run.sh", "#!/bin/sh\n")  # a script is known by its first bytes: a share keeps no bit for it
        os.symlink("a.py", ground.code / "link.py")
        done = put_there(pack(read_tree(ground.code), folder / "odd.tar"), ground)
        with tarfile.open(ground.disk / HOME / "releases" / done.release) as archive:
            carried = {each.name.removeprefix("code/"): each for each in archive}
    named = sum(name in said for name in ODD[:5])
    right = (plain, code) == ("done", "NamesNotForShare") and named == 5 and untouched and set(ODD) <= set(carried)
    right = right and carried["link.py"].issym() and carried["run.sh"].mode == 0o755
    tree = f"plain tree: {code}, {named} of 5 named, untouched: {untouched}"
    seen = f"unarmed: {plain}; {tree}; release: {len(carried)} carried"
    expected = "a release carries them; a plain tree names all of them and uploads nothing"
    return _row(26, "names, links and bits that a share has not", expected, seen, began, named, right)


def row_27(world: World, folder: Path) -> Row:
    began = time.monotonic()
    held: Rule = {
        "part": "files",
        "method": "PUT",
        "path": r"/code/a\.py\?comp=rename",
        "status": 409,
        "code": "SharingViolation",
    }
    with stand(world, folder, "row-27") as ground:
        for name in ("a.py", "b.py"):
            ground.local(name, "1")
        free = ground.sync().upload
        ground.local("a.py", "2")
        with struck(world, held) as hits:
            once = ground.sync().upload
            first = hits()[0]
        for name in ("a.py", "b.py"):
            ground.local(name, "3")
        with struck(world, {**held, "times": None}) as hits:
            always = ground.sync().upload
            then = hits()[0]
        there, listed = ground.there, sorted(ground.manifest["files"])
        warned = sum("open elsewhere" in each for each in ground.said)
    seen = f"unarmed {len(free)} uploaded; once: {once}; always: {always}, {warned} warning, there {there}"
    right = (free, once, always, warned) == (("a.py", "b.py"), ("a.py",), ("b.py",), 1)
    right = right and there == {"a.py": "2", "b.py": "3"} and listed == ["a.py", "b.py"] and (first, then) == (1, 5)
    expected = "tried again; then kept, told, and the rest goes on"
    return _row(27, "somebody has a file open that is replaced", expected, seen, began, first + then, right)


def row_28(world: World, folder: Path) -> Row:
    began = time.monotonic()
    with stand(world, folder, "row-28") as ground:
        for name in ("a.py", "b.py"):
            ground.local(name, "1")
        ground.sync()
        ground.local("a.py", "2")
        free = came(lambda: ground.sync())
        ground.remote("a.py", "by hand")
        ground.remote("c.py", "by hand")
        ground.local("b.py", "3")
        consent = _asked_for(lambda: ground.sync())
        kept = ground.there
        ground.sync(consent)
        agreed = ground.there
    seen = f"unarmed: {free}; edited: asked for {consent!r}, there {kept}; agreed: {agreed}"
    right = free == "done" and consent != "" and kept == {"a.py": "by hand", "b.py": "1", "c.py": "by hand"}
    right = right and agreed == {"a.py": "2", "b.py": "3", "c.py": "by hand"}
    expected = "asked first, nothing touched; what is no part of the tree is never touched"
    return _row(28, "somebody edits the share by hand", expected, seen, began, 2, right)


def _asked_for(run: Callable[[], object]) -> str:
    try:
        run()
    except ConsentNeeded as asked:
        return asked.consent
    return ""


def _row(number: int, fault: str, expected: str, seen: str, *rest: Any) -> Row:
    began, hits, right = rest
    return Row(number, fault, expected, seen, time.monotonic() - began, hits, as_expected=bool(right) and hits > 0)


FILES_ROWS: Mapping[str, Callable[[World, Path], Row]] = {
    "21": row_21, "22": row_22, "23": row_23, "24": row_24, "25": row_25, "26": row_26, "27": row_27, "28": row_28,
}  # fmt: skip
