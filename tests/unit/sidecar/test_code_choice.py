"""Which code a release is made of: the project's, or the shipped server with the project's files in place of and beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar import __version__
from sidecar.core.codefiles import read_tree
from sidecar.core.scaffold import code_of, scaffold
from sidecar.core.sync import pack
from sidecar.core.workspace import Workspace
from sidecar.words.errors import WorkspaceError

SHIPPED = f"shipped@{__version__}"


def digest(workspace: Workspace, choice: str) -> str:
    return pack(code_of(workspace, choice), workspace.folder / "bundle.tar").digest


def test_the_shipped_code_is_what_a_scaffolded_project_holds_and_needs_no_folder(tmp_path: Path) -> None:
    made, empty = Workspace(tmp_path / "made"), Workspace(tmp_path / "empty")
    for each in (made, empty):
        each.folder.mkdir()
    scaffold(made, tmp_path / "state")
    assert digest(made, "workspace") == digest(made, SHIPPED) == digest(empty, SHIPPED)


def test_a_projects_file_stands_in_place_of_or_beside_the_shipped_one(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (workspace.code / "web").mkdir(parents=True)
    (workspace.code / "server.py").write_text("mine = 1\n")
    (workspace.code / "web" / "extra.py").write_text("more = 1\n")
    (workspace.folder / ".gitignore").write_text("*.tmp\n")
    (workspace.code / "x.tmp").write_text("")
    found = {entry.path: entry.source for entry in code_of(workspace, SHIPPED).entries}
    assert found["server.py"] == workspace.code / "server.py"
    assert found["web/extra.py"] == workspace.code / "web" / "extra.py"
    assert "x.tmp" not in found
    assert found["__main__.py"].parts[-2:] == ("inference", "__main__.py")
    own = {entry.path for entry in read_tree(workspace.code, workspace.folder).entries}
    assert own == {"server.py", "web/extra.py"}


@pytest.mark.parametrize(
    ("choice", "code"), [("shipped@9.9.9", "OtherVersion"), ("shipped@", "UnknownCode"), ("mine", "UnknownCode")]
)
def test_another_version_or_choice_is_refused_with_what_can_be_done(tmp_path: Path, choice: str, code: str) -> None:
    with pytest.raises(WorkspaceError) as refused:
        code_of(Workspace(tmp_path), choice)
    assert refused.value.code == code
    assert __version__ in str(refused.value.suggestion) or __version__ in str(refused.value)
