"""Deleting what Provision made: listed first, in order, never what this project's record does not name unless it is named."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.journal import Event, Journal
from sidecar.core.workspace import open_workspace, read_config
from sidecar.decisions.upload import record_path
from sidecar.gateway.files import open_share
from sidecar.words.errors import Cancelled, Conflict, SlipwayError
from sidecar.workflows.remove import Removed, plan, remove
from tests.contract.provision.conftest import Project, new_project

APP, ENVIRONMENT = "Microsoft.App/containerApps", "Microsoft.App/managedEnvironments"
ACCOUNT, LOGS = "Microsoft.Storage/storageAccounts", "Microsoft.OperationalInsights/workspaces"


def kinds(found: Removed) -> tuple[list[str], list[str]]:
    return [each.kind for each in found.goes], [each.kind for each in found.stays]


def delete(project: Project, *also: str, name: str | None = None) -> Removed:
    def listen(event: Event) -> None:
        project.hear(event.text)

    given = read_config(project.workspace).ACA_APP_NAME if name is None else name
    return remove(project.workspace, project.session, Journal(None, "t", listen, project.stop), given or "", also)


def config(project: Project) -> dict[str, str | None]:
    return json.loads(project.workspace.config_file.read_text(encoding="utf-8"))


def put_releases(project: Project) -> str:
    """A release as Deploy leaves it; the folder's name."""
    known = read_config(project.workspace)
    folder = f".slipway/{known.ACA_APP_NAME}"
    with open_share(project.place, known.STORAGE_ACCOUNT_NAME or "", known.FILE_SHARE_NAME or "") as share:
        share.make_folders(f"{folder}/releases")
        share.create(f"{folder}/releases/{'0' * 64}", b"bundle")
        share.make_folders("models")
        share.create("models/adapter.bin", b"weights")
        record = record_path("models/mine/adapter")
        share.make_folders(record.rpartition("/")[0])
        share.create(record, b"{}")
    return folder


def on_share(project: Project, folder: str) -> list[str]:
    known = read_config(project.workspace)
    with open_share(project.place, known.STORAGE_ACCOUNT_NAME or "", known.FILE_SHARE_NAME or "") as share:
        return [each.name for each in share.list(folder)]


def test_the_app_goes_and_share_models_and_environment_stay(project: Project, tmp_path: Path) -> None:
    project.provision()
    project.provision()  # which replaces the record of the deployment that has made it all
    put_releases(project)
    listed = plan(project.workspace, project.session, ())
    assert kinds(listed) == (["app"], ["releases", "mount", "environment", "logs", "share", "account"])
    assert all(each.ours for each in (*listed.goes, *listed.stays))
    assert "1 release of the inference code" in [str(each.holds) for each in listed.stays]
    for name in ("", "another", listed.app.upper()):
        with pytest.raises(SlipwayError) as refused:
            delete(project, name=name)
        assert refused.value.code == "NameDiffers"
    thief = tmp_path / "thief" / "infra"
    thief.mkdir(parents=True)
    shutil.copy(project.workspace.config_file, thief)
    (thief / "slipway.json").write_text(json.dumps({"projectId": "another"}))
    with pytest.raises(Conflict):
        plan(open_workspace(thief.parent), project.session, ())
    assert project.names(APP) == [listed.app], "neither a plan nor what was refused changes anything"

    done = delete(project)
    assert done.done
    assert kinds(done) == kinds(listed)
    assert project.names(APP) == []
    assert len(project.names(ENVIRONMENT)) == len(project.names(ACCOUNT)) == 1
    assert on_share(project, "models") == ["adapter.bin"]
    left = config(project)
    assert (left["ACA_APP_NAME"], left["ACA_APP_ENDPOINT"]) == (None, None)
    assert left["FILE_SHARE_NAME"]
    assert left["SUBSCRIPTION_ID"]
    rest = plan(project.workspace, project.session, ())
    assert (rest.app, rest.confirm, rest.goes) == ("", project.group, ())
    assert [each.kind for each in rest.stays] == ["mount", "environment", "logs", "share", "account"]
    project.provision()
    assert len(project.names(APP)) == 1, "Provision makes it anew"


def test_what_stayed_can_go_once_the_app_is_gone(project: Project) -> None:
    project.provision()
    delete(project)
    with pytest.raises(SlipwayError) as refused:
        delete(project, "environment", name="")
    assert refused.value.code == "NameDiffers"
    done = delete(project, "environment", "logs", "account", name=project.group)
    assert kinds(done)[0] == ["mount", "environment", "logs", "share", "account"]
    assert project.names(ENVIRONMENT) == project.names(ACCOUNT) == project.names(LOGS) == []
    with pytest.raises(SlipwayError, match="nothing to delete"):
        plan(project.workspace, project.session, ())


