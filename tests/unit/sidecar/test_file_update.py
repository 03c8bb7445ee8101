"""Project files of a newer Slipway: what a person has not touched is replaced, edits are kept, and a conflict is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import __version__
from sidecar.core.merging import merged
from sidecar.core.project_files import Record, digest, keep_record, record_of
from sidecar.core.scaffold import scaffold, shipped
from sidecar.core.workspace import Workspace
from sidecar.words.errors import WorkspaceError
from sidecar.workflows.update_files import planned, update_files

lines = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n", "\n"]), max_size=12).map("".join)

OLD = "import os\n\n\ndef one():\n    return 1\n\n\ndef two():\n    return 2\n"
NEW = OLD.replace("return 2", "return 22")


class Ground:
    """A project and two shipped trees: the one that it was copied from, and a newer one."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder / "project")
        self.state = folder / "state"
        self.top = folder / "newer"
        for each in (self.workspace.folder, self.top):
            each.mkdir()

    def ship(self, name: str, old: str | None, new: str | None, own: str | None) -> None:
        """`inference/<name>` as it was copied, as it is shipped now, and as the project has it."""
        for root, text in ((self.top, new), (self.workspace.folder, own)):
            if text is not None:
                file = root / "inference" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(text.encode())
        known = record_of(self.workspace)
        files = {} if known is None else dict(known.files)
        if old is not None:
            files[f"inference/{name}".replace("inference/../", "")] = digest(old.encode())
        kept = {} if old is None else {name: old.encode()}
        self.workspace.code.mkdir(exist_ok=True)
        keep_record(self.workspace, Record("0.0.9", files), self.state, kept)

    def kinds(self) -> dict[str, str]:
        return {
            each.path.removeprefix("inference/"): each.kind
            for each in planned(self.workspace, self.state, self.top).files
        }

    def update(self, mine: tuple[str, ...] = (), theirs: tuple[str, ...] = ()) -> None:
        update_files(self.workspace, self.state, self.top, mine, theirs)

    def own(self, name: str) -> str:
        return (self.workspace.folder / "inference" / name).read_bytes().decode()


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_each_file_has_its_fate_and_an_update_does_just_that(ground: Ground):
    mine = OLD.replace("return 1", "return 11")
    ground.ship("untouched.py", OLD, NEW, OLD)
    ground.ship("edited.py", OLD, NEW, mine)
    ground.ship("both.py", OLD, NEW, OLD.replace("return 2", "return 3"))
    ground.ship("only_mine.py", OLD, OLD, mine)
    ground.ship("brought.py", None, NEW, None)
    ground.ship("gone.py", OLD, None, OLD)
    ground.ship("gone_but_edited.py", OLD, None, mine)
    ground.ship("deleted.py", OLD, NEW, None)
    ground.ship("same.py", OLD, NEW, NEW)
    (ground.workspace.code / "added_by_me.py").write_text("x = 1\n")
    fates = {
        "untouched.py": "replaced", "edited.py": "merged", "both.py": "conflict", "only_mine.py": "kept",
        "brought.py": "added", "gone.py": "removed", "gone_but_edited.py": "kept", "deleted.py": "deleted",
        "same.py": "same",
    }  # fmt: skip
    assert ground.kinds() == fates
    ground.update()
    assert ground.own("untouched.py") == ground.own("brought.py") == NEW
    assert ground.own("edited.py") == mine.replace("return 2", "return 22")
    assert ground.own("both.py") == OLD.replace("return 2", "return 3")
    assert ground.own("only_mine.py") == ground.own("gone_but_edited.py") == mine
    assert ground.own("added_by_me.py") == "x = 1\n"
    assert not (ground.workspace.code / "gone.py").exists()
    assert not (ground.workspace.code / "deleted.py").exists()
    known = record_of(ground.workspace)
    assert known is not None
    assert known.version == __version__
    # Once more there is nothing to do but what is in conflict.
    assert {name for name, kind in ground.kinds().items() if kind not in {"same", "kept", "deleted"}} == {"both.py"}


@pytest.mark.parametrize("decision", ["mine", "theirs"])
def test_a_conflict_is_decided_once(ground: Ground, decision: str):
    own = OLD.replace("return 2", "return 3")
    ground.ship("both.py", OLD, NEW, own)
    with pytest.raises(WorkspaceError, match=r"inference/other\.py is no file"):
        ground.update(mine=("inference/other.py",))
    ground.update(**{decision: ("inference/both.py",)})
    assert ground.own("both.py") == (own if decision == "mine" else NEW)
    assert ground.kinds() == {"both.py": "kept" if decision == "mine" else "same"}


def test_a_machine_that_has_not_seen_the_former_version_names_a_conflict_in_place_of_guessing(ground: Ground):
    ground.ship("edited.py", OLD, NEW, OLD.replace("return 1", "return 11"))
    ground.state = ground.state.parent / "another machine's"
    assert ground.kinds() == {"edited.py": "conflict"}


def test_a_project_without_a_record_loses_nothing(ground: Ground):
    ground.ship("edited.py", None, NEW, OLD)
    ground.ship("same.py", None, NEW, NEW)
    (ground.workspace.infra / "slipway.files.json").unlink()
    assert ground.kinds() == {"edited.py": "conflict", "same.py": "same"}
    (ground.workspace.infra / "slipway.files.json").write_text("{")
    with pytest.raises(WorkspaceError, match=r"infra/slipway\.files\.json can't be read"):
        ground.kinds()


