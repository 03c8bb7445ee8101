"""The terminal door by itself: the table of verbs, what is printed for people and for programs, what is asked and refused."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic.alias_generators import to_camel

from sidecar.core.choice import Choice, keep_choice
from sidecar.doors import terminal
from sidecar.doors.cli import spoken_verbs
from sidecar.doors.terminal import Terminal
from sidecar.doors.verb import Verb
from sidecar.doors.verbs import VERBS
from sidecar.gateway.credentials import signed_out
from sidecar.wire import protocol as wire
from sidecar.workflows.operating import EVERY_ACTION

ROOT = Path(__file__).resolve().parents[3]
ONLY_IN_VSCODE = {
    "slipway/workspace",
    "slipway/folderHeld",
    "slipway/chat",
    "slipway/chatCode",
    "slipway/chatModels",
    "slipway/evaluationCases",
}
"""A terminal asks the endpoint itself: `snippet` prints how. It evaluates a whole data set."""


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The door as a process, without a terminal and without anybody's sign-in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "SLIPWAY_"))}
    env = {**kept, "HOME": str(folder), "SLIPWAY_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT), **environ}
    command = [sys.executable, "-m", "sidecar", *arguments]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=800, check=False
    )


def test_every_request_of_the_wire_has_its_verb() -> None:
    assert {each.method for each in VERBS.values()} == set(wire.METHODS) - ONLY_IN_VSCODE
    assert set(EVERY_ACTION) == set(wire.METHODS)
    for each in VERBS.values():
        assert each.result is wire.METHODS[each.method].result


def test_a_verb_can_not_be_written_down_half() -> None:
    """What is forgotten fails when the table is read, instead of doing another verb's work: once, that printed the API key."""
    names = [field.name for field in dataclasses.fields(Verb)]
    whole = {name: getattr(VERBS["status"], name) for name in names}
    assert Verb(**whole) == VERBS["status"]
    for name in names:
        with pytest.raises(TypeError, match=name):
            Verb(**{key: value for key, value in whole.items() if key != name})


@pytest.mark.parametrize("verb", ["", "apikey", "demo2", "serve2", "x"])
def test_an_unknown_verb_is_a_usage_error_and_prints_no_key(tmp_path: Path, verb: str) -> None:
    done = run(tmp_path, *([verb] if verb else []))
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage:" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_every_verb(tmp_path: Path, shell: str) -> None:
    done = run(tmp_path, "completion", shell)
    assert done.returncode == 0
    for verb in VERBS:
        assert all(word in done.stdout for word in verb.split())


def test_bash_takes_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(run(tmp_path, "completion", "bash").stdout)
    command = "source completion && complete -p python"
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr


def test_titles_are_those_of_the_palette() -> None:
    titles = json.loads((ROOT / "package.nls.json").read_text(encoding="utf-8"))
    commands = {f"AI Toolkit: {text}" for key, text in titles.items() if key.startswith("command.")}
    assert {each.title for each in VERBS.values() if each.title is not None} <= commands


def test_the_version_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "--version")
    assert re.fullmatch(r"slipway \d+\.\d+\.\d+\n", done.stdout)


def test_not_signed_in_is_one_line_that_names_az_login(tmp_path: Path) -> None:
    done = run(tmp_path, "subscriptions", "--cloud", "azure")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "run az login" in line


def test_a_sign_in_that_was_refused_says_why() -> None:
    """The words of the sign-in service, from the SDK's list of attempts."""
    attempts = (
        "DefaultAzureCredential failed …\n\tEnvironmentCredential: Authentication failed: AADSTS7000215: Invalid …\n"
    )
    assert "AADSTS7000215" in str(signed_out(attempts).message)
    assert "az login" in str(signed_out("\tAzureCliCredential: Azure CLI not found on path").message)


def test_where_nobody_can_be_asked_the_missing_flags_are_named(tmp_path: Path) -> None:
    assert run(tmp_path, "init").returncode == 0
    done = run(tmp_path, "provision")
    assert done.returncode == 2
    assert "--subscription and --group are missing" in done.stderr
    assert "`python -m sidecar subscriptions`" in done.stderr
    (tmp_path / "infra" / "finetuning.config.json").write_text('{"RESOURCE_GROUP_NAME": "g-1"}')
    done = run(tmp_path, "provision", "--subscription", SOMEWHERE)
    assert done.returncode == 2
    assert "--group is missing, and nobody can be asked here; this project has used --group g-1" in done.stderr