def test_an_app_that_nobody_has_tagged_is_listed_and_goes_by_its_name(project: Project) -> None:
    name = project.provision() and project.names(APP)[0]
    body: Any = {"location": "westus3", "tags": {}}
    project.world.apps.container_apps.begin_update(project.group, name, body).result()
    (app,) = plan(project.workspace, project.session, ()).goes
    assert (app.name, app.ours) == (name, False)
    assert delete(project).done
    assert project.names(APP) == []


def test_what_is_named_goes_too_in_order_and_the_releases_alone_of_the_share(project: Project) -> None:
    project.provision()
    folder = put_releases(project)
    done = delete(project, "environment", "releases", "logs")
    assert kinds(done) == (["app", "releases", "mount", "environment", "logs"], ["share", "account"])
    deleting = [each.split()[2] for each in project.said if each.startswith("Deleting the")]
    assert list(dict.fromkeys(deleting)) == ["app", "releases", "mount", "environment", "logs"]
    assert project.names(ENVIRONMENT) == project.names(LOGS) == []
    assert on_share(project, folder) == []
    assert on_share(project, "models") == ["adapter.bin"]
    last = delete(project, "share", "account", name=project.group)
    assert kinds(last)[0] == ["share", "account"]  # what uploads have written down is no other app's


def test_what_another_project_made_goes_only_when_it_is_named(project: Project, tmp_path: Path) -> None:
    """Environment, share and account are the first project's; the second one only refers to them."""
    project.provision()
    second = new_project(project.world, tmp_path / "second", project.group)
    second.state(acaAppName="second-app")
    second.provision()
    listed = plan(second.workspace, second.session, ())
    assert {each.kind: each.ours for each in (*listed.goes, *listed.stays)} == {
        "app": True,
        "environment": False,
        "mount": False,
        "share": False,
        "account": False,
    }
    with pytest.raises(SlipwayError) as refused:
        delete(second, "share")
    assert refused.value.code == "NotOurs"
    environment = next(each for each in listed.stays if each.kind == "environment")
    assert environment.users == (read_config(project.workspace).ACA_APP_NAME,)
    mount = next(each for each in listed.stays if each.kind == "mount")
    with pytest.raises(SlipwayError, match=f"the {mount.kind} {mount.name} as made by it"):
        delete(second, f"environment:{environment.name}")
    for where, also, user in (
        (
            second,
            [f"mount:{mount.name}", f"environment:{environment.name}"],
            read_config(project.workspace).ACA_APP_NAME,
        ),
        (project, ["share"], "second-app"),
        (project, ["account"], "second-app"),
        (project, ["mount"], "second-app"),
        (project, ["logs"], environment.name),
    ):
        with pytest.raises(SlipwayError, match=f"is used by {user}") as used:
            delete(where, *also)
        assert used.value.code == "InUse"
    assert len(project.names(APP)) == 2, "nothing was deleted before it was refused"

    delete(project)
    delete(second, f"mount:{mount.name}", f"environment:{environment.name}")
    assert project.names(APP) == project.names(ENVIRONMENT) == []
    assert len(project.names(ACCOUNT)) == 1


def test_a_run_that_was_cut_off_is_finished_by_the_next(project: Project) -> None:
    """As after a kill: the app is gone, the configuration names it still."""
    project.provision()
    known = read_config(project.workspace)
    with project.world.apps as client:
        client.container_apps.begin_delete(project.group, known.ACA_APP_NAME).result()
    done = delete(project, "environment", "account", name=known.ACA_APP_NAME)
    assert kinds(done)[0] == ["mount", "environment", "share", "account"], (
        "by the deployment's record, for the app is gone"
    )
    assert project.names(ENVIRONMENT) == project.names(ACCOUNT) == []
    assert [key for key, value in config(project).items() if value is None] == [
        "STORAGE_ACCOUNT_NAME",
        "FILE_SHARE_NAME",
        "ACA_APP_NAME",
        "ACA_APP_ENDPOINT",
    ]


def test_a_cancel_says_what_is_gone_and_what_is_not(project: Project) -> None:
    project.provision()
    stop = threading.Event()
    project.stop = stop
    project.on_said = lambda text: stop.set() if text.startswith("The app") else None
    with pytest.raises(Cancelled) as cancelled:
        delete(project, "environment")
    assert "Gone: app" in str(cancelled.value.message)
    assert "Not yet: mount" in str(cancelled.value.message)
    in_german = {
        "Cancelled. Nothing more is started.": "Abgebrochen.", "app": "App", "mount": "Einbindung", "environment": "Umgebung",
        "{cancelled} Gone: {gone}. Not yet: {left}.": "{cancelled} Weg: {gone}. Noch nicht: {left}.",
    }  # fmt: skip
    told = cancelled.value.message.translated(in_german)
    assert "Weg: App " in told
    assert "Noch nicht: Einbindung " in told
    assert ", Umgebung " in told
    assert told.startswith("Abgebrochen."), "the sentence within is in the language, too"
    assert config(project)["ACA_APP_NAME"], "so that the next run goes on"
    project.stop = threading.Event()
    project.on_said = lambda _: None
    assert kinds(delete(project, "environment"))[0] == ["mount", "environment"]