def test_line_ends_are_nobodys_edit_and_the_persons_stay(ground: Ground):
    ground.ship("windows.py", OLD, OLD, OLD.replace("\n", "\r\n"))
    ground.ship("merged.py", OLD, NEW, OLD.replace("return 1", "return 11").replace("\n", "\r\n"))
    assert ground.kinds() == {"windows.py": "same", "merged.py": "merged"}
    ground.update()
    assert ground.own("merged.py") == NEW.replace("return 1", "return 11").replace("\n", "\r\n")


def test_what_a_project_is_given_is_written_down_and_is_up_to_date(tmp_path: Path):
    workspace = Workspace(tmp_path / "project")
    workspace.folder.mkdir()
    made = scaffold(workspace, tmp_path / "state")
    assert "inference/server.py" in made.created
    assert made.own == ()
    assert not planned(workspace, tmp_path / "state", shipped()).changes
    own = workspace.code / "server.py"
    own.write_text(own.read_text() + "\nmine = 1\n")
    assert not planned(workspace, tmp_path / "state", shipped()).changes
    assert scaffold(workspace, tmp_path / "state").created == []


def test_nothing_is_mixed_into_somebodys_own_server_unless_that_is_asked_for(tmp_path: Path):
    workspace, state = Workspace(tmp_path), tmp_path / "state"
    (workspace.code / "api").mkdir(parents=True)
    (workspace.code / "serve.py").write_text("mine = 1\n")
    (workspace.code / "api" / "__init__.py").write_text("")  # ours is empty too
    made = scaffold(workspace, state)
    assert made.own == ("inference/api/__init__.py", "inference/serve.py")
    assert "infra/provision/inference.bicep" in made.created, "what Provision needs is there all the same"
    assert not (workspace.code / "server.py").exists()
    (workspace.infra / "slipway.files.json").unlink()
    update_files(workspace, state, shipped())
    assert not (workspace.code / "server.py").exists()
    (workspace.infra / "slipway.files.json").unlink()
    assert "inference/server.py" in scaffold(workspace, state, beside=True).created
    assert (workspace.code / "serve.py").read_text() == "mine = 1\n"


@pytest.mark.parametrize(
    "path",
    ["../victim.txt", "/etc/victim", "inference/../../victim.txt", ".git/HEAD", "infra/x", "inference/a\\b", "inference//a",
     "inference/./a", "C:/victim", "infra/provision/inference.a/../../../b"],
)  # fmt: skip
def test_a_record_that_comes_with_a_repository_reaches_nothing_but_what_is_shipped(ground: Ground, path: str):
    victim = ground.workspace.folder.parent / "victim.txt"
    victim.write_text("")
    record = {"version": "0.0.9", "files": {path: digest(b"")}}
    (ground.workspace.infra).mkdir(exist_ok=True)
    (ground.workspace.infra / "slipway.files.json").write_text(json.dumps(record))
    with pytest.raises(WorkspaceError, match="can't be a file of Slipway's"):
        ground.update()
    assert victim.exists()


@pytest.mark.parametrize("sha256", ["", "../x", "a" * 63, "A" * 64])
def test_a_record_with_a_digest_that_is_none_is_refused(ground: Ground, sha256: str):
    ground.workspace.infra.mkdir(exist_ok=True)
    record = {"version": "0.0.9", "files": {"inference/a.py": sha256}}
    (ground.workspace.infra / "slipway.files.json").write_text(json.dumps(record))
    with pytest.raises(WorkspaceError, match="can't be a file of Slipway's"):
        ground.kinds()


def test_nothing_is_written_through_a_link_or_over_a_folder(ground: Ground):
    outside = ground.workspace.folder.parent / "outside"
    outside.mkdir()
    (outside / "server.py").write_text("mine\n")
    ground.ship("server.py", OLD, NEW, None)
    ground.workspace.code.rmdir()
    ground.workspace.code.symlink_to(outside)
    with pytest.raises(WorkspaceError, match="behind one that leads out"):
        ground.update(theirs=("inference/server.py",))
    assert (outside / "server.py").read_text() == "mine\n"
    ground.workspace.code.unlink()
    (ground.workspace.code / "server.py").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match="is a folder"):
        ground.update()


def test_an_older_slipway_takes_no_project_back(ground: Ground):
    ground.ship("new.py", OLD, None, OLD)
    record = json.loads((ground.workspace.infra / "slipway.files.json").read_text())
    (ground.workspace.infra / "slipway.files.json").write_text(json.dumps({**record, "version": "99.0.0"}))
    with pytest.raises(WorkspaceError, match=r"Slipway 99\.0\.0"):
        ground.update()
    assert ground.own("new.py") == OLD


def test_a_generated_file_is_kept_where_that_is_asked_for_or_nobody_knows_its_origin(ground: Ground):
    name = "../infra/provision/inference.json"
    ground.ship(name, None, "{}\n", '{"mine": 1}\n')
    assert ground.kinds() == {"infra/provision/inference.json": "conflict"}
    ground.update(mine=("infra/provision/inference.json",))
    assert ground.kinds() == {"infra/provision/inference.json": "kept"}


@given(base=lines, own=lines)
def test_one_sided_changes_are_taken_whole(base: str, own: str):
    assert merged(base, own, base) == own
    assert merged(base, base, own) == own
    assert merged(base, own, own) == own


@given(base=lines, own=lines, new=lines)
def test_both_sides_come_to_the_same_whoever_is_first(base: str, own: str, new: str):
    assert merged(base, own, new) == merged(base, new, own)


@given(before=lines, after=lines, own=lines, new=lines)
def test_changes_of_different_places_are_both_kept(before: str, after: str, own: str, new: str):
    fixed = "".join(f"fixed {number}\n" for number in range(3))
    made = merged(before + fixed + after, own + fixed + after, before + fixed + new)
    assert made == own + fixed + new