SOMEWHERE = "00000000-0000-0000-0000-000000000001"
ELSEWHERE = "00000000-0000-0000-0000-000000000002"


def test_a_flag_goes_before_the_environment_that_before_the_files_and_those_before_the_last_choice(
    tmp_path: Path,
) -> None:
    """Nobody signs in here: only where it would go is told."""
    assert run(tmp_path, "init").returncode == 0
    keep_choice(tmp_path / "state", tmp_path, Choice(SOMEWHERE, "chosen"))

    def told(*flags: str, **environ: str) -> list[str]:
        return run(tmp_path, "provision", "--cloud", "azure", *flags, **environ).stderr.splitlines()

    said = told()
    assert f"  --subscription {SOMEWHERE} (from your last choice)" in said
    assert "  --group chosen (from your last choice)" in said
    stated = {"SUBSCRIPTION_ID": SOMEWHERE, "RESOURCE_GROUP_NAME": "tuned"}
    (tmp_path / "infra" / "finetuning.config.json").write_text(json.dumps(stated))
    assert "  --group tuned (from infra/finetuning.config.json)" in told()
    said = told(AZURE_SUBSCRIPTION_ID=ELSEWHERE, AZURE_RESOURCE_GROUP="azd", SLIPWAY_RESOURCE_GROUP="ours")
    assert f"  --subscription {ELSEWHERE} (from AZURE_SUBSCRIPTION_ID)" in said
    assert "  --group ours (from SLIPWAY_RESOURCE_GROUP)" in said
    (warning,) = [each for each in said if "warning: infra/finetuning.config.json has" in each]
    assert f"--subscription {SOMEWHERE} --group tuned: the model that lies there has to be put" in warning
    said = told("--subscription", SOMEWHERE, "--group", "flag", AZURE_SUBSCRIPTION_ID=ELSEWHERE)
    assert not [each for each in said if "(from " in each]
    assert run(tmp_path, "status", SLIPWAY_CLOUD="nimbus").returncode == 2


