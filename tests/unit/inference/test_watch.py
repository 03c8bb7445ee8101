"""What the watch does about each change of files on the mount, look by look."""

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from inference.engine.adapters.table import Adapters
from inference.engine.adapters.watch import Watch, is_due
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import UNFINISHED, AdapterFolder, check_adapter, walk_adapters
from inference.settings import SettingsError, settings_from


class World:
    """A mount with a base's config.json, the table of adapters, and the slots as an engine would hold them."""

    def __init__(self, mount: Path, slots: int = 4):
        self.mount = mount
        self.slots = {}
        self.loads = 0
        self.sentinel = mount / "model-cache/org/model/config.json"
        self.sentinel.parent.mkdir(parents=True)
        self.sentinel.write_text("{}")
        self.adapters = Adapters(mount, slots, self.install, lambda slot: self.slots.pop(slot))
        self.watch = Watch(self.adapters, mount, self.sentinel, 0)

    def install(self, slot: int, folder: AdapterFolder):
        assert slot not in self.slots
        self.loads += 1
        self.slots[slot] = folder.digest

    def write(self, name: str, value: float = 1.0, config: dict[str, Any] | None = None):
        path = self.mount / name
        path.mkdir(parents=True, exist_ok=True)
        (path / "adapter_config.json").write_text(json.dumps(config or {"peft_type": "LORA"}))
        save_file({"x": torch.full((64,), value)}, path / "adapter_model.safetensors")
        return path

    def look(self, times: int = 2, walk: bool = True):
        for _ in range(times):
            self.watch.look(walk)

    @property
    def served(self):
        return {name: self.slots[adapter.slot] for name, adapter in self.adapters.installed.items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def touch(path: Path, when: int):
    os.utime(path / "adapter_model.safetensors", ns=(when, when))


def test_a_new_adapter_is_loaded_once_two_looks_agree(world: World):
    world.write("models/one")
    world.look(1)
    assert world.served == {}
    world.look(1)
    assert list(world.served) == ["one"]
    world.look(5)
    assert world.loads == 1


def test_new_ones_are_found_by_a_walk_only(world: World):
    world.write("models/one")
    world.look(3, walk=False)
    assert world.served == {}


def test_an_adapter_that_still_changes_is_not_loaded(world: World):
    path = world.write("models/one")
    for when in range(1, 6):
        touch(path, when * 10**9)
        world.look(1)
    assert world.served == {}
    world.look(1)
    assert list(world.served) == ["one"]


def test_a_replaced_adapter_is_swapped_under_all_its_names_and_old_requests_keep_theirs(world: World):
    path = world.write("models/one")
    world.look()
    world.adapters.alias("other", "one")
    held = world.adapters.hold("one")
    assert held is not None
    before = world.slots[held.slot]
    world.write("models/one", 2.0)
    touch(path, 10**9)
    world.look(walk=False)
    after = world.served
    assert after["one"] == after["other"] != before
    assert world.slots[held.slot] == before
    world.adapters.let_go(held)
    world.write("models/one", 3.0)
    touch(path, 2 * 10**9)
    world.look(walk=False)
    assert len(world.slots) == 1


def test_a_changed_chat_template_reloads_the_adapter_under_another_hash(world: World):
    path = world.write("models/one")
    world.look()
    before = world.served["one"]
    (path / "chat_template.jinja").write_text("{{ messages }}")
    world.look(walk=False)
    assert world.loads == 2
    assert world.served["one"] != before


def test_an_adapter_beside_the_base_models_is_found(world: World):
    world.write("model-cache/org/adapter-of-it")
    world.look()
    assert list(world.served) == ["adapter-of-it"]


def test_an_unloaded_adapter_gives_its_slot_back_when_its_last_request_ends(world: World):
    world.write("models/one")
    world.look()
    held = world.adapters.hold("one")
    assert held is not None
    world.adapters.unload("one")
    assert held.slot in world.slots
    world.adapters.let_go(held)
    for thread in [each for each in threading.enumerate() if each.name == "adapters"]:
        thread.join(240)
    assert world.slots == {}


def test_all_slots_taken_does_not_hinder_a_replacement(tmp_path: Path):
    world = World(tmp_path, slots=1)
    path = world.write("models/one")
    world.look()
    touch(path, 10**9)
    world.look()
    assert world.loads == 2
    world.write("models/two")
    world.look()
    assert "all 1 adapter slots are taken" in world.adapters.refused["two"]
    world.adapters.unload("one")
    world.look(1)
    assert list(world.served) == ["two"]


def test_a_truncated_upload_is_refused_and_the_earlier_state_goes_on(world: World, caplog: pytest.LogCaptureFixture):
    path = world.write("models/one")
    world.look()
    before = world.served
    whole = (path / "adapter_model.safetensors").read_bytes()
    (path / "adapter_model.safetensors").write_bytes(whole[:-40])
    with caplog.at_level(logging.WARNING):
        world.look(6)
    assert world.served == before
    assert "truncated" in world.adapters.refused["one"]
    assert len([record for record in caplog.records if "is refused" in record.message]) == 1
    (path / "adapter_model.safetensors").write_bytes(whole)
    touch(path, 10**9)
    world.look()
    assert world.adapters.refused == {}
    assert world.loads == 2


def test_a_deleted_adapter_is_unloaded_with_its_aliases(world: World):
    path = world.write("models/one")
    world.write("models/two")
    world.look()
    world.adapters.alias("other", "one")
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    world.look(1)
    assert set(world.served) == {"one", "two", "other"}
    world.look(1)
    assert set(world.served) == {"two"}
    world.write("models/one")
    world.look()
    assert set(world.served) == {"one", "two"}


def test_nothing_is_taken_for_deleted_while_the_share_is_away(world: World, tmp_path: Path):
    world.write("models/one")
    world.look()
    away = tmp_path.with_name(tmp_path.name + "-away")
    tmp_path.rename(away)
    tmp_path.mkdir()
    world.look(4)
    assert set(world.served) == {"one"}
    tmp_path.rmdir()
    away.rename(tmp_path)
    world.look(2)
    assert (set(world.served), world.loads) == ({"one"}, 1)


def test_an_adapter_unloaded_by_request_stays_so_until_its_files_change(world: World):
    path = world.write("models/one")
    world.look()
    world.adapters.unload("one")
    world.look(4)
    assert world.served == {}
    touch(path, 10**9)
    world.look()
    assert list(world.served) == ["one"]


def test_a_second_of_the_same_name_gets_a_longer_one(world: World):
    world.write("a/adapter")
    world.look()
    world.write("b/a/adapter")
    world.look()
    assert set(world.served) == {"a", "b/a"}


def test_an_alias_that_takes_a_name_over_gives_the_slot_back(world: World):
    world.write("models/one")
    world.write("models/two")
    world.look()
    world.adapters.alias("two", "one")
    assert len(world.slots) == 1
    with pytest.raises(AdapterError, match="'three' is not loaded"):
        world.adapters.alias("x", "three")


def announce(world: World, name: str, digest: str):
    records = world.mount / ".slipway/model_uploads"
    records.mkdir(parents=True, exist_ok=True)
    said = {"folder": name, "kind": "adapter", "digest": digest}
    (records / f"{name.replace('/', '-')}.json").write_text(json.dumps(said))


def digest_of(path: Path):
    return check_adapter("x", path, path.parents[1]).digest


def test_what_is_told_of_is_taken_at_the_first_look_without_a_walk(world: World):
    path = world.write("models/one")
    announce(world, "models/one", digest_of(path))
    world.look(1, walk=False)
    assert list(world.served) == ["one"]
    world.write("models/one", 2.0)
    announce(world, "models/one", digest_of(path))
    world.look(1, walk=False)
    assert world.loads == 2
    world.look(3)
    assert world.loads == 2


def test_a_record_of_older_files_loads_nothing_again_and_again(world: World):
    """Somebody has changed them by hand since, or the mount does not show the new ones yet."""
    world.write("models/one")
    announce(world, "models/one", "another")
    world.look(4)
    assert (list(world.served), world.loads) == (["one"], 1)
    world.adapters.unload("one")
    world.look(4)
    assert world.served == {}, "unloaded by request, it stays so"


def test_while_files_are_switched_the_earlier_state_answers_and_a_switch_that_is_ended_is_taken(world: World):
    path = world.write("models/one")
    world.look()
    before = world.served
    (path / UNFINISHED).write_text("{}")
    save_file({"x": torch.full((64,), 2.0)}, path / "adapter_model.safetensors")
    announce(world, "models/one", "new")
    world.look(4)
    assert world.served == before
    assert "an upload of it was cut off" in world.adapters.refused["one"]
    (path / UNFINISHED).unlink()
    announce(world, "models/one", digest_of(path))
    world.look(1, walk=False)
    assert world.served["one"] == digest_of(path) != before["one"]
    assert world.adapters.refused == {}


def test_it_looks_by_itself_until_it_is_stopped(world: World):
    world.write("models/one")
    loaded = threading.Event()
    adapters = Adapters(world.mount, 4, lambda slot, folder: loaded.set(), lambda slot: None)
    watch = Watch(adapters, world.mount, world.sentinel, 0.001)
    watch.start()
    assert loaded.wait(240)
    watch.stop()
    off = Watch(adapters, world.mount, world.sentinel, 0)
    off.start()
    assert "watch" not in {thread.name for thread in threading.enumerate()}
    off.stop()


def test_the_interval_is_a_setting():
    assert settings_from({}).watch_seconds == 10
    assert settings_from({"SLIPWAY_WATCH_SECONDS": "0.5"}).watch_seconds == 0.5
    for wrong in ("-1", "often", "1e9", "1000000"):
        with pytest.raises(SettingsError, match="SLIPWAY_WATCH_SECONDS"):
            settings_from({"SLIPWAY_WATCH_SECONDS": wrong})


def test_a_large_share_is_left_alone_for_ten_times_as_long_as_a_walk_takes():
    """Each listing is paid for, and tens of thousands of them take longer than a minute."""
    assert is_due(6, 60.0, 0.2)
    assert not is_due(5, 60.0, 0.2)
    assert not is_due(30, 300.0, 90.0)
    assert is_due(90, 900.0, 90.0)


def test_packages_on_the_share_are_not_walked(tmp_path: Path):
    for place in ("env/lib/python3.12/site-packages/peft/tests/one", "node_modules/two", "models/three"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "adapter_config.json").write_text("{}")
    assert [path.name for path in walk_adapters(tmp_path)] == ["three"]
