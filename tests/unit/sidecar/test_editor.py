"""What the editor tells of a project's files, and offers at a place of them: the shipped template, and text as it is typed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.last_read import Doubt, LastRead, keep_last_read, kept_last_read
from sidecar.decisions.editor_findings import Finding
from sidecar.words.text import Text
from sidecar.workflows.editing import Edited, Editing, edited

ROOT = Path(__file__).resolve().parents[3]
T4, A100 = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100"
LAST = LastRead(
    moment="2026-11-29 08:00 UTC",
    location="westus3",
    regions=("westus3", "polandcentral", "swedencentral"),
    profiles={"westus3": (T4, A100, "D4"), "polandcentral": ("D4",), "swedencentral": (T4, A100)},
    gpus={T4: 1, A100: 1},
    quota={T4: (0, 2)},
    names={"storageAccountName": ("aistorage1",)},
    doubts=(Doubt("image", "docker.io/x:1", "Doubtful", Text("{image} is not ours.", image="x"), certain=False),),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    provision = tmp_path / "infra" / "provision"
    provision.mkdir(parents=True)
    for name in ("inference.bicep", "inference.json"):
        (provision / name).write_text(
            (ROOT / "infra" / "provision" / name).read_text(encoding="utf-8"), encoding="utf-8"
        )
    return tmp_path


def editing(folder: Path) -> Editing:
    return Editing(folder / "state", {}, lambda path: None)


def at(folder: Path, *tail: str) -> Edited:
    file = edited(folder.joinpath("infra", *tail))
    assert file is not None
    return file


def parameters(folder: Path) -> Edited:
    return at(folder, "provision", "inference.parameters.json")


def stating(entries: str) -> str:
    return f'{{ "parameters": {{ {entries} }} }}'


def told(folder: Path, text: str) -> list[Finding]:
    return editing(folder).findings(parameters(folder), text)


def mended(text: str, finding: Finding) -> str:
    fix = finding.fixes[0]
    return text[: fix.place.start] + fix.text + text[fix.place.end :]


@pytest.mark.parametrize(
    ("entry", "code", "at_text", "becomes"),
    [
        (
            '"acaAppNam": { "value": "mine" }',
            "InvalidTemplateParameter",
            '"acaAppNam"',
            '"acaAppName": { "value": "mine" }',
        ),
        (
            '"maximumInstanceCount": { "value": "2" }',
            "InvalidParameterValue",
            '"2"',
            '"maximumInstanceCount": { "value": 2 }',
        ),
        ('"createApp": { "value": "true" }', "InvalidParameterValue", '"true"', '"createApp": { "value": true }'),
        ('"cpu": { "value": 8 }', "InvalidParameterValue", "8", '"cpu": { "value": "8" }'),
        ('"location": "westus3"', "InvalidParameter", '"westus3"', '"location": { "value": "westus3" }'),
        ('"location": { "value": "<region>" }', "Placeholder", '"<region>"', '"location": { "value": null }'),
        (
            '"acaAppName": { "value": "My_App" }',
            "InvalidResourceName",
            '"My_App"',
            '"acaAppName": { "value": "my-app" }',
        ),
        (
            '"storageAccountName": { "value": "My-Storage" }',
            "InvalidResourceName",
            '"My-Storage"',
            '"storageAccountName": { "value": "mystorage" }',
        ),
    ],
)
def test_a_mistake_is_told_where_it_stands_and_its_fix_mends_it(
    folder: Path, entry: str, code: str, at_text: str, becomes: str
) -> None:
    text = stating(entry)
    (finding,) = told(folder, text)
    assert (finding.code, text[finding.place.start : finding.place.end], finding.certain) == (code, at_text, True)
    assert mended(text, finding) == stating(becomes)
    assert told(folder, stating(becomes)) == []


def test_also_in_text_that_is_no_json_yet(folder: Path) -> None:
    text = '{ "parameters": { "acaAppNam": { "value": "mine" }, "location": { "value": '
    codes = [each.code for each in told(folder, text)]
    assert codes == ["InvalidTemplateParameter", "InvalidJson"]


def test_the_shipped_files_are_right(folder: Path) -> None:
    here = editing(folder)
    shipped = (ROOT / "infra" / "provision" / "inference.parameters.json").read_text(encoding="utf-8")
    assert here.findings(parameters(folder), shipped) == []
    config = (ROOT / "infra" / "inference.config.json").read_text(encoding="utf-8")
    assert here.findings(at(folder, "inference.config.json"), config) == []
    bicep = (ROOT / "infra" / "provision" / "inference.bicep").read_text(encoding="utf-8")
    assert here.findings(at(folder, "provision", "inference.bicep"), bicep) == []


def test_of_the_bicep_file_the_line_is_told(folder: Path) -> None:
    bicep = (ROOT / "infra" / "provision" / "inference.bicep").read_text(encoding="utf-8")
    broken = bicep.replace("param cpu string", "parm cpu string")
    broken = broken.replace("param memory string = '56Gi'", "param memory string = 56")
    first, second = editing(folder).findings(at(folder, "provision", "inference.bicep"), broken)
    assert broken[first.place.start : first.place.end + 4] == "parm cpu"
    assert (broken[second.place.start : second.place.end], second.code) == ("56", "BCP033")


def test_what_only_warns_is_told_as_that(folder: Path) -> None:
    text = "param spare string\n"
    (finding,) = editing(folder).findings(at(folder, "provision", "inference.bicep"), text)
    assert (finding.code, finding.certain, text[finding.place.start :]) == ("no-unused-params", False, "spare string\n")


def test_what_is_wrong_in_a_module_is_told_with_its_file(folder: Path) -> None:
    (folder / "infra" / "provision" / "part.bicep").write_text("param a strng\n", encoding="utf-8")
    text = "\nmodule part 'part.bicep' = { name: 'p', params: { a: 'x' } }\n"
    (finding,) = editing(folder).findings(at(folder, "provision", "inference.bicep"), text)
    assert str(finding.sentence).startswith("part.bicep, line 1, column 9: strng is no type")


def test_a_parameter_that_only_the_unsaved_bicep_has_is_known(folder: Path) -> None:
    bicep = folder / "infra" / "provision" / "inference.bicep"
    unsaved = bicep.read_text(encoding="utf-8") + "\nparam mine string = 'x'\n"
    here = Editing(folder / "state", {}, lambda path: unsaved if path == bicep else None)
    assert here.findings(parameters(folder), stating('"mine": { "value": "y" }')) == []
    assert [each.code for each in told(folder, stating('"mine": { "value": "y" }'))] == ["InvalidTemplateParameter"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('{"ACA_APP_NAM": "x"}', ["UnknownKey"]),
        ('{"MY_OWN_KEY": "x"}', []),
        ('{"FILE_SHARE_NAME": 3}', ["WorkspaceError"]),
        ('{"FILE_SHARE_NAME": "<share>"}', ["Placeholder"]),
        ('{"SUBSCRIPTION_ID": "my subscription"}', ["InvalidSubscriptionId"]),
        ('{"ACA_APP_NAME": "a", "ACA_APP_NAME": "my-app"}', ["InvalidResourceName", "DuplicateKey"]),
        ("{\n  ...\n}", ["Placeholder"]),
        ("[]", ["InvalidJson"]),
    ],
)
def test_of_the_six_keys_it_tells_the_same_kinds(folder: Path, text: str, codes: list[str]) -> None:
    found = editing(folder).findings(at(folder, "inference.config.json"), text)
    assert sorted(each.code for each in found) == sorted(codes)


def test_a_question_without_a_prompt_is_told_at_the_question(folder: Path) -> None:
    text = '[{"prompt": "Hi"}, {"equals": "x"}]'
    (finding,) = editing(folder).findings(at(folder, "smoke.json"), text)
    assert text[finding.place.start : finding.place.end] == '{"equals": "x"}'


def test_of_an_evaluation_it_tells_what_the_commands_tell_and_mends_names(folder: Path) -> None:
    here, file = editing(folder), at(folder, "evaluation.json")
    text = '{"thresholds": [{"measure": "exact", "bond": 1, "bound": 1}, {"measure": "bleu"}], "gate": "yes"}'
    found = here.findings(file, text)
    assert [text[each.place.start : each.place.end] for each in found] == ['"bond"', '{"measure": "bleu"}', '"yes"']
    assert [[fix.text for fix in each.fixes] for each in found] == [['"bound"'], [], []]
    assert [each.by_schema for each in found] == [True, False, True]


def test_keys_and_words_of_an_evaluation_are_offered(folder: Path) -> None:
    here, file = editing(folder), at(folder, "evaluation.json")
    assert offered(here, file, '{"dataset": "x", |}')[1][:3] == ["models", "against", "measure"]
    keys = offered(here, file, '{"thresholds": [{"measure": "bleu", "bound": 1, |}]}')[1]
    assert keys == ["model", "comparison", "against"]
    assert offered(here, file, '{"thresholds": [{"verdict": |}]}')[1] == ["better", "not worse"]
    assert offered(here, file, '{"gate": |}')[1] == ["true", "false"]
    assert "chrf" in offered(here, file, '{"measure": |}')[1]


def read_before(folder: Path) -> Editing:
    keep_last_read(folder / "state", folder, LAST)
    assert kept_last_read(folder / "state", folder) == LAST
    return editing(folder)


@pytest.mark.parametrize(
    ("entries", "code", "becomes"),
    [
        (
            '"location": { "value": "polandcentral" }',
            "WorkloadProfileTypeNotAvailable",
            '"location": { "value": "westus3" }',
        ),
        (
            '"maximumInstanceCount": { "value": 5 }',
            "MaxRegionalQuotaExceeded",
            '"maximumInstanceCount": { "value": 2 }',
        ),
    ],
)
def test_what_was_last_read_is_told_as_that(folder: Path, entries: str, code: str, becomes: str) -> None:
    here, text = read_before(folder), stating(entries)
    (finding,) = here.findings(parameters(folder), text)
    assert (finding.code, finding.certain) == (code, False)
    assert "2026-11-29 08:00 UTC" in str(finding.sentence)
    assert mended(text, finding) == stating(becomes)
    assert here.findings(parameters(folder), stating(becomes)) == []
    assert told(folder / "another", text) == []


def test_a_doubt_holds_as_long_as_the_value_is_the_one_that_was_judged(folder: Path) -> None:
    here = read_before(folder)
    doubted = here.findings(parameters(folder), stating('"image": { "value": "docker.io/x:1" }'))
    assert [str(each.sentence) for each in doubted] == ["x is not ours. (As read on 2026-11-29 08:00 UTC.)"]
    assert here.findings(parameters(folder), stating('"image": { "value": "docker.io/x:2" }')) == []


def test_what_is_wrong_in_itself_is_told_once(folder: Path) -> None:
    doubt = Doubt("acaAppName", "My_App", "InvalidResourceName", Text("My_App can't be the name."), certain=True)
    keep_last_read(folder / "state", folder, replace(LAST, doubts=(doubt,)))
    found = editing(folder).findings(parameters(folder), stating('"acaAppName": { "value": "My_App" }'))
    assert [each.certain for each in found] == [True]


def offered(here: Editing, file: Edited, text: str) -> tuple[str, list[str]]:
    """What the offers replace, and what they are, at the mark `|`."""
    offset = text.index("|")
    text = text.replace("|", "")
    place, offers = here.offers(file, text, offset)
    return text[place.start : place.end], [each.label for each in offers]


def test_parameters_and_their_values_are_offered(folder: Path) -> None:
    here, file = read_before(folder), parameters(folder)
    replaced, names = offered(here, file, '{ "parameters": { "location": { "value": null }, "sto|')
    assert replaced == '"sto'
    assert "storageAccountName" in names
    assert "location" not in names
    assert offered(here, file, '{"parameters": {"location": {"value": | }}}')[1] == [*LAST.regions, "null"]
    replaced, profiles = offered(here, file, '{"parameters": {"gpuProfileType": {"value": "Cons|"}}}')
    assert replaced == '"Cons"'
    assert profiles[:2] == sorted([T4, A100])
    assert offered(here, file, '{"parameters": {"storageAccountName": {"value": |}}}')[1] == ["aistorage1", "null"]
    assert offered(here, file, '{"parameters": {"createApp": {"value": |}}}')[1] == ["true", "false"]
    assert offered(here, file, '{"parameters": {"createApp": {|}}}')[1] == ["value"]


def test_keys_of_the_other_files_are_offered(folder: Path) -> None:
    here = editing(folder)
    config = at(folder, "inference.config.json")
    assert "ACA_APP_NAME" in offered(here, config, "{|}")[1]
    assert offered(here, config, '{"ACA_APP_NAME": |')[1] == ["null"]
    assert offered(here, at(folder, "smoke.json"), '[{"prompt": "x", |}]')[1] == [
        "model",
        "contains",
        "equals",
        "max_tokens",
    ]


def test_a_key_before_another_one_brings_its_comma(folder: Path) -> None:
    here, file = editing(folder), parameters(folder)
    text = '{"parameters": {"cool "location": {"value": null}}}'.replace("cool ", "cool\n")
    _, offers = here.offers(file, text, text.index("cool") + 4)
    assert (
        next(each.text for each in offers if each.label == "cooldownSeconds")
        == '"cooldownSeconds": { "value": 300$0 },'
    )


def test_an_offered_parameter_makes_a_file_that_is_right(folder: Path) -> None:
    here, file = editing(folder), parameters(folder)
    text = '{"parameters": {}}'
    place, offers = here.offers(file, text, text.index("{}") + 1)
    assert len(offers) > 20
    for each in offers:
        written = text[: place.start] + each.text.replace("$0", "").replace("\\", "") + text[place.end :]
        filled = written.replace('"value":  }', '"value": null }')
        assert json.loads(filled)
        assert here.findings(file, filled) == [], filled


def test_what_a_parameter_is_for_is_said(folder: Path) -> None:
    here = editing(folder)
    text = '{"parameters": {"gpuProfileType": {"value": "x"}}}'
    said = here.said(parameters(folder), text, text.index("gpu"))
    assert said is not None
    assert str(said.parts[0]).startswith("**gpuProfileType** `string` = ")
    assert T4 in str(said.parts[2])
    key = here.said(at(folder, "inference.config.json"), '{"ACA_APP_NAME": "x"}', 3)
    assert key is not None
    assert "serves the model" in str(key.parts[1])


def test_a_file_that_is_too_long_is_told_so(folder: Path) -> None:
    (finding,) = told(folder, "[" * 200_000)
    assert finding.code == "TooLong"
