"""The terminal door with a person at it: what it asks, what Enter takes, and what Ctrl-C leaves."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from .conftest import ROOT, Home, Place, delete_apps
from .dialogue import Dialogue


def slipway(home: Home, folder: Path, *arguments: str) -> Dialogue:
    environ = {**home.environ, "PYTHONPATH": str(ROOT)}
    return Dialogue([sys.executable, "-m", "sidecar", *arguments], folder, environ)


def test_provision_from_an_empty_folder_asks_as_vs_code_does(home: Home, tmp_path: Path) -> None:
    with slipway(home, tmp_path, "provision", "--cloud", "local") as person:
        person.expect("Create them? [Y/n] ")
        person.type("")
        person.expect("project files in inference/ and infra/.")
        listed = person.expect("Number [1]: ")
        assert "Select the subscription to provision in" in listed
        assert "*  1  Local cloud  runs on this machine: no account, no GPU, no cost" in listed
        person.type("")
        person.expect("Select the resource group to provision in")
        person.expect("Create new…")
        person.expect(": ")
        for wrong in ("99", "²", "no such group"):
            person.type(wrong)
            person.expect("Give a number from 1 to")
        person.type("create new…")
        person.expect(f"Name of the new resource group [rg-{tmp_path.name}]: ")
        person.type("ends with a dot.")
        person.expect("without a dot at the end.")
        person.type("asked")
        person.expect("Sweden Central")
        person.expect("Number [1]: ")
        person.type("swedencentral")
        shown = person.expect("Apply this plan? [y/N] ", 240)
        assert "# Plan for inference" in shown
        assert "infra/slipway.json" in shown
        person.type("y")
        person.expect("Provisioned. The endpoint will be http://", 120)
        person.expect("next       `python -m sidecar deploy`")
        assert person.ended() == 0
    config = json.loads((tmp_path / "infra" / "inference.config.json").read_text())
    assert config["RESOURCE_GROUP_NAME"] == "asked"
    project = hashlib.sha256(str(tmp_path.resolve()).encode()).hexdigest()[:16]
    journal = home.settings.state / "journals" / f"{project}-deploy.jsonl"
    journal.write_text(json.dumps({"time": 1.0, "operation": "killed", "pid": 0, "step": "switch"}) + "\n")
    assert [each["kind"] for each in home.cli("interrupted", str(tmp_path))["interrupted"]] == ["deploy"]
    with slipway(home, tmp_path, "delete") as person:
        listed = person.expect(f"Write {config['ACA_APP_NAME']} to delete this: ")
        assert f"goes       app {config['ACA_APP_NAME']}" in listed
        assert f"stays      share {config['FILE_SHARE_NAME']} (every base model" in listed
        person.type(config["ACA_APP_NAME"])
        person.expect(f"Deleted: {config['ACA_APP_NAME']}", 240)
        assert person.ended() == 0
    left = json.loads((tmp_path / "infra" / "inference.config.json").read_text())
    assert (left["ACA_APP_NAME"], left["FILE_SHARE_NAME"]) == (None, config["FILE_SHARE_NAME"])
    assert home.cli("interrupted", str(tmp_path))["interrupted"] == [], (
        "nobody goes on with a release of an app that is gone"
    )


def test_fine_tunings_place_is_preselected_and_enter_takes_it(home: Home, tmp_path: Path) -> None:
    subscription = home.cli("subscriptions", "--cloud", "local")["subscriptions"][0]["id"]
    home.cli("create-group", "--subscription", subscription, "--name", "tuned", "--location", "westeurope")
    home.cli("init", str(tmp_path))
    known = {"SUBSCRIPTION_ID": subscription, "RESOURCE_GROUP_NAME": "TUNED"}
    (tmp_path / "infra" / "finetuning.config.json").write_text(json.dumps(known))
    with slipway(home, tmp_path, "provision", "--cloud", "local") as person:
        assert "(used by this project)" in person.expect("Number [")
        person.type("")
        listed = person.expect("Number [")
        (line,) = [each for each in listed.splitlines() if each.startswith("*")]
        assert "tuned" in line
        assert "(used by this project)" in line
        person.type("")
        person.expect("Apply this plan? [y/N] ", 240)
        person.type("")
        person.expect("Cancelled. Nothing was changed.")
        assert person.ended() == 130
    assert json.loads((tmp_path / "infra" / "inference.config.json").read_text())["ACA_APP_NAME"] is None
    with slipway(home, tmp_path, "provision", "--cloud", "local") as person:
        for question in ("Number [", "Number ["):
            person.expect(question)
            person.type("")
        person.expect("Apply this plan? [y/N] ", 240)
        person.type("y")
        person.expect("Provisioned.", 120)
        assert person.ended() == 0
    config = json.loads((tmp_path / "infra" / "inference.config.json").read_text())
    assert config["RESOURCE_GROUP_NAME"] == "tuned"
    delete_apps(Place(home, tmp_path, subscription, "tuned"))


def test_ctrl_c_at_a_question_ends_at_once_and_changes_nothing(home: Home, tmp_path: Path) -> None:
    with slipway(home, tmp_path, "provision", "--cloud", "local") as person:
        person.expect("Create them? [Y/n] ")
        person.press_ctrl_c()
        person.expect("Cancelled. Nothing more is started. [Cancelled]", 240)
        assert person.ended(240) == 130
    assert list(tmp_path.iterdir()) == []


def test_a_subscription_may_be_given_by_its_name(home: Home) -> None:
    listed = home.cli("groups", "--subscription", "local CLOUD", "--cloud", "local")
    subscription = home.cli("subscriptions", "--cloud", "local")["subscriptions"][0]["id"]
    assert listed == home.cli("groups", "--subscription", subscription)


def test_ctrl_c_between_two_questions_asks_nothing_more(own_home: Home, tmp_path: Path) -> None:
    """While the local cloud starts, nobody is asked; the press is heard when it has."""
    own_home.cli("init", str(tmp_path))
    with slipway(own_home, tmp_path, "provision", "--cloud", "local") as person:
        person.expect("Starting the local cloud…")
        person.press_ctrl_c()
        person.expect("Cancelled. Nothing more is started.", 240)
        assert person.ended(240) == 130
    assert "Select the subscription" not in person.shown


def test_an_unknown_subscription_is_said_with_those_that_there_are(home: Home, tmp_path: Path) -> None:
    for name in ("nosuch", "my-dev-sub-west-1"):
        process = home.start("groups", "--subscription", name, "--cloud", "local", "--json")
        out, err = process.communicate(timeout=600)
        assert process.returncode == 2
        assert f"no subscription is called {name}; there: Local cloud" in err
        assert json.loads(out)["error"]["code"] == "Usage"


def test_of_several_apps_that_no_output_tells_apart_the_person_says_which_one(home: Home, tmp_path: Path) -> None:
    subscription = home.cli("subscriptions", "--cloud", "local")["subscriptions"][0]["id"]
    home.cli("create-group", "--subscription", subscription, "--name", "several", "--location", "westeurope")
    home.cli("init", str(tmp_path))
    template = tmp_path / "infra" / "provision" / "inference.bicep"
    source = template.read_text().replace(
        "output ACA_APP_NAME string = appName", "output ACA_APP_NAME string = 'third'"
    )
    spare = "{ name: 'spare', location: 'westeurope', properties: { environmentId: environment.id } }"
    template.write_text(f"{source}\nresource spare 'Microsoft.App/containerApps@2025-07-01' = {spare}\n")
    where = ("--cloud", "local", "--subscription", subscription, "--group", "several")
    with slipway(home, tmp_path, "provision", *where) as person:
        listed = person.expect("Number: ")
        assert "Which container app is the endpoint?" in listed
        (first, second) = [line.split()[1] for line in listed.splitlines() if line.split()[:1] in (["1"], ["2"])]
        assert first.startswith("aiacaapp"), listed
        assert second == "spare"
        person.type("third")
        person.expect("Give a number from 1 to 2")
        person.type("2")
        person.expect("Apply this plan? [y/N] ")
        person.type("")
        assert person.ended() == 130
    done = home.start("provision", *where, str(tmp_path), "--json", "--yes")  # as in CI: nobody is there to be asked
    out, err = done.communicate(timeout=600)
    assert done.returncode != 0
    error = json.loads(out)["error"]
    assert (error["code"], error["detail"]) == ("SeveralApps", f"{first}\nspare"), err
