"""A model's folder on its way to a share, over the Files API: killed, damaged, cancelled, changed meanwhile, and switched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from sidecar.core.journal import Event, Journal
from sidecar.decisions.models_on_share import UNFINISHED
from sidecar.decisions.upload import record_path
from sidecar.gateway.large_files import LargeFiles
from sidecar.gateway.patience import Patience
from sidecar.words.errors import Cancelled, CloudError, ConsentNeeded, WorkspaceError
from sidecar.workflows.local_model import local_model
from sidecar.workflows.model_upload import Bringing, Brought
from tests.contract.localcloud.conftest import ROOT, World, eventually
from tests.contract.provision.conftest import Arm
from tests.support.model_folders import adapter_in, base_in
from tests.support.plain_tree import GROUP, new_account

BLOCK = 4 << 20
PLACE = "models/mine/adapter"


@dataclass
class Ground:
    connect: Callable[[], Any]
    """Microsoft's own client, to be closed."""
    disk: Path
    stop: threading.Event = field(default_factory=threading.Event)
    said: list[str] = field(default_factory=list[str])

    def bring(self, folder: Path, *consents: str, place: str = PLACE, shards: int = 0) -> Brought:
        journal = Journal(None, "", lambda event: self.hear(event), self.stop)
        with LargeFiles(self.connect(), Patience(self.stop), pauses=(0.01, 0.01)) as share:
            return Bringing(share, "", local_model(folder), place, shards, journal, consents).run()

    def hear(self, event: Event) -> None:
        self.said.append(str(event.text))

    def there(self, place: str = PLACE) -> dict[str, bytes]:
        return {each.name: each.read_bytes() for each in sorted((self.disk / place).iterdir())}


@pytest.fixture(scope="module")
def account(world: World) -> str:
    return new_account(world)


@pytest.fixture
def ground(world: World, account: str) -> Ground:
    name = "s" + uuid.uuid4().hex[:8]
    world.storage.file_shares.create(GROUP, account, name, {})
    return Ground(lambda: world.share(account, name, GROUP, retry_total=0), next((world.state / "shares").rglob(name)))


def held(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir())}


def large(folder: Path, blocks: int) -> Path:
    """An adapter whose weights are no zeros, and no whole number of blocks."""
    file = folder / "adapter_model.safetensors"
    rows = blocks * BLOCK // 4 // 64
    header = json.dumps({"x": {"dtype": "F32", "shape": [rows, 64], "data_offsets": [0, rows * 256]}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + os.urandom(rows * 256))
    return folder


def test_what_has_arrived_is_not_sent_again_and_what_somebody_has_changed_is(
    ground: Ground, tmp_path: Path, faults: Arm
) -> None:
    folder = large(adapter_in(tmp_path), blocks=2)
    first = ground.bring(folder)
    assert ground.there() == held(folder)
    assert (first.files, first.there) == (2, 0)
    hits = faults({"part": "files", "method": "PUT", "path": "/", "kind": "delay", "seconds": 0, "times": None})
    again = ground.bring(folder)
    assert (again.sent, again.there, hits()) == (0, first.sent, [0]), "nothing is written"

    weights = ground.disk / PLACE / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ConsentNeeded, match="nobody has put there with this command") as asked:
        ground.bring(folder)
    assert weights.read_bytes() == content, "nothing is touched before the answer"
    done = ground.bring(folder, asked.value.consent)
    assert done.sent == weights.stat().st_size
    assert ground.there() == held(folder)


def test_files_of_somebody_else_with_this_content_are_taken_as_they_are(ground: Ground, tmp_path: Path) -> None:
    folder = adapter_in(tmp_path)
    (ground.disk / PLACE).mkdir(parents=True)
    for name, content in held(folder).items():
        (ground.disk / PLACE / name).write_bytes(content)
    done = ground.bring(folder)
    assert (done.sent, done.there) == (0, sum(map(len, held(folder).values())))
    assert json.loads((ground.disk / record_path(PLACE)).read_text())["digest"] == done.digest


def test_a_new_version_takes_away_what_the_server_would_go_on_reading(ground: Ground, tmp_path: Path) -> None:
    folder = adapter_in(tmp_path)
    template = folder / "additional_chat_templates" / "tool_use.jinja"
    template.parent.mkdir()
    for each in (folder / "chat_template.jinja", template):
        each.write_text("{{ messages }}")
    ground.bring(folder)
    there = ground.disk / PLACE / "additional_chat_templates"
    assert [each.name for each in there.iterdir()] == ["tool_use.jinja"]
    template.unlink()
    template.parent.rmdir()
    (folder / "chat_template.jinja").unlink()
    (folder / "adapter_config.json").write_text((folder / "adapter_config.json").read_text() + " ")
    ground.bring(folder)
    assert list(there.iterdir()) == []
    there.rmdir()
    assert ground.there() == held(folder), "and it asks nobody: what was there was its own"


