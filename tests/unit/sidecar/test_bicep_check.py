"""`slipway bicep check`: what each compiler says, and whether they agree."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.bicep_cli import close_all
from sidecar.core.journal import Journal
from sidecar.decisions.compilers import Compilation, agreement
from sidecar.doors.verbs_bicep import BICEP
from sidecar.gateway.session import settings_from
from sidecar.wire import protocol as wire
from sidecar.words.errors import TemplateError
from sidecar.words.names import BicepWish
from sidecar.words.problems import Problem
from sidecar.words.text import Text
from sidecar.workflows.bicep_action import bicep_check_action
from sidecar.workflows.bicep_check import check
from sidecar.workflows.context import Context
from tests.support.bicep_standin import standin

ROOT = Path(__file__).resolve().parents[3]
RIGHT = "param name string = 'a'\noutput it string = name\n"
WRONG = "param name string = 5\noutput it string = name\n"
OUTSIDE = "type own = string\nparam name own\noutput it string = name\n"


def slipway(folder: Path, *arguments: str, cli: Path | None = None) -> subprocess.CompletedProcess[str]:
    kept = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SLIPWAY_STATE": str(folder / "state"),
        "PYTHONPATH": str(ROOT),
    }
    named = {} if cli is None else {"AZD_BICEP_TOOL_PATH": str(cli)}
    command = [sys.executable, "-m", "sidecar", "bicep", "check", *arguments]
    return subprocess.run(
        command, cwd=folder, env=kept | named, capture_output=True, text=True, timeout=120, check=False
    )


def told(
    folder: Path, text: str, wish: BicepWish = "auto", cli: Path | None = None, *, failed: bool = False
) -> wire.BicepChecked:
    """What the action answers, whose process is this one: the terminal shows it as it is, and as one test shows."""
    (folder / "main.bicep").write_text(text)
    known = {"PATH": "/nowhere", "HOME": str(folder), "SLIPWAY_STATE": str(folder / "state")}
    settings = settings_from(known if cli is None else {**known, "AZD_BICEP_TOOL_PATH": str(cli)})
    params = wire.BicepCheckParams(folder=str(folder), file=str(folder / "main.bicep"), compiler=wish, operation="")
    found = bicep_check_action(params, Context(settings, lambda _: None, threading.Event()))
    assert BICEP["bicep check"].failed(found) is failed
    return found


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One warm process for all of them."""
    yield standin(tmp_path_factory.mktemp("bin"))
    close_all()


def test_both_compilers_take_a_file_and_agree(tmp_path: Path, cli: Path) -> None:
    found = told(tmp_path, RIGHT, cli=cli)
    assert [(each.compiler, each.outcome, each.version) for each in found.compilations] == [
        ("cli", "compiled", "0.49.2"),
        ("own", "compiled", None),
    ]
    assert found.agree is True


def test_both_refuse_a_file_at_the_same_place(tmp_path: Path, cli: Path) -> None:
    found = told(tmp_path, WRONG, cli=cli, failed=True)
    assert found.agree is True
    for each in found.compilations:
        assert [(one.line, one.column) for one in each.problems] == [(1, 21)], each
    shown = slipway(tmp_path, "main.bicep", cli=cli)
    assert f"  error: {tmp_path / 'main.bicep'}:1:21: BCP033: " in shown.stdout
    assert shown.returncode == 1


def test_what_ours_does_not_know_is_judged_by_the_cli_alone(tmp_path: Path, cli: Path) -> None:
    found = told(tmp_path, OUTSIDE, cli=cli)
    assert [each.outcome for each in found.compilations] == ["compiled", "outside"]
    assert found.agree is None
    alone = told(tmp_path, OUTSIDE, failed=True)
    assert [(each.compiler, each.outcome) for each in alone.compilations] == [("own", "outside")]


def test_one_compiler_is_asked_where_it_is_named(tmp_path: Path, cli: Path) -> None:
    assert [each.compiler for each in told(tmp_path, RIGHT, "own", cli).compilations] == ["own"]
    assert [each.compiler for each in told(tmp_path, RIGHT, "cli", cli).compilations] == ["cli"]
    with pytest.raises(TemplateError, match="no Bicep CLI") as error:
        told(tmp_path, RIGHT, "cli")
    assert error.value.code == "BicepCliMissing"


