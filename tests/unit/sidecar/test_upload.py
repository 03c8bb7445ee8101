"""What of a folder goes to the share, where, and what is there already; and how its progress is worded."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.decisions.models_on_share import Models
from sidecar.decisions.pace import pace
from sidecar.decisions.upload import (
    Compared,
    Sent,
    Upload,
    compared,
    in_order,
    kind_of,
    place_for,
    record_from,
    record_path,
    suggested_name,
    travelling,
)
from sidecar.gateway.large_files import Begun, joined
from sidecar.gateway.listed import Listed
from sidecar.words.errors import WorkspaceError
from sidecar.workflows.adapter_live import STALE, Taken
from sidecar.workflows.local_model import local_model
from sidecar.workflows.upload import live_of, refuse_broken, suggested
from tests.support.model_folders import adapter_in, base_in

THERE = Models(("org/tiny",), ("models/qlora/qlora/gpu_model/adapter", "models/mine/adapter"))


def test_a_folder_is_known_by_its_configuration() -> None:
    assert kind_of(["adapter_config.json", "config.json"]) == "adapter"
    assert kind_of(["config.json"]) == "base"
    assert kind_of(["model.safetensors"]) is None


def test_what_the_server_does_not_read_stays() -> None:
    names = [".git", "LICENSE", "adapter_config.json", "adapter_model.bin", "adapter_model.safetensors", "tokenizer.json",
             "training_args.bin", "optimizer.pt", "other.safetensors"]  # fmt: skip
    found = travelling("adapter", names, None)
    assert found.goes == ("LICENSE", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json")
    assert found.stays == ("adapter_model.bin", "optimizer.pt", "other.safetensors", "training_args.bin")
    base = ["config.json", "model.safetensors", "model-1.safetensors", "model.safetensors.index.json", "modeling_x.py"]
    assert travelling("base", base, ("model-1.safetensors",)).stays == ("model.safetensors", "modeling_x.py")
    assert travelling("base", base, None).goes == ("config.json", "model.safetensors", "model.safetensors.index.json")


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/home/me/runs/support-bot/adapter", "support-bot"),
        ("/home/me/runs/support-bot/checkpoint-300", "support-bot"),
        ("/home/me/runs/a b", "a-b"),
        ("/", None),
    ],
)
def test_an_adapter_is_called_as_its_folder(folder: str, expected: str | None) -> None:
    assert suggested_name("adapter", Path(folder).parts, None) == expected


@pytest.mark.parametrize(
    ("folder", "stated", "expected"),
    [
        ("/x/hub/models--Qwen--Qwen3-4B/snapshots/abc", None, "Qwen/Qwen3-4B"),
        ("/x/model-cache/org/tiny", None, "org/tiny"),
        ("/x/phi", "microsoft/Phi-4-mini", "microsoft/Phi-4-mini"),
        ("/x/phi", "/content/phi", None),
        ("/x/phi", None, None),
    ],
)
def test_a_base_is_called_as_it_was_published_or_nothing_says_how(
    folder: str, stated: str | None, expected: str | None
) -> None:
    assert suggested_name("base", Path(folder).parts, {"_name_or_path": stated}) == expected


def test_a_name_that_is_served_leads_to_its_folder_and_another_one_to_a_new_one() -> None:
    assert place_for("adapter", "gpu_model", THERE) == "models/qlora/qlora/gpu_model/adapter"
    assert place_for("adapter", "mine", THERE) == "models/mine/adapter"
    assert place_for("adapter", "new", THERE) == "models/new/adapter"
    assert place_for("base", "org/other", THERE) == "model-cache/org/other"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("base", "tiny"),
        ("base", "a/b/c"),
        ("adapter", "org/tiny"),
        ("adapter", "../up"),
        ("adapter", "a//b"),
        ("adapter", ".hidden"),
        ("adapter", "node_modules"),
        ("adapter", "a:b"),
        ("adapter", ""),
        ("adapter", "NUL"),
    ],
)
def test_a_name_that_can_not_be_one_is_refused(kind: str, name: str) -> None:
    with pytest.raises(WorkspaceError) as refused:
        place_for("base" if kind == "base" else "adapter", name, THERE)
    assert refused.value.code == "BadModelName"


def listed(name: str, size: int, stamp: str) -> Listed:
    return Listed(name, False, size, stamp)


def test_of_two_files_of_one_size_the_content_decides_never_the_size() -> None:
    wanted = {
        "adapter_config.json": Sent(10, "aa"),
        "adapter_model.safetensors": Sent(20, "bb"),
        "README.md": Sent(5, "cc"),
        "new": Sent(1, "dd"),
    }
    found = {
        each.name: each
        for each in (
            listed("adapter_config.json", 10, "s1"),  # as it was put there
            listed("adapter_model.safetensors", 20, "touched"),  # somebody has written to it since
            listed("README.md", 5, "s3"),  # ours, of another content
            listed("tokenizer.json", 7, "s4"),  # the server would go on reading it
            listed("notes.txt", 7, "s5"),
        )
    }
    record = {
        "adapter_config.json": Sent(10, "aa", "s1"),
        "adapter_model.safetensors": Sent(20, "bb", "s2"),
        "README.md": Sent(5, "old", "s3"),
    }
    plan = compared("adapter", wanted, found, record)
    assert plan == Compared(
        there=("adapter_config.json",),
        unsure=("adapter_model.safetensors",),
        missing=("README.md", "new"),
        gone=("tokenizer.json",),
        foreign=("adapter_model.safetensors", "tokenizer.json"),
    )
    same = plan.resolved(["adapter_model.safetensors"])
    assert (same.there, same.missing, same.foreign) == (
        ("adapter_config.json", "adapter_model.safetensors"),
        ("README.md", "new"),
        ("tokenizer.json",),
    )
    other = plan.resolved([])
    assert other.missing == ("README.md", "adapter_model.safetensors", "new")
    assert "adapter_model.safetensors" in other.foreign


def test_of_a_base_what_the_server_would_read_beside_the_new_files_goes_and_nothing_else() -> None:
    there = ("model.safetensors.index.json", "model-1.safetensors", "chat_template.jinja", "README.md", "config.json")
    plan = compared("base", {"config.json": Sent(9, "x")}, {each: listed(each, 9, "s") for each in there}, {})
    assert plan.gone == ("chat_template.jinja", "model-1.safetensors", "model.safetensors.index.json")
    assert set(plan.gone) < set(plan.foreign)


def test_what_a_model_is_found_by_comes_last() -> None:
    assert in_order("adapter", ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json"])[-1] == (
        "adapter_config.json"
    )
    base = ["config.json", "model.safetensors.index.json", "a.safetensors", "tokenizer.json"]
    assert in_order("base", base)[-2:] == ["model.safetensors.index.json", "config.json"]


def test_a_record_is_read_again_and_a_damaged_one_tells_nothing() -> None:
    files = {"a": Sent(1, "ff", "stamp")}
    assert record_from(Upload("models/a/adapter", "adapter", "ee", files).to_json()) == files
    for damaged in (b"", b"[]", b'{"files": {"a": 3}}', b'{"files": {"a": [1]}}', b'{"files": null}'):
        assert record_from(damaged) == {}
    assert record_path("models/A") == record_path("models/a"), "on a share that is one folder"


def test_a_block_has_arrived_where_ranges_cover_it_also_where_they_are_told_in_pieces() -> None:
    begun = Begun("x", joined([(512, 1023), (0, 511), (2048, 4095)]))
    assert begun.written == ((0, 1023), (2048, 4095))
    assert begun.has(0, 1024)
    assert begun.has(2050, 10)
    assert not begun.has(0, 1025)
    assert not begun.has(1000, 1100)


@pytest.mark.parametrize(
    ("taken", "live", "said"),
    [
        (Taken("a"), "asleep", "no replica runs, and the next one takes it"),
        (Taken("a", ("r1",), ("r1",)), "live", "1 of 1 replicas have it"),
        (Taken("a", ("r1", "r2"), ("r2",)), "partly", "only 1 of 2 replicas have told"),
        (Taken("a", ("r1",), ours=False), "stored", "own server has to be told"),
    ],
)
def test_it_is_live_only_when_every_listed_replica_has_told_of_it(taken: Taken, live: str, said: str) -> None:
    state, sentence = live_of(taken)
    assert state == live
    assert said in str(sentence)


@pytest.mark.parametrize(
    ("reason", "passes"),
    [
        ("models/a/adapter/adapter_config.json is missing", True),
        ("models/a/adapter: an upload of it was cut off while its files were switched; upload it again", True),
        ("adapter_model.safetensors is truncated: 10 bytes, its header speaks of 20", True),
        ("all 16 adapter slots are taken; unload one (SLIPWAY_MAX_ADAPTERS)", False),
        ("layer 0 self_attn.q_proj has shapes (4, 96) and (64, 4)", False),
    ],
)
def test_a_refusal_is_waited_out_only_where_a_mount_may_show_it_the_files_of_before(reason: str, passes: bool) -> None:
    assert bool(STALE.search(reason)) == passes


def test_progress_tells_rate_and_time_left_once_it_can() -> None:
    assert str(pace(0, 10**9, 0, 0)) == "0 B of 1.0 GB"
    assert str(pace(500_000_000, 10**9, 250_000_000, 5)) == "500.0 MB of 1.0 GB, 50.0 MB/s, 10 s left"
    assert str(pace(10**9, 8 * 10**9, 10**9, 100)).endswith("10.0 MB/s, 12 min left")
    assert str(pace(10**9, 100 * 10**9, 10**9, 100)).endswith("2 h 45 min left")


def test_a_broken_folder_fails_with_its_file_before_anything_is_asked_of_a_cloud(tmp_path: Path) -> None:
    adapter = adapter_in(tmp_path)
    weights = adapter / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-8])
    with pytest.raises(WorkspaceError, match=r"adapter_model\.safetensors: it is truncated.*Nothing was sent"):
        refuse_broken(local_model(adapter))
    weights.unlink()
    (adapter / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(WorkspaceError, match="may hold code and is not read"):
        refuse_broken(local_model(adapter))
    weights.write_bytes(whole)
    refuse_broken(local_model(adapter))
    (adapter / "adapter_config.json").write_text("{")
    with pytest.raises(WorkspaceError, match=r"adapter_config\.json: it is not JSON"):
        refuse_broken(local_model(adapter))

    base = base_in(tmp_path / "b", shards=3)
    refuse_broken(local_model(base))
    (base / "model-00002-of-00003.safetensors").write_bytes(b"\0" * 4)
    with pytest.raises(WorkspaceError, match=r"model-00002-of-00003\.safetensors: it is not a safetensors file") as bad:
        refuse_broken(local_model(base))
    assert bad.value.code == "BaseModelUnusable"
    (base / "config.json").unlink()
    with pytest.raises(WorkspaceError, match="holds neither adapter_config"):
        local_model(base)
    with pytest.raises(WorkspaceError, match="can't be read"):
        local_model(tmp_path / "nowhere")


def test_a_base_that_nothing_names_is_to_be_named(tmp_path: Path) -> None:
    base = base_in(tmp_path).rename(tmp_path / "plain")
    with pytest.raises(WorkspaceError, match="Nothing says what") as unnamed:
        suggested(local_model(base))
    assert unnamed.value.code == "NoModelName"