def test_a_base_is_spread_over_sixteen_files_and_the_library_reads_it(ground: Ground, tmp_path: Path) -> None:
    folder = base_in(tmp_path, "org/tiny")
    whole = load_file(folder / "model.safetensors")
    ground.bring(folder, place="model-cache/org/tiny")
    assert sorted(each for each in ground.there("model-cache/org/tiny") if "safetensors" in each) == [
        "model.safetensors"
    ]
    done = ground.bring(folder, place="model-cache/org/tiny", shards=16)
    there = ground.disk / "model-cache/org/tiny"
    files = sorted(there.glob("*.safetensors"))
    assert [each.name for each in files] == [f"model-{number:05}-of-00016.safetensors" for number in range(1, 17)]
    assert {name for each in files for name in load_file(each)} == set(whole)
    assert sorted(each.name for each in folder.iterdir()) == sorted(held(folder)), "the originals stay"
    assert ground.bring(folder, place="model-cache/org/tiny", shards=16).there == done.sent + done.there


def test_a_file_that_changes_while_it_is_sent_is_not_put_in_place(ground: Ground, tmp_path: Path) -> None:
    folder = large(adapter_in(tmp_path), blocks=3)
    weights = folder / "adapter_model.safetensors"

    def hear(event: Event) -> None:
        if str(event.text).startswith("Uploading 2 files"):
            with weights.open("r+b") as stream:
                stream.seek(2 * BLOCK + 100)
                stream.write(b"changed meanwhile")

    ground.hear = hear  # type: ignore[method-assign]
    with pytest.raises(WorkspaceError, match="changes while it is uploaded") as refused:
        ground.bring(folder)
    assert refused.value.code == "ChangesMeanwhile"
    assert "adapter_model.safetensors" not in ground.there()
    assert "adapter_config.json" not in ground.there()


def test_what_arrives_damaged_is_sent_again_and_what_breaks_off_goes_on_from_there(
    ground: Ground, tmp_path: Path, faults: Arm
) -> None:
    folder = large(adapter_in(tmp_path), blocks=6)
    put = {"part": "files", "method": "PUT", "path": "comp=range"}
    hits = faults(
        {**put, "kind": "status", "status": 400, "code": "Md5Mismatch", "times": 2},
        {**put, "kind": "reset-before", "skip": 3, "times": None},
    )
    with pytest.raises(CloudError):
        ground.bring(folder)
    assert "adapter_config.json" not in ground.there(), "no server looks into the folder"
    assert hits()[0] == 2
    assert hits()[1] > 0
    count = faults({**put, "kind": "delay", "seconds": 0, "times": None})
    done = ground.bring(folder)
    assert ground.there() == held(folder)
    assert done.sent < (folder / "adapter_model.safetensors").stat().st_size + 1000
    assert count()[0] <= 7


def test_a_cancel_is_heard_and_the_same_command_goes_on(ground: Ground, tmp_path: Path, faults: Arm) -> None:
    folder = large(adapter_in(tmp_path), blocks=5)
    put = {"part": "files", "method": "PUT", "path": "comp=range"}
    hits = faults({**put, "kind": "hold", "seconds": 60, "times": None, "skip": 2})
    threading.Thread(target=lambda: (eventually(lambda: hits()[0] > 0), ground.stop.set())).start()
    with pytest.raises(Cancelled):
        ground.bring(folder)
    faults()
    ground.stop.clear()
    ground.bring(folder)
    assert ground.there() == held(folder)


def in_a_process(ground: Ground, world: World, account: str, folder: Path) -> subprocess.Popen[str]:
    key = world.storage.storage_accounts.list_keys(GROUP, account).keys_property[0].value
    with ground.connect() as client:
        url, share = client.url.rpartition("/")[0], client.share_name
    told = {"url": url, "share": share, "account": account, "key": key,
            "ca": world.known["caFile"], "folder": str(folder), "place": PLACE}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.uploading"], cwd=ROOT, stdin=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(told))
    process.stdin.close()
    return process


def test_an_upload_that_is_killed_goes_on_and_no_folder_is_half_of_two_versions(
    ground: Ground, world: World, account: str, tmp_path: Path, faults: Arm
) -> None:
    """SIGKILL amid the blocks of a new version, and amid the switch: the old one stays, or nobody takes what is there."""
    folder = large(adapter_in(tmp_path), blocks=2)
    ground.bring(folder)
    old = ground.there()
    large(folder, blocks=6)
    (folder / "adapter_config.json").write_text((folder / "adapter_config.json").read_text() + " ")
    for rule, whole in (
        ({"method": "PUT", "path": "comp=range", "skip": 3}, True),
        ({"method": "PUT", "path": "comp=rename", "skip": 2}, False),
    ):
        hits = faults({"part": "files", **rule, "kind": "hold", "seconds": 60, "times": None})
        process = in_a_process(ground, world, account, folder)
        try:
            eventually(lambda hits=hits: hits()[0] > 0)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        faults()
        there = ground.there()
        if whole:
            assert {name: there[name] for name in old} == old
            assert UNFINISHED not in there
        else:
            assert UNFINISHED in there, "it says that the files are being switched"
    done = ground.bring(folder)
    assert ground.there() == held(folder)
    assert done.sent < BLOCK, "the blocks were there"