def test_a_cli_that_fails_is_told_beside_ours(tmp_path: Path) -> None:
    found = told(tmp_path, RIGHT, cli=standin(tmp_path / "bin", "dying"), failed=True)
    assert [each.outcome for each in found.compilations] == ["failed", "compiled"]
    assert "ended twice" in found.compilations[0].sentence.message
    assert found.agree is None


def test_a_parameters_file_is_read_and_what_it_states_is_not_told(tmp_path: Path) -> None:
    folder = tmp_path / "infra" / "provision"
    folder.mkdir(parents=True)
    (folder / "inference.bicep").write_text("param a string\n")
    file = folder / "main.bicepparam"
    file.write_text("using 'inference.bicep'\nparam a = readEnvironmentVariable('HOME')\n")
    journal = Journal(None, "", [].append, threading.Event())
    ((judged,), unverified) = check(file, tmp_path, "auto", {"HOME": "/a/home"}, journal)
    assert (judged.compilation.outcome, judged.compilation.problems, unverified) == ("compiled", (), None)
    assert "/a/home" not in str(judged.sentence)
    file.write_text("using 'inference.bicep'\nparam a = readEnvironmentVariable('NOT_SET')\n")
    done = slipway(tmp_path, str(file))
    assert done.returncode == 1
    assert f"error: {file}:2:11: The environment variable NOT_SET is not set." in done.stdout


def test_a_parameters_file_is_judged_by_its_template(tmp_path: Path) -> None:
    folder = tmp_path / "infra" / "provision"
    folder.mkdir(parents=True)
    (folder / "inference.bicep").write_text("param a string\noutput b string = a\n")
    file = folder / "main.bicepparam"
    file.write_text("using 'inference.bicep'\nparam a = 1\nparam b = 'x'\n")
    journal = Journal(None, "", [].append, threading.Event())
    (judged,), _ = check(file, tmp_path, "auto", {}, journal)
    assert judged.compilation.outcome == "refused"
    assert [(each.line, each.column) for each in judged.compilation.problems] == [(2, 11), (3, 7)]
    (folder / "inference.bicep").write_text("type own = string\nparam a own\n")
    (judged,), unverified = check(file, tmp_path, "auto", {}, journal)
    assert judged.compilation.outcome == "compiled"
    assert unverified is not None
    assert str(unverified.sentence).startswith(
        "What the template of main.bicepparam takes is unverified: inference.bicep"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = slipway(tmp_path, "none.bicep")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"There is no {tmp_path / 'none.bicep'}." in done.stderr


PARAMETER = {"parameters": {"a": {"type": "string"}}}
APP = {"type": "Microsoft.App/containerApps", "apiVersion": "2025-07-01"}


@pytest.mark.parametrize(
    ("ours", "theirs", "agree", "word"),
    [
        (PARAMETER, PARAMETER, True, "agree"),
        (PARAMETER, {"parameters": {"a": {"type": "int"}}}, False, "parameters.a"),
        ({}, {"outputs": {"o": {"type": "string", "value": ""}}}, False, "outputs.o"),
        ({"resources": {"app": APP}}, {"resources": [APP]}, True, "agree"),
        ({"resources": {"app": APP, "other": {**APP, "existing": True}}}, {"resources": [APP]}, True, "agree"),
        (
            {"resources": {"app": APP}},
            {"resources": [{**APP, "apiVersion": "2024-03-01"}]},
            False,
            "containerApps@2024-03-01",
        ),
        ({"resources": [APP, APP]}, {"resources": [APP]}, False, "containerApps"),
    ],
)
def test_templates_agree_by_what_they_take_make_and_give(
    ours: dict[str, Any], theirs: dict[str, Any], agree: bool, word: str
) -> None:
    found = agreement(Compilation("compiled", ours, ()), Compilation("compiled", theirs, ()))
    assert found.agree is agree
    assert word in str(found.sentence)


def test_one_that_takes_and_one_that_refuses_disagree() -> None:
    wrong = Problem("/x/main.bicep", "main.bicep", 1, 1, Text("wrong"))
    refused, other = (Compilation("refused", None, (each,)) for each in (wrong, Problem("/x/a", "a", 2, 1, Text("w"))))
    assert agreement(Compilation("compiled", {}, ()), refused).agree is False
    assert agreement(refused, other).agree is False
    assert agreement(refused, refused).agree is True
