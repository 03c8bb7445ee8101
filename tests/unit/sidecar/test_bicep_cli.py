"""The Bicep CLI: found, spoken to both ways, ended when it fails; by the stand-in, and by a real one where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sidecar.core import bicep_cli as cli
from sidecar.core.bicep_cli import BicepCli, Limits
from sidecar.core.bicep_places import bicep_cli, cache
from sidecar.core.compiling import compiled
from sidecar.core.journal import Event, Journal
from sidecar.core.template import load_template
from sidecar.words.errors import Cancelled, TemplateError
from sidecar.words.refused import Refused
from tests.support.bicep_standin import standin, starts

ROOT = Path(__file__).resolve().parents[3]
MISTAKES = "param name string = 5\nparam spare string\noutput one string = missing\n"
WAYS = ("", "sarif only", "real")
REAL = bicep_cli({**os.environ, "SLIPWAY_STATE": "/nowhere"})
"""A real one of this machine. Where there is none, the tests of it are skipped and say so."""


def nobody() -> None:
    """Who does not cancel."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    (folder / "infra").mkdir(parents=True)
    return folder


@pytest.fixture(params=WAYS, scope="module")
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for all tests of a way."""
    if request.param != "real":
        yield standin(tmp_path_factory.mktemp("bin"), request.param)
    elif REAL is None:
        pytest.skip("no real Bicep CLI was found: only the stand-in was asked")
    else:
        yield REAL
    cli.close_all()


def journal(heard: list[Event] | None = None, stop: threading.Event | None = None) -> Journal:
    return Journal(None, "", [].append if heard is None else heard.append, stop or threading.Event())


def write(project: Path, text: str, name: str = "main.bicep") -> Path:
    file = project / "infra" / name
    file.write_text(text)
    return file


def made(project: Path, program: Path, text: str, name: str = "main.bicep"):
    file = write(project, text, name)
    return compiled(file, text, project, {"SLIPWAY_BICEP_PATH": str(program), **base()}, journal())


def base() -> dict[str, str]:
    return {each: os.environ[each] for each in ("PATH", "HOME", "TMPDIR") if each in os.environ}


def refused(project: Path, program: Path, text: str, name: str = "main.bicep") -> Refused:
    with pytest.raises(Refused) as error:
        made(project, program, text, name)
    return error.value


def test_a_file_comes_out_with_its_warnings_and_the_version_is_told(project: Path, program: Path) -> None:
    found = made(project, program, "param spare string = 'a'\noutput it string = 'b'\n")
    assert (found.compiler, found.path) == ("cli", program)
    assert found.version is not None
    assert found.version.count(".") == 2
    assert found.template["outputs"] == {"it": {"type": "string", "value": "b"}}
    (warning,) = found.findings
    assert (warning.code, warning.line, warning.column, warning.kind) == ("no-unused-params", 1, 7, "warning")
    assert warning.file == "infra/main.bicep"


def test_the_first_error_leads_and_warnings_are_apart(project: Path, program: Path) -> None:
    error = refused(project, program, MISTAKES)
    assert str(error).startswith("infra/main.bicep, line 1, column 21: BCP033: ")
    assert str(error).endswith("(And 1 more.)")
    assert str(project) not in str(error)
    told = {(each.path, each.line, each.column, each.certain) for each in error.problems}
    assert told == {
        ("infra/main.bicep", 1, 7, False),
        ("infra/main.bicep", 1, 21, True),
        ("infra/main.bicep", 2, 7, False),
        ("infra/main.bicep", 3, 21, True),
    }
    assert {each.file for each in error.problems} == {str(project / "infra" / "main.bicep")}


def test_a_module_s_mistake_is_told_in_its_own_file(project: Path, program: Path) -> None:
    write(project, "param a string = 5\noutput b string = a\n", "part.bicep")
    error = refused(project, program, "module part 'part.bicep' = {\n  name: 'part'\n}\n")
    assert [(each.path, each.line, each.column) for each in error.problems] == [("infra/part.bicep", 1, 18)]


def test_names_with_blanks_and_other_letters_and_columns_count_as_an_editor_does(project: Path, program: Path) -> None:
    error = refused(project, program, "output it string = '😀${missing}'\n", "näme & co.bicep")
    (problem,) = error.problems
    assert (problem.path, problem.line, problem.column) == ("infra/näme & co.bicep", 1, 25)


def test_a_file_that_is_gone_is_told_in_its_words(project: Path, program: Path) -> None:
    with pytest.raises(TemplateError, match="Could not find file"):
        BicepCli(program, Limits(), base()).compile(project / "none.bicep", nobody)


def test_one_process_answers_for_many_files(project: Path, tmp_path: Path) -> None:
    program = standin(tmp_path / "bin")
    for number in range(3):
        made(project, program, f"output it int = {number}\n")
    assert [arguments for _, arguments in starts(program)] == [["jsonrpc", "--stdio"]]
    (pid,) = [pid for pid, _ in starts(program)]
    assert psutil.pid_exists(pid)
    cli.close_all()
    assert not psutil.pid_exists(pid)


def test_it_ends_with_us(project: Path, tmp_path: Path) -> None:
    program, file = standin(tmp_path / "bin"), write(project, "output it int = 1\n")
    asks = (
        "import os, pathlib, sys\nfrom sidecar.core.bicep_cli import BicepCli, Limits\n"
        f"BicepCli(pathlib.Path({str(program)!r}), Limits(), os.environ).compile(pathlib.Path({str(file)!r}), lambda: None)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", asks], check=False, timeout=60)
    (pid,) = [pid for pid, _ in starts(program)]
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert not psutil.pid_exists(pid)


def test_one_that_dies_is_started_again_once(project: Path, tmp_path: Path) -> None:
    program = standin(tmp_path / "bin", "dying once")
    assert made(project, program, "output it int = 1\n").template["outputs"]
    assert len(starts(program)) == 2
    with pytest.raises(TemplateError, match=r"ended twice .* Couldn't find a valid ICU") as error:
        made(project, standin(tmp_path / "other", "dying"), "output it int = 1\n")
    assert error.value.code == "BicepCliFailed"


def test_one_that_says_what_is_no_message_is_told(project: Path, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"can't be read: .*no header") as error:
        made(project, standin(tmp_path / "bin", "garbled"), "output it int = 1\n")
    assert error.value.code == "BicepCliFailed"


@pytest.mark.parametrize("mode", ["slow", "slow start"])
def test_one_that_does_not_answer_is_ended(mode: str, project: Path, tmp_path: Path) -> None:
    program, file = standin(tmp_path / "bin", mode), write(project, "output it int = 1\n")
    with pytest.raises(TemplateError, match=r"did not answer within \S+ s") as error:
        BicepCli(program, Limits(start=5 if mode == "slow" else 0.5, file=0.5), base()).compile(file, nobody)
    assert error.value.code == "BicepCliSlow"
    assert not any(psutil.pid_exists(pid) for pid, _ in starts(program))


@pytest.mark.parametrize("way", ["rpc", "sarif"])
def test_a_cancel_is_heard_at_once_and_ends_it(way: str, project: Path, tmp_path: Path) -> None:
    program, text, stop = standin(tmp_path / "bin", "slow"), "output it int = 1\n", threading.Event()
    environ = {"SLIPWAY_BICEP_PATH": str(program), **base()}
    spoken = cli.warm(program, environ)
    spoken.version(nobody)
    if way == "sarif":
        spoken._spoken = "sarif", "0.20.0"
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        compiled(write(project, text), text, project, environ, journal(stop=stop))
    assert time.monotonic() - began < 3
    cli.close_all()
    assert not any(psutil.pid_exists(pid) for pid, _ in starts(program))


def test_one_that_is_too_old_is_named_with_the_way_on(project: Path, tmp_path: Path) -> None:
    program = standin(tmp_path / "bin", "too old", "0.4.1")
    with pytest.raises(TemplateError, match=r"version 0\.4\.1, which is too old") as error:
        made(project, program, "output it int = 1\n")
    assert str(program) in str(error.value)
    assert "az bicep upgrade" in str(error.value.suggestion)


def test_another_program_of_that_name_is_told(project: Path, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="is no Bicep CLI, or does not run here: bicep: biceps curl counter"):
        made(project, standin(tmp_path / "bin", "another program"), "output it int = 1\n")


def test_a_file_that_can_not_be_run_is_told(project: Path, tmp_path: Path) -> None:
    program = tmp_path / "bicep"
    program.write_text("no program")
    with pytest.raises(TemplateError, match="could not be run") as error:
        made(project, program, "output it int = 1\n")
    assert error.value.code == "BicepCliFailed"


@pytest.mark.parametrize("mode", ["", "sarif only"])
def test_modules_of_a_registry_are_fetched_with_progress_or_refused_in_its_words(
    mode: str, project: Path, tmp_path: Path
) -> None:
    text = "module app 'br/public:avm/res/app/container-app:0.11.0' = {\n  name: 'a'\n}\noutput it int = 1\n"
    error = refused(project, standin(tmp_path / "bin", mode), text)
    assert "line 1, column 12: BCP192: Unable to restore the artifact" in str(error)
    assert "may read the registry" in str(error.suggestion)
    program, heard = standin(tmp_path / "other", mode, restores=True), list[Event]()
    environ = {"SLIPWAY_BICEP_PATH": str(program), **base()}
    assert compiled(write(project, text), text, project, environ, journal(heard)).template["outputs"]
    assert [str(each.text) for each in heard] == ["The Bicep CLI fetches the modules that main.bicep names…"]


def test_it_is_found_in_order(tmp_path: Path) -> None:
    home, environ = tmp_path / "home", {"HOME": str(tmp_path / "home"), "SLIPWAY_STATE": str(tmp_path / "state")}
    assert bicep_cli(environ) is None
    ours = standin(cache(environ) / "0.9.0")
    assert bicep_cli(environ) == ours
    newer = standin(cache(environ) / "0.40.2")
    assert bicep_cli(environ) == newer
    azd = standin(home / ".azd" / "bin")
    assert bicep_cli(environ) == azd
    az = standin(home / ".azure" / "bin")
    assert bicep_cli(environ) == az
    other = standin(tmp_path / "azure" / "bin")
    assert bicep_cli({**environ, "AZURE_CONFIG_DIR": str(tmp_path / "azure")}) == other
    moved = standin(tmp_path / "azd" / "bin")
    assert (
        bicep_cli({**environ, "AZURE_CONFIG_DIR": str(tmp_path / "none"), "AZD_CONFIG_DIR": str(tmp_path / "azd")})
        == moved
    )
    own = standin(tmp_path / "path")
    on_path = {**environ, "PATH": f".{os.pathsep}{tmp_path / 'path'}"}
    assert bicep_cli(on_path) == own
    named = standin(tmp_path / "named")
    assert bicep_cli({**on_path, "AZD_BICEP_TOOL_PATH": str(named)}) == named
    setting = standin(tmp_path / "setting")
    assert bicep_cli({**on_path, "AZD_BICEP_TOOL_PATH": str(named), "SLIPWAY_BICEP_PATH": str(setting)}) == setting


def test_on_windows_it_is_an_exe_and_another_systems_is_passed_over(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "HOME": "/nowhere", "SLIPWAY_STATE": "/nowhere"}
    exe = standin(tmp_path).rename(tmp_path / "bicep.exe")
    assert (bicep_cli(environ, "linux"), bicep_cli(environ, "win32")) == (None, exe)
    ours = standin(tmp_path)
    assert (bicep_cli(environ, "darwin"), bicep_cli(environ, "win32")) == (ours, exe)


def test_an_unedited_template_starts_none(tmp_path: Path) -> None:
    program, shipped = standin(tmp_path / "bin"), ROOT / "infra" / "provision" / "inference.bicep"
    environ = {"SLIPWAY_BICEP_PATH": str(program), **base()}
    found = load_template(shipped, shipped.with_suffix(".json"), environ)
    assert (str(found.how), starts(program)) == ("The compiled template is up to date.", [])
    edited = tmp_path / "inference.bicep"
    edited.write_text("output it int = 1\n")
    shutil.copy(shipped.with_suffix(".json"), tmp_path)
    assert load_template(edited, edited.with_suffix(".json"), environ).template["outputs"] == {
        "it": {"type": "int", "value": 1}
    }
    assert len(starts(program)) == 1
    cli.close_all()


@pytest.mark.parametrize(
    ("variable", "told"), [("SLIPWAY_BICEP_PATH", "slipway.bicep.path"), ("AZD_BICEP_TOOL_PATH",) * 2]
)
def test_a_named_one_that_is_missing_is_an_error(variable: str, told: str, tmp_path: Path) -> None:
    standin(tmp_path / "path")
    with pytest.raises(TemplateError, match=f"{told} names the Bicep CLI /no/bicep, which is not there") as error:
        bicep_cli({"PATH": str(tmp_path / "path"), variable: "/no/bicep"})
    assert error.value.code == "BicepCliMissing"


def test_what_lies_in_the_folder_of_the_command_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standin(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert bicep_cli({"PATH": f".{os.pathsep}", "HOME": "/nowhere", "SLIPWAY_STATE": "/nowhere"}) is None
