"""The plain tree on a share: its names are checked as a set, and another person's work is never destroyed unasked."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.core.codefiles import read_tree
from sidecar.core.sync import digest_of
from sidecar.gateway.files import is_unfinished
from sidecar.words.errors import CloudError, WorkspaceError
from sidecar.workflows.interrupted import interrupted
from tests.contract.localcloud.conftest import World, eventually
from tests.contract.provision.conftest import Arm
from tests.support.plain_tree import MANIFEST, Ground, new_account, new_ground


@pytest.fixture(scope="module")
def account(world: World) -> str:
    return new_account(world)


@pytest.fixture
def ground(world: World, account: str, tmp_path: Path) -> Iterator[Ground]:
    with new_ground(world, account, tmp_path, retry_total=0) as made:
        yield made


def test_only_what_changed_is_uploaded_and_only_what_was_synced_is_deleted(ground: Ground) -> None:
    ground.local("a.py", "1")
    ground.local("sub/b.py", "1")
    assert ground.sync().upload == ("a.py", "sub/b.py")
    ground.remote("sub/theirs.txt", "by hand")
    assert ground.sync().upload == ()
    ground.local("a.py", "22")
    (ground.code / "sub" / "b.py").unlink()
    changes = ground.sync()
    assert (changes.upload, changes.delete) == (("a.py",), ("sub/b.py",))
    assert ground.there == {"a.py": "22", "sub/theirs.txt": "by hand"}
    assert list(ground.manifest["files"]) == ["a.py"]


@pytest.mark.parametrize(
    "names", [("Notes.md", "NOTES.md"), ("10:30.txt",), ("notes", "notes."), ("CON",), (b"\xff.txt",)]
)
def test_names_that_a_share_can_not_hold_are_named_and_nothing_is_uploaded(
    ground: Ground, names: tuple[str | bytes, ...]
) -> None:
    """Names that Linux has and a share has not: a colon, twins in case, a dot at the end (which would hide one of two files)."""
    ground.local("a.py", "1")
    ground.sync()
    ground.local("a.py", "2")
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(ground.code), os.fsencode(name)))).write_text("x")
    if len(list(ground.code.iterdir())) != 1 + len(names):
        pytest.skip("this machine's folders take them for one")
    with pytest.raises(WorkspaceError) as refused:
        ground.sync()
    assert refused.value.code == "NamesNotForShare"
    shown = str(refused.value).encode().decode()
    assert all(isinstance(name, bytes) or name in shown for name in names if name != "notes")
    assert ground.there == {"a.py": "1"}


def test_a_file_that_somebody_edited_on_the_share_is_asked_about_before_it_is_replaced(ground: Ground) -> None:
    ground.local("a.py", "1")
    ground.local("b.py", "1")
    ground.sync()
    ground.remote("a.py", "theirs")
    ground.local("b.py", "2")
    asked = ground.ask()
    assert "a.py" in str(asked.message)
    assert "b.py" not in str(asked.message)
    ground.sync(asked.consent)
    assert ground.there == {"a.py": "1", "b.py": "2"}


def test_a_consent_is_to_what_was_shown_and_no_later_edit(ground: Ground) -> None:
    ground.local("a.py", "1")
    ground.sync()
    ground.remote("a.py", "theirs")
    first = ground.ask()
    ground.remote("a.py", "theirs again")
    with pytest.raises(Exception, match="somebody else"):
        ground.sync(first.consent)
    assert ground.there == {"a.py": "theirs again"}


def test_a_file_that_somebody_edited_is_asked_about_before_it_is_deleted(ground: Ground) -> None:
    ground.local("a.py", "1")
    ground.local("b.py", "1")
    ground.sync()
    ground.remote("b.py", "theirs")
    (ground.code / "b.py").unlink()
    asked = ground.ask()
    assert ground.sync(asked.consent).delete == ("b.py",)


def test_a_tree_put_there_by_hand_is_taken_over_where_it_is_equal_and_asked_about_where_not(ground: Ground) -> None:
    for name in ("a.py", "b.py"):
        ground.local(name, "1")
        ground.remote(name, "1")
    assert ground.sync().upload == ()
    assert set(ground.manifest["files"]) == {"a.py", "b.py"}
    ground.local("c.py", "1")
    ground.remote("c.py", "2")
    assert "c.py" in str(ground.ask().message)


def test_a_file_that_somebody_deleted_is_there_again(ground: Ground) -> None:
    ground.local("a.py", "1")
    ground.sync()
    (ground.disk / "code" / "a.py").unlink()
    assert ground.sync().upload == ("a.py",)


def test_a_touched_file_is_no_edit(ground: Ground) -> None:
    ground.local("a.py", "1")
    ground.sync()
    os.utime(ground.disk / "code" / "a.py", (1, 1))
    ground.local("a.py", "2")
    assert ground.sync().upload == ("a.py",)


def test_a_name_that_changes_only_its_case_is_not_lost(ground: Ground) -> None:
    """On a share the old name and the new one are the same file: deleting the old one after the upload lost both."""
    ground.local("Notes.md", "1")
    ground.sync()
    (ground.code / "Notes.md").rename(ground.code / "notes.md")
    ground.sync()
    assert ground.there == {"notes.md": "1"}
    assert ground.sync().upload == ()


def test_a_file_becomes_a_folder_and_a_folder_a_file(ground: Ground) -> None:
    ground.local("a", "1")
    ground.local("b/deep/c.py", "1")
    ground.sync()
    (ground.code / "a").unlink()
    (ground.code / "b" / "deep" / "c.py").unlink()
    (ground.code / "b" / "deep").rmdir()
    (ground.code / "b").rmdir()
    ground.local("a/x.py", "2")
    ground.local("b", "2")
    ground.sync()
    assert ground.there == {"a/x.py": "2", "b": "2"}


def test_a_list_of_the_first_form_still_says_what_is_ours(ground: Ground) -> None:
    for name in ("a.py", "old.py"):
        ground.local(name, "1")
    ground.sync()
    digests = {name: digest_of(ground.code / name) for name in ("a.py", "old.py")}
    (ground.disk / MANIFEST).write_text(json.dumps(digests))
    ground.local("a.py", "2")
    (ground.code / "old.py").unlink()
    ground.sync()
    assert ground.there == {"a.py": "2"}


@pytest.mark.parametrize(
    "damage", ["", "[]", '{"version": 2}', '{"version": 2, "files": 3, "pending": {}, "marks": []}']
)
def test_a_damaged_list_is_told_and_costs_nobody_their_work(ground: Ground, damage: str) -> None:
    ground.local("a.py", "1")
    ground.local("b.py", "1")
    ground.sync()
    (ground.disk / MANIFEST).write_text(damage)
    (ground.code / "b.py").unlink()
    ground.sync()
    assert any("is damaged" in each for each in ground.said)
    assert ground.there == {"a.py": "1", "b.py": "1"}


def test_a_file_that_is_open_elsewhere_is_kept_and_told_and_the_rest_goes_on(ground: Ground, faults: Arm) -> None:
    for name in ("a.py", "b.py", "c.py"):
        ground.local(name, "1")
    ground.sync()
    for name in ("a.py", "b.py"):
        ground.local(name, "2")
    (ground.code / "c.py").unlink()
    held = {"part": "files", "status": 409, "code": "SharingViolation", "times": None}
    hits = faults(
        {**held, "method": "PUT", "path": "/code/a\\.py\\?comp=rename"},
        {**held, "method": "DELETE", "path": "/code/c\\.py"},
    )
    changes = ground.sync()
    assert hits() == [3, 3]
    assert (changes.upload, changes.delete, changes.kept) == (("b.py",), (), ("a.py", "c.py"))
    assert ground.there == {"a.py": "1", "b.py": "2", "c.py": "1"}
    assert sum("is open elsewhere" in each for each in ground.said) == 2
    assert set(ground.manifest["files"]) == {"a.py", "b.py", "c.py"}, "what is there"
    faults()
    assert ground.sync().upload == ("a.py",)
    assert ground.there == {"a.py": "2", "b.py": "2"}


def test_a_run_that_was_cut_off_is_ended_by_the_next_even_after_a_further_edit(ground: Ground, faults: Arm) -> None:
    """What a cut off run has put there is known as ours by the list that it wrote first."""
    ground.local("a.py", "1")
    ground.local("b.py", "1")
    ground.sync()
    for name in ("a.py", "b.py", "new.py"):
        ground.local(name, "2")
    hits = faults({"part": "files", "path": "/code/b\\.py\\?comp=rename", "kind": "reset-before", "times": None})
    with pytest.raises(CloudError):
        ground.sync()
    assert hits() == [1]
    assert ground.there["a.py"] == "2"
    assert any(each.endswith(".part") for each in ground.there)
    faults()
    ground.local("a.py", "3")
    ground.sync()
    assert ground.there == {"a.py": "3", "b.py": "2", "new.py": "2"}, "the unfinished upload is gone as well"
    assert ground.manifest["pending"] == {}


def test_what_was_uploaded_before_the_cut_is_not_uploaded_again(ground: Ground, faults: Arm) -> None:
    for name in ("a.py", "b.py"):
        ground.local(name, "1")
    faults({"part": "files", "path": "/code/b\\.py\\?comp=rename", "kind": "reset-before", "times": None})
    with pytest.raises(CloudError):
        ground.sync()
    faults()
    assert ground.sync().upload == ("b.py",)


def test_a_file_that_changes_between_its_hash_and_its_upload_is_read_again(ground: Ground) -> None:
    ground.local("a.py", "1")
    entry = read_tree(ground.code).entries[0]
    ground.share.make_folders("code")
    before = digest_of(entry.source)
    ground.local("a.py", "changed")
    assert not ground.share.replace_if("code/a.py", entry.source, before, "mark")
    assert ground.there == {}
    assert ground.share.replace_if("code/a.py", entry.source, digest_of(entry.source), "mark")
    assert ground.there == {"a.py": "changed"}


def test_the_longest_name_has_room_for_its_unfinished_upload(ground: Ground) -> None:
    ground.local("é" * 127, "1")
    ground.sync()
    assert ground.there == {"é" * 127: "1"}
    assert is_unfinished(".a.py.12345678.part", "12345678")
    assert not is_unfinished("a.py.part", "12345678")


def test_a_file_that_is_gone_already_is_deleted(ground: Ground) -> None:
    """Somebody was faster, between the look and the deletion."""
    for name in ("a.py", "b.py", "c.py"):
        ground.local(name, "1")
    ground.sync()
    for name in ("b.py", "c.py"):
        (ground.code / name).unlink()
    ground.meanwhile = lambda _: (ground.disk / "code" / "b.py").unlink(missing_ok=True)
    changes = ground.sync()
    assert (changes.delete, changes.kept) == (("b.py", "c.py"), ())
    assert (ground.there, list(ground.manifest["files"])) == ({"a.py": "1"}, ["a.py"])


def test_an_upload_of_somebody_who_is_at_it_now_is_left_alone_and_of_a_dead_run_is_not(
    ground: Ground, faults: Arm
) -> None:
    ground.local("a.py", "1")
    ground.sync()
    ground.local("a.py", "2")
    faults({"part": "files", "path": "/code/a\\.py\\?comp=rename", "kind": "reset-before", "times": None})
    with pytest.raises(CloudError):
        ground.sync()
    faults()
    ground.local("a.py", "3")
    assert ground.sync(abandoned=600).upload == ("a.py",)
    (unfinished,) = [each for each in ground.there if each.endswith(".part")]
    assert ground.there == {"a.py": "3", unfinished: "2"}
    assert ground.manifest["marks"] == [unfinished.split(".")[-2]], "known as unfinished, also later"
    ground.local("a.py", "4")
    assert ground.sync().upload == ("a.py",)
    assert (ground.there, ground.manifest["marks"]) == ({"a.py": "4"}, [])


@pytest.mark.parametrize(("held", "theirs"), [("a.py\\?comp=rename", None), ("a.py\\?comp=rename", "9")])
def test_an_upload_that_another_deployer_took_away_is_not_taken_for_done(
    ground: Ground, faults: Arm, held: str, theirs: str | None
) -> None:
    """The rename finds no source then, and under the name lies what was there before, or what the other one put there: of the
    same size, it was once written down as the new content, and no later run mended that."""
    for name in ("a.py", "b.py"):
        ground.local(name, "1")
    ground.sync()
    for name in ("a.py", "b.py"):
        ground.local(name, "2")
    hits = faults({"part": "files", "path": held, "kind": "hold", "seconds": 60})

    def take_away() -> None:
        eventually(lambda: hits() == [1])
        for each in (ground.disk / "code").glob(".a.py.*.part"):
            each.unlink()
        if theirs is not None:
            ground.remote("a.py", theirs)
        faults()

    other = threading.Thread(target=take_away)
    other.start()
    changes = ground.sync()
    other.join()
    assert (changes.upload, changes.kept) == (("b.py",), ("a.py",))
    assert ground.there == {"a.py": theirs or "1", "b.py": "2"}
    ground.sync(*([] if theirs is None else [ground.ask().consent]))
    assert ground.there == {"a.py": "2", "b.py": "2"}


def test_a_rename_whose_answer_was_lost_is_done_where_the_file_holds_what_was_sent(
    world: World, account: str, tmp_path: Path, faults: Arm
) -> None:
    """The SDK asks again, and finds no source."""
    at_once = {"initial_backoff": 0, "increment_base": 0, "random_jitter_range": 0}
    with new_ground(world, account, tmp_path, retry_total=2, **at_once) as ground:
        ground.local("a.py", "1")
        hits = faults({"part": "files", "path": "comp=rename", "kind": "reset-after", "times": 1, "skip": 1})
        assert ground.sync().upload == ("a.py",)
        assert (hits(), ground.sync().upload) == ([1], ())
        hits = faults({"part": "files", "path": "comp=rename", "kind": "reset-after", "times": 1})
        ground.share.create("made", b"x")
        assert (hits(), ground.share.read("made")) == ([1], b"x")


def test_what_is_about_to_change_the_tree_is_written_down_first(ground: Ground, faults: Arm, tmp_path: Path) -> None:
    """A run that is cut off after it has left a tree of both: its journal named the step before, as if nothing had changed."""
    for name in ("a.py", "b.py"):
        ground.local(name, "1")
    ground.sync()
    for name in ("a.py", "b.py"):
        ground.local(name, "2")
    faults({"part": "files", "path": "/code/b\\.py\\?comp=rename", "kind": "reset-before", "times": None})
    journal = tmp_path / "deploy.jsonl"
    with pytest.raises(CloudError):
        ground.sync(file=journal)
    assert (ground.there["a.py"], ground.there["b.py"]) == ("2", "1")
    (found,) = interrupted({"deploy": journal})
    assert (found.step, found.resume) == ("mirror", "deploy")
    assert "old in part and new in part" in str(found.sentence)
    faults()
    again = tmp_path / "again.jsonl"
    ground.sync()
    ground.sync(file=again)
    assert not again.exists(), "where nothing changes, nothing is begun"
