"""Which share the code goes to, and names that Azure Files holds to be one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.codefiles import read_tree
from sidecar.core.journal import Event, Journal
from sidecar.core.workspace import Target, target_of
from sidecar.gateway import apps
from sidecar.gateway.files import open_share
from sidecar.workflows.mirror import mirror
from sidecar.workflows.publish import destination
from tests.contract.localcloud.conftest import ROOT
from tests.contract.provision.conftest import Project
from tests.contract.provision.test_existing import account


@pytest.fixture
def journal(project: Project, tmp_path: Path) -> Journal:
    def listen(event: Event) -> None:
        project.hear(event.text)

    return Journal(tmp_path / "journal.jsonl", "test", listen, threading.Event())


def deployed_by(project: Project, *flags: str) -> subprocess.CompletedProcess[str]:
    """*Deploy* as a person's terminal runs it."""
    state = str(project.world.state)
    environ = {**os.environ, "SLIPWAY_LOCAL_STATE": state, "SLIPWAY_STATE": state}
    command = [sys.executable, "-m", "sidecar", "deploy", str(project.workspace.folder), *flags, "--json"]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600, check=False)


def test_the_code_goes_to_the_share_that_the_app_itself_mounts_with_a_word(project: Project, journal: Journal) -> None:
    """The configuration may be older than the app, or somebody else's: what the app reads decides."""
    project.provision()
    stated = target_of(project.workspace)
    other = f"other{project.group}"
    account(project, other)
    project.world.storage.file_shares.create(project.group, other, "elsewhere", {})
    key = project.world.storage.storage_accounts.list_keys(project.group, other).keys_property[0].value
    (environment,) = project.names("Microsoft.App/managedEnvironments")
    azure = {"accountName": other, "accountKey": key, "shareName": "elsewhere", "accessMode": "ReadWrite"}
    project.world.apps.managed_environments_storages.create_or_update(
        project.group, environment, "elsewhere", {"properties": {"azureFile": azure}}
    )
    found = project.world.apps.container_apps.get(project.group, stated.app).as_dict()["properties"]["template"]
    for volume in found["volumes"]:
        volume["storageName"] = "elsewhere"
    changed: Any = {"location": "westus3", "properties": {"template": apps.writable(found)}}
    project.world.apps.container_apps.begin_update(project.group, stated.app, changed).result()

    place = project.place.app(stated.app)
    where = destination(place, apps.app(place), stated, journal)
    assert (where.share.account, where.share.share) == (other, "elsewhere")
    (word,) = [each for each in project.said if "the code goes there" in each]
    assert f"{stated.storage_account}/{stated.file_share}" in word
    assert f"{other}/elsewhere" in word
    project.said.clear()
    agreed: Target = replace(stated, storage_account=other.upper(), file_share="elsewhere")
    assert destination(place, apps.app(place), agreed, journal).share == where.share
    assert project.said == [], "nothing is told where both say the same"


def test_a_deploy_refuses_names_that_differ_in_case_and_asks_before_it_overwrites_what_somebody_else_wrote(
    project: Project,
) -> None:
    project.state(defaultCommands=["cd /mount", "python3 -m inference"])
    project.provision()
    code = project.workspace.folder / "inference"
    code.mkdir(exist_ok=True)
    (code / "__main__.py").write_text("print('one')")
    (code / "Model.py").write_text("one")
    (code / "model.py").write_text("other")
    done = deployed_by(project, "--yes")
    assert done.returncode == 1, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "NamesNotForShare", error
    assert "Model.py (on a share it is the same as model.py)" in error["message"]
    stated = target_of(project.workspace)
    with open_share(project.place, stated.storage_account, stated.file_share) as share:
        assert not share.exists("inference/__main__.py"), "nothing was uploaded"
        (code / "Model.py").unlink()
        share.replace("inference/__main__.py", b"print('theirs')")
        done = deployed_by(project)
        assert share.read("inference/__main__.py") == b"print('theirs')"
        assert not share.exists("inference/model.py"), "nothing goes on without an answer"
    assert done.returncode == 3, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["consent"].startswith("overwrite-share:")
    assert "__main__.py" in error["message"]


def test_a_file_whose_name_changes_its_case_alone_is_there_in_the_new_one(
    project: Project, journal: Journal, tmp_path: Path
) -> None:
    """The share takes both names for one: the deletion of the old name took the new file with it."""
    name = f"case{project.group}"
    account(project, name)
    project.world.storage.file_shares.create(project.group, name, "models", {})
    code = tmp_path / "代码 code"
    code.mkdir()
    (code / "Model.py").write_text("content")
    with open_share(project.place, name, "models") as share:
        mirror(read_tree(code), share, "", journal)
        assert share.read("代码 CODE/MODEL.PY") == b"content", "a share tells no case apart"
        (code / "Model.py").rename(code / "model.py")
        mirror(read_tree(code), share, "", journal)
        assert [each.name for each in share.list("代码 code")] == ["model.py"]
        assert share.read("代码 code/model.py") == b"content"