def test_an_empty_folder_is_told_what_to_do_first(tmp_path: Path) -> None:
    where = ("--subscription", "00000000-0000-0000-0000-000000000000", "--group", "g")
    done = run(tmp_path, "provision", *where, "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "ProjectFilesMissing"
    assert "`python -m sidecar init`" in error["suggestion"]
    assert list(tmp_path.glob("in*")) == []


def test_nothing_is_made_before_it_is_sure_that_it_is_of_use(tmp_path: Path) -> None:
    done = run(tmp_path, "provision", "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "Usage")
    done = run(tmp_path, "deploy", "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "NotProvisioned")
    assert list(tmp_path.glob("in*")) == []


def test_a_reader_that_leaves_is_no_failure_to_tell(tmp_path: Path) -> None:
    command = f"{sys.executable} -m sidecar init --json | true; exit ${{PIPESTATUS[0]}}"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=800, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is not a folder" in run(tmp_path, "status", "file").stderr


def test_a_folder_without_an_endpoint_says_what_comes_next(tmp_path: Path) -> None:
    done = run(tmp_path, "status")
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["Nothing is provisioned yet.", "  next       `python -m sidecar provision`"]


def test_errors_are_whole_sentences_in_json_too(tmp_path: Path) -> None:
    done = run(tmp_path, "api-key", "--json")
    error = json.loads(done.stdout)["error"]
    assert error["message"].startswith("infra/inference.config.json has no value for SUBSCRIPTION_ID, ")
    assert "{" not in done.stdout.replace('{"error": {', "")


SENTENCE = wire.Sentence(message="{what} is wrong; run AI Toolkit: Deploy for inference.", args={"what": "This"})
STATUS = wire.Status(
    state="ready",
    phase="ready",
    revision="app--1",
    replicas=[wire.Replica(name="app--1-x", state="Running", phase="ready")],
    endpoint="host",
    url="https://host",
    app="app",
    reason=SENTENCE,
    release="0123456789abcdef",
    generation=3,
    base="acme/base",
    adapters=["one"],
    refused=[wire.RefusedAdapter(name="two", reason="is truncated")],
    notes=[SENTENCE],
    failure=True,
    hashes={"one": "abcdef0123456789", "acme/base": "fedcba9876543210"},
    runs_on=wire.RunsOn(device="cuda", gpu="Tesla T4", dtype="float16", weights="nf4", attention="torch"),
    revisions=[
        wire.RevisionLine(name="app--1", state="Running", health="Healthy", replicas=1, serves=True),
        wire.RevisionLine(name="app--2", state="Failed", health="Unhealthy", replicas=0, serves=False),
    ],
    cooldown=300,
    cost=[wire.Sentence(message="unknown: {source}", args={"source": "no list"})],
    looked_at="2026-11-28T20:00:00Z",
)
DEPLOYED = wire.Deployed(
    endpoint="host",
    url="https://host",
    release="0123456789abcdef",
    generation=3,
    code_changed=True,
    verified=True,
    replicas=["app--1-x"],
    base="acme/base",
    adapters=["one"],
    refused=[],
    notes=[],
    problems=[],
    runs_on=wire.RunsOn(device="cpu", gpu=None, dtype="float32", weights="full", attention="dense"),
    strategy="restart",
    form=None,
    pause=None,
)


def test_people_read_sentences() -> None:
    assert terminal.status(STATUS).splitlines() == [
        "app: ready",
        "  endpoint   https://host",
        "  revision   app--1",
        "  release    0123456789ab (generation 3)",
        "  replica    app--1-x  Running",
        "  base       acme/base  fedcba987654",
        "  adapter    one  abcdef012345",
        "  refused    two: is truncated",
        "  runs on    Tesla T4, float16, torch attention, weights in nf4",
        "  also       app--2  Failed, Unhealthy",
        "  cost now   unknown: no list",
        "  reason     This is wrong; run AI Toolkit: Deploy for inference.",
        "  note       This is wrong; run AI Toolkit: Deploy for inference.",
    ]
    assert terminal.deployed(DEPLOYED).splitlines() == [
        "Deployed: the model answers at https://host",
        "  release    0123456789ab (generation 3, code changed)",
        "  base       acme/base",
        "  adapter    one",
        "  replica    app--1-x",
        "  runs on    cpu, float32, dense attention",
    ]
    exchanged = DEPLOYED.model_copy(update={"strategy": "in-place", "form": "beside", "pause": 0.0})
    assert terminal.came_by(exchanged) == "an exchange in its container, beside; no request waited"
    waited = exchanged.model_copy(update={"form": "in turn", "pause": 4.26})
    assert terminal.came_by(waited) == "an exchange in its container, in turn; requests waited for 4.3 s"
    assert (
        terminal.created(wire.Created(created=[], own=[])) == "All project files are already there; none was changed."
    )
    made = wire.Created(created=["infra/a", "inference/b", "inference/c"], own=[])
    assert terminal.created(made) == "Created 3 project files in inference/ and infra/."
    groups = wire.ResourceGroups(resource_groups=[wire.ResourceGroup(name="a", location="westeurope")])
    assert terminal.groups(groups) == "a  westeurope"


def test_programs_read_the_wire_with_its_sentences_filled_in() -> None:
    shown = Terminal(as_json=True, verbs=spoken_verbs("slipway"))
    document = shown.document(STATUS)
    assert document["notes"] == ["This is wrong; run `slipway deploy`."]
    assert document["reason"] == document["notes"][0]
    assert document["refused"] == [{"name": "two", "reason": "is truncated"}]
    assert set(document) == {to_camel(name) for name in wire.Status.model_fields}


def test_a_failure_that_is_shown_is_a_failure_to_programs() -> None:
    assert VERBS["status"].failed(STATUS)
    assert not VERBS["status"].failed(STATUS.model_copy(update={"failure": False}))
    assert not VERBS["deploy"].failed(DEPLOYED)
    assert VERBS["deploy"].failed(DEPLOYED.model_copy(update={"refused": STATUS.refused}))
