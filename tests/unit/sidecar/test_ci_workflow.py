"""The workflow that `slipway ci init` writes: what GitHub reads in it, and whose file is overwritten."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.core.ci_workflow import (
    CREDENTIAL,
    UNKNOWN,
    commands,
    is_as_written,
    repository_of,
    workflow,
    write_workflow,
)
from sidecar.core.workspace import open_workspace
from sidecar.doors.cli import parser_of
from sidecar.words.errors import Conflict, WorkspaceError

WHOLE = workflow("", "main", "slipway")


def read(text: str) -> dict[str, Any]:
    """As GitHub reads it: to YAML 1.1 the key `on` is a truth value."""
    document: dict[Any, Any] = yaml.safe_load(text)
    return {"on" if name is True else str(name): value for name, value in document.items()}


def test_it_signs_in_without_a_secret_and_may_do_no_more_than_that() -> None:
    document = read(WHOLE)
    job = document["jobs"]["deploy"]
    assert (document["permissions"], job["permissions"]) == ({}, {"contents": "read", "id-token": "write"})
    assert document["on"] == {"workflow_dispatch": None, "push": document["on"]["push"]}, (
        "no pull request of a stranger"
    )
    assert document["concurrency"] == {"group": "slipway", "cancel-in-progress": False}
    assert "secrets." not in WHOLE
    logins = [each for each in job["steps"] if "azure/login@" in str(each.get("uses"))]
    assert all("unverified" in each["name"] for each in logins)
    assert "UNVERIFIED" in WHOLE
    names = [each["name"] for each in job["steps"]]
    for slow in ("Deploy", "Evaluate"):
        assert names[names.index(slow) - 1].startswith("Sign in"), "GitHub's token is good for minutes only"
    checkout = next(each for each in job["steps"] if each["name"] == "Check out")
    assert checkout["with"] == {"persist-credentials": False}


def test_every_action_is_named_by_its_commit_with_its_version_beside() -> None:
    used = re.findall(r"uses: (.+)", WHOLE)
    assert len(used) == 6
    for each in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_every_call_in_it_is_one_that_the_parser_takes() -> None:
    lines = [line for each in read(WHOLE)["jobs"]["deploy"]["steps"] for line in str(each.get("run", "")).splitlines()]
    calls = [line.split("|")[0].split(">")[0] for line in lines if line.startswith("slipway ")]
    taken = [parser_of("slipway").parse_args(shlex.split(each)[1:]) for each in calls]
    assert [each.verb for each in taken] == ["preflight", "plan", "apply", "deploy", "evaluate"]


def test_an_edited_one_is_never_overwritten_and_one_of_another_slipway_is(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    assert write_workflow(workspace, "main").fate == "created"
    file = tmp_path / ".github" / "workflows" / "slipway.yml"
    assert write_workflow(workspace, "main").fate == "unchanged"
    assert write_workflow(workspace, "trunk").fate == "replaced", "as it was written, for another branch"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))  # as Git may give it on Windows
    assert write_workflow(workspace, "trunk").fate == "unchanged"
    edited = file.read_text().replace("retention-days: 30", "retention-days: 5")
    for text in (edited, "name: mine\n", file.read_text().replace("# digest: ", "# digest: 0")):
        assert not is_as_written(text)
        file.write_text(text)
        with pytest.raises(Conflict) as refused:
            write_workflow(workspace, "trunk")
        assert refused.value.code == "WorkflowEdited"
        assert file.read_text() == text


def test_a_project_inside_of_a_repository_has_its_own_beside_others(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    remote = "git@github.com:acme/ships.git"
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    inner = tmp_path / "models" / "My poet"
    inner.mkdir(parents=True)
    made = write_workflow(open_workspace(inner), "main")
    assert made.top == tmp_path
    assert re.fullmatch(r"\.github/workflows/slipway-models-my-poet-[0-9a-f]{8}\.yml", made.file)
    assert made.repository == "acme/ships"
    document = read((tmp_path / made.file).read_text())
    assert document["jobs"]["deploy"]["defaults"]["run"]["working-directory"] == "models/My poet"
    assert document["on"]["push"]["paths"][0] == "models/My poet/infra/**"
    said = json.loads((tmp_path / CREDENTIAL).read_text())
    assert said["subject"] == "repo:acme/ships:environment:slipway"
    assert said["issuer"] == "https://token.actions.githubusercontent.com"
    assert not (inner / ".github").exists()


def test_what_is_to_be_run_in_azure_is_the_same_in_every_shell(tmp_path: Path) -> None:
    """Letters that none of cmd, PowerShell and a POSIX shell reads as its own; the file is where the command looks for it."""
    write_workflow(open_workspace(tmp_path), "main")
    for each in commands("0000-1111", "rg-ships"):
        assert re.fullmatch(r"[A-Za-z0-9 ./_-]+", each), each
        assert shlex.split(each) == each.split()
    named = shlex.split(commands(None, None)[-1])[-1]
    assert set(json.loads((tmp_path / named).read_text())) == {"name", "issuer", "subject", "audiences"}


def test_a_credential_that_was_filled_in_stays(tmp_path: Path) -> None:
    workspace, file = open_workspace(tmp_path), tmp_path / CREDENTIAL
    write_workflow(workspace, "main")
    assert UNKNOWN in file.read_text()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", "https://github.com/acme/ships"], check=True)
    write_workflow(workspace, "main")
    assert "repo:acme/ships:" in file.read_text(), "once it is known it is filled in"
    mine = file.read_text().replace("acme/ships", "acme/boats")
    file.write_text(mine)
    assert write_workflow(workspace, "main").fate == "unchanged"
    assert file.read_text() == mine
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError) as refused:
        write_workflow(workspace, "main")
    assert refused.value.code == "LinkedFile"
    assert not (tmp_path / "elsewhere").exists()


def test_no_project_of_a_repository_gets_another_ones_file(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    files: list[str] = []
    for inner in ("a-b", "a/b", "a b", "a--b", "-"):
        (tmp_path / inner).mkdir(parents=True)
        made = write_workflow(open_workspace(tmp_path / inner), "main")
        files.append(made.file)
        assert made.fate == "created", files
        assert write_workflow(open_workspace(tmp_path / inner), "main").fate == "unchanged"
    assert files[0] == ".github/workflows/slipway-a-b.yml"
    assert len({each.lower() for each in files}) == len(files)


@pytest.mark.parametrize("branch", ["${{ github.token }}", "a*", 'x"]', "", "m\nain"])
def test_what_github_would_read_otherwise_is_no_branch(tmp_path: Path, branch: str) -> None:
    with pytest.raises(WorkspaceError) as refused:
        write_workflow(open_workspace(tmp_path), branch)
    assert refused.value.code == "InvalidName"
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_no_place_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "project" / ".github").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError) as refused:
        write_workflow(open_workspace(tmp_path / "project"), "main")
    assert refused.value.code == "LinkedFile"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("remote", "named"),
    [
        ("https://github.com/acme/ships", "acme/ships"),
        ("https://github.com/acme/ships.git/", "acme/ships"),
        ("ssh://git@github.com/acme/ships.io.git", "acme/ships.io"),
        ("https://example.org/acme/ships", None),
        ("https://github.com/acme", None),
        (None, None),
    ],
)
def test_a_repository_on_github_is_known_by_its_address(remote: str | None, named: str | None) -> None:
    assert repository_of(remote) == named
