"""What the editor tells of a parameters file in Bicep's language, as it is typed: by itself, and by its template."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.decisions.editor_findings import Finding
from sidecar.workflows.editing import LENSES, Editing, edited

TEMPLATE = """
param acaAppName string?
param acaEnvironmentName string
param maximumInstanceCount int = 1
@allowed(['T4', 'A100'])
param gpu string = 'T4'
param commands array = []
@secure()
param hubToken string = ''
param apiKey string
param must string
output it array = [acaAppName, acaEnvironmentName, maximumInstanceCount, gpu, commands, hubToken, apiKey, must]
"""
USING = "using 'inference.bicep'\nparam must = 'x'\n"
VAULT = "az.getSecret('11111111-2222-3333-4444-555555555555', 'rg', 'kv', 'key')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "infra" / "provision").mkdir(parents=True)
    (tmp_path / "infra" / "provision" / "inference.bicep").write_text(TEMPLATE, encoding="utf-8")
    return tmp_path


def told(folder: Path, text: str, **environ: str) -> list[Finding]:
    file = edited(folder / "infra" / "provision" / "main.bicepparam")
    assert file is not None
    return Editing(folder / "state", environ, lambda path: None).findings(file, text)


@pytest.mark.parametrize(
    ("line", "code", "at_text", "becomes"),
    [
        ("param acaAppNam = 'mine'", "BCP259", "acaAppNam", "param acaAppName = 'mine'"),
        ("param maximumInstanceCount = '2'", "BCP033", "'2'", "param maximumInstanceCount = 2"),
        ("param maximumInstanceCount = true", "BCP033", "true", None),
        ("param gpu = 'T5'", "BCP033", "'T5'", None),
        ("param commands = 'run'  // one", "BCP033", "'run'", "param commands = ['run']  // one"),
        ("param acaAppName = 'My_App'", "InvalidResourceName", "'My_App'", "param acaAppName = 'my-app'"),
        ("param acaAppName = '${'My'}_App'", "InvalidResourceName", "'${'My'}_App'", None),
        ("param acaAppName = '<your app>'", "Placeholder", "'<your app>'", "param acaAppName = null"),
        ("param acaAppName = missing", "BCP057", "missing", None),
        ("param gpu = readEnvironmentVariable('NO')", "BCP338", "readEnvironmentVariable", None),
        ("extends 'base.bicepparam'", "BicepSubset", "extends", None),
        (f"param acaAppNam = {VAULT}", "BCP259", "acaAppNam", f"param acaAppName = {VAULT}"),
    ],
)
def test_a_mistake_is_told_where_it_stands_and_its_fix_mends_it(
    folder: Path, line: str, code: str, at_text: str, becomes: str | None
) -> None:
    text = f"{USING}{line}\n"
    (finding,) = told(folder, text)
    assert (finding.code, text[finding.place.start : finding.place.end], finding.certain) == (code, at_text, True)
    if becomes is None:
        return
    fix = finding.fixes[0]
    mended = text[: fix.place.start] + fix.text + text[fix.place.end :]
    assert mended == f"{USING}{becomes}\n"
    assert told(folder, mended) == []


def test_all_is_told_at_once_in_its_order_with_what_it_may_have_been_meant_to_be(folder: Path) -> None:
    text = "\nusing 'inference.bicep'\nparam maximumInstanceCount = 'three'\nparam nobodyKnows = 1\nparam acaAppNam = 'a'\n"
    found = told(folder, text)
    assert [each.code for each in found] == ["BCP258", "BCP033", "BCP259", "BCP259"]
    missing = found[0]
    assert text[missing.place.start : missing.place.end] == "'inference.bicep'"
    assert "must" in str(missing.sentence)
    assert "acaEnvironmentName" not in str(missing.sentence), "the documents have a default for it"
    assert "apiKey" not in str(missing.sentence), "Slipway sets it"
    assert str(found[3].sentence) == "The template has no parameter acaAppNam: did you mean acaAppName?"


def test_what_is_read_of_the_environment_is_in_no_sentence(folder: Path) -> None:
    text = f"{USING}param gpu = readEnvironmentVariable('KIND')\nparam acaAppName = readEnvironmentVariable('NAME')\n"
    for kind, name in (("T-of-the-environment", "Name_of_the_environment"), ("T5", "X_")):
        first, second = told(folder, text, KIND=kind, NAME=name)
        assert "‹KIND›" in str(first.sentence)
        assert "‹NAME›" in str(second.sentence)
        assert not [each for each in (first, second) if kind in str(each.sentence) or name in str(each.sentence)]


def test_of_another_template_nothing_is_told_and_of_none_the_name(folder: Path) -> None:
    (folder / "infra" / "provision" / "finetuning.bicep").write_text("param x int\n", encoding="utf-8")
    assert told(folder, "using 'finetuning.bicep'\nparam x = 'a'\n") == []
    (finding,) = told(folder, "using 'inferenc.bicep'\nparam x = 'a'\n")
    assert (finding.code, str(finding.sentence)) == ("BCP091", "There is no inferenc.bicep.")


def test_where_the_template_can_t_be_read_only_the_file_itself_is_judged(folder: Path) -> None:
    (folder / "infra" / "provision" / "inference.bicep").write_text(
        "type own = string\nparam a own\n", encoding="utf-8"
    )
    assert told(folder, f"{USING}param whatever = 1\n") == []
    assert [each.code for each in told(folder, f"{USING}param whatever = nobody\n")] == ["BCP057"]


def test_it_is_known_by_where_it_lies_and_has_its_lenses(folder: Path) -> None:
    kinds = {"infra/main.bicepparam": "bicepparam", "infra/provision/x.bicepparam": "bicepparam", "x.bicepparam": None}
    for name, kind in kinds.items():
        file = edited(folder / name)
        assert (None if file is None else file.kind) == kind
        assert file is None or file.folder == folder
    assert [command for _, command in LENSES["bicepparam"]] == ["slipway.provision", "slipway.preflight"]
