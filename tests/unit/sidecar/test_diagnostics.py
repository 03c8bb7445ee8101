"""*Collect diagnostics* where there is no app, and where the archive can't be written: told, and never at another file's cost."""

from __future__ import annotations

import json
import threading
import zipfile
from pathlib import Path

import pytest

from sidecar.core.journal import Journal
from sidecar.core.workspace import open_workspace
from sidecar.gateway.session import Session
from sidecar.words.errors import NotSignedIn, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.diagnostics import Collected, collect
from tests.unit.sidecar.test_cli import run

SIX = ("SUBSCRIPTION_ID", "RESOURCE_GROUP_NAME", "STORAGE_ACCOUNT_NAME", "FILE_SHARE_NAME", "ACA_APP_NAME")


def nobody() -> Session:
    raise NotSignedIn(Text("You are not signed in to Azure."))


def collected(folder: Path, file: Path, *, overwrite: bool = False, **journals: Path) -> Collected:
    folder.mkdir(exist_ok=True)
    journal = Journal(None, "", lambda _: None, threading.Event())
    return collect(open_workspace(folder), nobody, journals, file, journal, overwrite=overwrite)


def texts(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_project_that_was_never_provisioned_has_diagnostics_of_what_failed(tmp_path: Path) -> None:
    """A Provision that failed is when they are wanted most."""
    journal = tmp_path / "provision.jsonl"
    journal.write_text(
        '{"step": "deploy", "password": "hunter2hunter2"}\n{"step": "failed", "code": "QuotaExceeded"}\n'
    )
    done = collected(tmp_path / "project", tmp_path / "out.zip", provision=journal)
    found = texts(tmp_path / "out.zip")
    assert set(found) == {"about.json", "inference.config.json", "journal-provision.jsonl", "missing.txt"}
    assert "QuotaExceeded" in found["journal-provision.jsonl"]
    assert "hunter2hunter2" not in found["journal-provision.jsonl"]
    assert json.loads(found["about.json"])["cloud"] is None
    assert "has no value for SUBSCRIPTION_ID" in found["missing.txt"]
    assert [str(each) for each in done.missing] == found["missing.txt"].splitlines()


def test_a_cloud_that_can_not_be_reached_is_one_line_of_what_is_missing(tmp_path: Path) -> None:
    infra = tmp_path / "project" / "infra"
    infra.mkdir(parents=True)
    config = {**dict.fromkeys(SIX, "x"), "ACA_APP_ENDPOINT": "app.example.org"}
    (infra / "inference.config.json").write_text(json.dumps(config))
    done = collected(tmp_path / "project", tmp_path / "out.zip")
    assert [str(each) for each in done.missing] == ["the cloud: You are not signed in to Azure."]
    assert json.loads(texts(tmp_path / "out.zip")["inference.config.json"])["ACA_APP_NAME"] == "x"


def test_a_configuration_and_a_journal_that_can_not_be_read_are_named_and_the_rest_is_there(tmp_path: Path) -> None:
    infra = tmp_path / "project" / "infra"
    infra.mkdir(parents=True)
    (infra / "inference.config.json").write_text("{")
    (tmp_path / "journal").mkdir()
    done = collected(tmp_path / "project", tmp_path / "out.zip", deploy=tmp_path / "journal")
    said = [str(each) for each in done.missing]
    assert any(each.startswith("journal-deploy.jsonl: ") and "can't be read" in each for each in said), said
    assert any(each.startswith("inference.config.json: infra/inference.config.json, line 1") for each in said), said
    assert "about.json" in texts(tmp_path / "out.zip")


def test_a_file_of_that_name_is_kept_unless_the_person_agrees(tmp_path: Path) -> None:
    file = tmp_path / "out.zip"
    file.write_text("mine")
    with pytest.raises(WorkspaceError) as refused:
        collected(tmp_path / "project", file)
    assert (refused.value.code, file.read_text()) == ("FileExists", "mine")
    collected(tmp_path / "project", file, overwrite=True)
    assert "about.json" in texts(file)


@pytest.mark.parametrize(("name", "code"), [("folder", "FileExists"), ("file/out.zip", "NotWritten")])
def test_what_can_not_be_written_is_said_with_what_to_do(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WorkspaceError) as refused:
        collected(tmp_path / "project", tmp_path / name, overwrite=True)
    assert refused.value.code == code
    assert refused.value.suggestion is not None
    assert name.split("/")[0] in str(refused.value)


def test_the_terminal_says_it_in_one_line_and_takes_force(tmp_path: Path) -> None:
    done = run(tmp_path, "diagnostics", str(tmp_path), "--out", str(tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "is a folder" in done.stderr
    file = tmp_path / "out.zip"
    file.write_text("mine")
    kept = run(tmp_path, "diagnostics", str(tmp_path), "--out", str(file))
    assert (kept.returncode, file.read_text()) == (1, "mine")
    assert "--force" in kept.stderr
    forced = run(tmp_path, "diagnostics", str(tmp_path), "--out", str(file), "--force")
    assert forced.returncode == 0, forced.stderr
    assert "about.json" in texts(file)
