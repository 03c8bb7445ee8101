"""Parameters files in Bicep's language: evaluated as Microsoft does, which one counts, and what of them is shown nowhere."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from sidecar.armlang.bicep_params import parameters_file
from sidecar.core.bicep_files import Folder
from sidecar.core.deployment import (
    GroupFacts,
    Template,
    VaultSecret,
    deployment_name,
    hiding,
    merge_parameters,
    secure_parameters,
)
from sidecar.core.journal import Event, Journal
from sidecar.core.masking import Mask, mask_error
from sidecar.core.parameters import SEVERAL, read_parameters, stated_at
from sidecar.core.scaffold import scaffold
from sidecar.core.workspace import Workspace, open_workspace
from sidecar.wire.message import sentence
from sidecar.wire.plan import PlanMember, PlanPrice, PlanResource
from sidecar.words.errors import WorkspaceError
from sidecar.words.refused import Refused
from sidecar.words.text import Text
from sidecar.workflows.context import without
from sidecar.workflows.resolve import hide_built, refuse_misstated
from tests.support.bicep_corpus import corpus
from tests.support.bicep_text import compile_bicep

HERE = Folder(Path("/nowhere"), Path("/nowhere"))
GROUP = GroupFacts("sub", "tenant", "rg", "/subscriptions/sub/resourceGroups/rg", "westeurope")
USING = "using 'inference.bicep'\n"
VAULT = "az.getSecret('11111111-2222-3333-4444-555555555555', 'rg', 'kv', 'key')"
SECRET = "s3cret-of-the-environment"


def values(source: str, **environ: str) -> dict[str, object]:
    return {each.name: each.value for each in parameters_file("main.bicepparam", USING + source, HERE, environ).stated}


def refused(source: str, **environ: str) -> list[tuple[int, str]]:
    with pytest.raises(Refused) as error:
        parameters_file("main.bicepparam", USING + source, HERE, environ)
    return [(each.line, str(each.message)) for each in error.value.findings]


@pytest.mark.parametrize("name", ["01-plain", "02-expressions", "04-vault", "05-loaded-and-multi-line"])
def test_the_recorded_ones_come_out_equal(name: str) -> None:
    folder = corpus() / "params"
    file = folder / f"{name}.bicepparam"
    made = parameters_file(file.name, file.read_text(encoding="utf-8"), Folder(folder, folder), {})
    ours = {
        each.name: {"reference": each.reference} if each.reference else {"value": each.value} for each in made.stated
    }
    assert (
        ours == json.loads((corpus() / "golden" / "params" / f"{name}.json").read_text(encoding="utf-8"))["parameters"]
    )
    assert made.using in ("base.bicep", "./base.bicep")


def test_variables_of_the_environment_are_read_and_who_read_them_is_known() -> None:
    source = (
        "var prefix = readEnvironmentVariable('PREFIX', 'none')\n"
        "param a = '${prefix}-app'\nparam b = int(readEnvironmentVariable('COUNT'))\nparam c = 'plain'\n"
        "param d = [for n in range(0, 2): '${prefix}${n}']\nparam e = readEnvironmentVariable('EMPTY')\n"
    )
    made = parameters_file("main.bicepparam", USING + source, HERE, {"PREFIX": "acme", "COUNT": "3", "EMPTY": ""})
    assert {each.name: each.value for each in made.stated} == {
        "a": "acme-app",
        "b": 3,
        "c": "plain",
        "d": ["acme0", "acme1"],
        "e": "",
    }
    assert {each.name: each.variables for each in made.stated} == {
        "a": {"PREFIX": "acme"},
        "b": {"COUNT": "3"},
        "c": {},
        "d": {"PREFIX": "acme"},
        "e": {"EMPTY": ""},
    }
    assert values("param a = readEnvironmentVariable('NONE', 'other')\n") == {"a": "other"}


@pytest.mark.parametrize(
    "value",
    [
        "int({})",
        "range(0, int({}))",
        "{{a: 1}}[{}]",
        "parseCidr({})",
        "dateTimeToEpoch({})",
        "dateTimeAdd('2020-01-01T00:00:00Z', {})",
        "dataUriToString(toUpper({}))",
        "fail({})",
    ],
)
def test_what_goes_wrong_with_a_variable_of_the_environment_does_not_tell_what_it_holds(value: str) -> None:
    source = f"var v = readEnvironmentVariable('NAME')\nparam a = {value.format('v')}\n"
    assert refused(source, NAME=SECRET) == [
        (3, "This can't be evaluated with what NAME holds, which is not shown."),
    ]
    assert "x1" in refused("param a = int('x1')\n", NAME=SECRET)[0][1], "what stands in the file is told"


def test_a_variable_that_is_not_set_is_named_with_its_line() -> None:
    source = "param a = 'x'\nvar key = readEnvironmentVariable('MY_KEY')\nparam b = key\n"
    assert refused(source) == [(3, "The environment variable MY_KEY is not set.")]


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("extends 'base.bicepparam'\n", 2, "extends in a parameters file"),
        ("import * as x from 'a.bicep'\n", 2, "import in a parameters file"),
        ("type a = string\n", 2, "type in a parameters file"),
        ("param a = externalInput('x')\n", 2, "externalInput()"),
        ("param a = readCliArg('x')\n", 2, "readCliArg()"),
        ("param a = 'x${" + VAULT + "}'\n", 2, "getSecret"),
        ("var a = " + VAULT + "\nparam b = a\n", 2, "getSecret"),
        ("param a = reference('x').y\n", 2, "only a deployment knows"),
        ("parm a = 'x'\n", 2, "parm begins nothing in a parameters file"),
        ("param a = missing\n", 2, "missing is declared nowhere"),
        ("param a = 'x'\nparam a = 'y'\n", 2, "more than once"),
        ("param a = int('x')\n", 2, "can't be evaluated"),
        ("param a = readEnvironmentVariable(b)\nvar b = 'X'\n", 2, "written out"),
        ("param a string = 'x'\n", 2, "= is expected"),
    ],
)
def test_what_can_not_be_evaluated_is_refused_by_name_and_line(source: str, line: int, word: str) -> None:
    found = refused(source)
    assert found[0][0] == line
    assert word in found[0][1]


def test_a_placeholder_is_refused_as_it_is_in_json(workspace: Workspace) -> None:
    state(workspace, f"{USING}param cpu = '4'\nparam acaAppName = '<your-app>'\n")
    with pytest.raises(WorkspaceError, match=r"main\.bicepparam, line 3: <your-app> is a placeholder") as error:
        read_parameters(workspace, {})
    assert error.value.code == "Placeholder"


def test_a_parameter_without_a_value_is_told_at_the_template_s_path(workspace: Workspace) -> None:
    state(workspace, f"{USING}param acaAppName = 'mine'\n")
    template: Template = {"parameters": {"must": {"type": "string"}, "acaAppName": {"type": "string"}}}
    with pytest.raises(WorkspaceError, match=r"main\.bicepparam, line 1: .*must have no default") as error:
        refuse_misstated(workspace, template, read_parameters(workspace).values)
    assert error.value.code == "ParameterWithoutValue"


def test_a_file_without_using_is_told() -> None:
    with pytest.raises(Refused, match=r"main\.bicepparam, line 1, column 1: .*using 'inference\.bicep'"):
        parameters_file("main.bicepparam", "param a = 1\n", HERE, {})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    folder = tmp_path / "infra" / "provision"
    folder.mkdir(parents=True)
    (folder / "inference.bicep").write_text("param acaAppName string?\n")
    return Workspace(tmp_path.resolve())


def state(workspace: Workspace, text: str, name: str = "infra/provision/main.bicepparam") -> Path:
    file = workspace.folder / name
    file.write_text(text)
    return file


def test_the_one_that_is_there_counts_and_its_places_are_known(workspace: Workspace) -> None:
    file = state(workspace, f"{USING}param acaAppName = 'mine'\nparam location = null\n")
    found = read_parameters(workspace)
    assert (found.values, found.notes) == ({"acaAppName": "mine"}, ())
    place = stated_at(workspace, "acaappname")
    assert place is not None
    assert (place.file, place.shown, place.line, place.column) == (file, "infra/provision/main.bicepparam", 2, 7)
    assert stated_at(workspace, "cpu") is None


def test_two_are_an_error_that_names_both_unless_one_is_named(workspace: Workspace) -> None:
    state(workspace, f"{USING}param acaAppName = 'bicep'\n")
    state(workspace, '{"parameters": {"acaAppName": {"value": "json"}}}', "infra/provision/inference.parameters.json")
    with pytest.raises(WorkspaceError) as error:
        read_parameters(workspace)
    assert error.value.code == SEVERAL
    assert "infra/provision/inference.parameters.json, infra/provision/main.bicepparam" in str(error.value)
    for name, value in (("main.bicepparam", "bicep"), ("inference.parameters.json", "json")):
        named = open_workspace(workspace.folder, f"infra/provision/{name}")
        assert read_parameters(named).values == {"acaAppName": value}
        assert stated_at(named, "acaAppName") is not None
    with pytest.raises(WorkspaceError, match="There is no parameters file"):
        open_workspace(workspace.folder, "none.bicepparam")


def test_one_of_another_template_is_no_second_one_and_is_refused_alone(workspace: Workspace) -> None:
    state(workspace, "using 'finetuning.bicep'\nparam x = 1\n", "infra/provision/finetuning.bicepparam")
    with pytest.raises(
        WorkspaceError, match=r"line 1: .*finetuning\.bicep, but infra/provision/inference\.bicep is deployed"
    ) as error:
        read_parameters(workspace)
    assert error.value.problems[0].line == 1
    state(workspace, '{"parameters": {}}', "infra/provision/inference.parameters.json")
    (note,) = read_parameters(workspace).notes
    assert "finetuning.bicepparam is of another template, and not read" in str(note)


def test_new_project_files_bring_no_second_one(workspace: Workspace, tmp_path: Path) -> None:
    state(workspace, f"{USING}param acaAppName = 'mine'\n")
    assert "infra/provision/inference.parameters.json" not in scaffold(workspace, tmp_path / "state").created
    assert not workspace.parameters_file.exists()


def test_what_is_wrong_in_it_is_told_at_its_place(workspace: Workspace) -> None:
    file = state(workspace, f"{USING}param acaAppName = missing\nparam cpu = readEnvironmentVariable('NO_CPU')\n")
    with pytest.raises(
        WorkspaceError, match=r"infra/provision/main\.bicepparam, line 2: missing is declared nowhere"
    ) as error:
        read_parameters(workspace, {})
    assert [(each.file, each.line) for each in error.value.problems] == [(str(file), 2)]
    state(workspace, f"{USING}param cpu = readEnvironmentVariable('NO_CPU')\n")
    with pytest.raises(WorkspaceError, match=r"main\.bicepparam, line 2: The environment variable NO_CPU is not set"):
        read_parameters(workspace, {})


def test_a_vault_s_secret_is_a_reference_that_nobody_here_reads(workspace: Workspace) -> None:
    state(workspace, f"{USING}param key = {VAULT}\n")
    secret = read_parameters(workspace).values["key"]
    assert isinstance(secret, VaultSecret)
    assert secret.where == "infra/provision/main.bicepparam:2"
    template: dict[str, object] = {"parameters": {"key": {"type": "securestring"}}}
    assert merge_parameters(template, {"key": secret}, {}) == {"key": {"reference": dict(secret.reference)}}


def test_what_is_made_of_the_environment_is_in_no_name_and_secret_for_arm(workspace: Workspace) -> None:
    state(
        workspace,
        f"{USING}param note = readEnvironmentVariable('NOTE')\nparam count = int(readEnvironmentVariable('N'))\n",
    )
    found = read_parameters(workspace, {"NOTE": SECRET, "N": "7"})
    assert found.values == {"note": SECRET, "count": 7}
    assert SECRET not in repr(found.notes)
    template: dict[str, object] = {
        "parameters": {"note": {"type": "string"}, "count": {"type": "int"}, "other": {"type": "string"}}
    }
    made = hiding(template, found.hidden)
    assert secure_parameters(made) == {"note", "count"}
    assert made["parameters"]["note"]["type"] == "securestring"  # type: ignore[index]
    names = {
        deployment_name(made, merge_parameters(made, {"note": note, "count": n}, {}), "/scope", "project")
        for note, n in ((SECRET, 7), ("another", 8))
    }
    assert len(names) == 1


def test_a_mask_takes_values_out_of_sentences_failures_and_documents() -> None:
    mask = Mask({"note": {"NOTE": SECRET, "SHORT": "abc"}}, {"note": f"{SECRET}-and-more"})
    heard: list[Event] = []
    journal = Journal(None, "", heard.append, threading.Event())
    journal.mask = mask
    journal.log(Text("The image changes to {image}.", image=Text("{name}", name=f"x{SECRET}-and-more")))
    journal.progress(Text("abc {x}", x="abc"))
    assert [str(each.text) for each in heard] == ["The image changes to x‹NOTE›.", "abc ‹SHORT›"]
    error = WorkspaceError(Text("no {value}", value=SECRET), Text("not {value}", value=SECRET), detail=f"({SECRET})")
    mask_error(error, mask)
    assert SECRET not in f"{error}{error.message}{error.suggestion}{error.detail}"
    quoted = Mask({"p": {"Q": 'a "quoted" ü'}}, {})
    assert quoted.document({"v": ['a "quoted" ü', 1]}) == {"v": ["‹Q›", 1]}


def test_a_short_value_is_masked_where_it_is_a_word_of_its_own() -> None:
    mask = Mask({"p": {"ENV": "dev", "N": "7", "EMPTY": ""}}, {"p": ["eu"]})
    shown = [
        "dev",
        "a developer",
        "stage=dev, app-dev_1",
        "is 'dev', `dev`, \"dev\"",
        '["kind","dev","eu"]',
        "7",
        "17",
        "",
    ]
    assert [mask.said(each) for each in shown] == [
        "‹ENV›",
        "a developer",
        "stage=‹ENV›, app-‹ENV›_1",
        "is '‹ENV›', `‹ENV›`, \"‹ENV›\"",
        '["kind","‹ENV›","‹ENV›"]',
        "‹N›",
        "17",
        "",
    ]
    assert str(mask.text(Text("{a} of {b}: dev", a="dev", b=Text("{n}", n=7)))) == "‹ENV› of ‹N›: dev"
    assert mask.document({"cpu": 7, "on": True, "none": None, "dev": [17]}) == {
        "cpu": "‹N›",
        "on": True,
        "none": None,
        "‹ENV›": [17],
    }
    mask.learn("dev", "tst")
    assert mask.said("tst") == "‹ENV›"
    assert bool(Mask({"p": {"ENV": "dev"}}, {}))


def test_what_the_template_makes_of_a_short_value_is_masked_in_the_middle_of_a_word_too() -> None:
    source = """
param stage string
param count int
param pair object
var short = take(stage, 2)
resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: 'st${stage}models', location: 'x', kind: 'StorageV2', tags: { of: 'x${toUpper(pair.a)}y', cut: '${short}zz', same: 'k' }
}
resource many 'Microsoft.Storage/storageAccounts@2023-05-01' = [for n in range(0, 1): {
  name: 'n${stage}${n}', location: uniqueString(stage), kind: 'a${count}b'
}]
"""
    template: Template = dict(compile_bicep(source))
    hidden = {"stage": {"STAGE": "dev"}, "count": {"N": "7"}, "pair": {"PAIR": "q"}}
    values: dict[str, object] = {"stage": "dev", "count": 7, "pair": {"a": "q"}}
    mask = Mask(hidden, values)
    hide_built(mask, template, merge_parameters(template, values, {}), hidden, GROUP)
    made = ["stdevmodels", "xQy", "dezz", "ndev0", "k", "a developer"]
    assert [mask.said(each) for each in made] == [
        "st‹STAGE›models",
        "x‹PAIR›y",
        "‹Szz",
        "n‹STAGE›0",
        "k",
        "a developer",
    ]


def test_words_of_a_message_that_are_nobody_s_values_stay_what_they_are() -> None:
    """A variable may hold what is also a name of ours, or a number of the plan."""
    journal = Journal(None, "", lambda _: None, threading.Event())
    journal.mask = Mask({"p": {"KIND": "update", "DIGITS": "1024", "NAME": "message", "X": "app"}}, {})
    line = PlanResource(
        kind="app",
        name="update",
        action="update",
        members=[PlanMember(path="size", before="1024", after="app")],
        foreseen=False,
    )
    told = without(line, journal)
    assert (told.kind, told.name, told.action, told.foreseen) == ("‹X›", "‹KIND›", "update", False)
    assert (told.members[0].before, told.members[0].after) == ("‹DIGITS›", "‹X›")
    price = PlanPrice(
        awake=1024.0,
        asleep=None,
        month=None,
        replicas=1024,
        start=None,
        start_seconds=1,
        start_why=sentence(Text("in {size}", size=1024)),
        currency="EUR",
        source=sentence(Text("{list}", list=Text("{x}", x="app"))),
        note=None,
    )
    left = without(price, journal)
    assert (left.awake, left.replicas, left.start_why.args) == (1024.0, 1024, {"size": "‹DIGITS›"})
    assert PlanPrice.model_validate_json(left.model_dump_json(by_alias=True)) == left
    assert "app" not in left.model_dump_json()
