"""Modules, loaded files and configurations beside a Bicep file: read within the workspace, or refused with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.armlang.bicep import compile_file
from sidecar.core.bicep_files import Folder
from sidecar.core.template import load_template
from sidecar.words.errors import SlipwayError, TemplateError
from sidecar.words.refused import Finding, Refused
from tests.support.bicep_corpus import corpus

MODULE = "module m '{}' = {{\n  name: 'm'\n}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace's folder with the Bicep file's in it."""
    (tmp_path / "workspace" / "infra" / "parts").mkdir(parents=True)
    return tmp_path / "workspace" / "infra"


def compiled(folder: Path, source: str) -> Any:
    return compile_file("main.bicep", source, Folder(folder, folder.parent))


def refused(folder: Path, source: str) -> Finding:
    with pytest.raises(Refused) as error:
        compiled(folder, source)
    (finding,) = error.value.findings
    return finding


def test_a_module_becomes_a_nested_deployment_with_its_parameters_and_outputs(folder: Path) -> None:
    (folder / "parts" / "one.bicep").write_text(
        "param a string\n@secure()\nparam b string = ''\noutput c string = a\n@secure()\noutput d string = b\n"
    )
    template = compiled(
        folder,
        "module m 'parts/one.bicep' = [for i in range(0, 2): {\n  name: 'm${i}'\n  params: { a: 'x${i}' }\n}]\n"
        "output first string = m[0].outputs.c\noutput secret string = m[1].outputs.d\n",
    )
    made = template["resources"]["m"]
    assert made["copy"] == {"name": "m", "count": "[length(range(0, 2))]"}
    assert made["properties"]["parameters"] == {"a": {"value": "[format('x{0}', range(0, 2)[copyIndex()])]"}}
    assert made["properties"]["template"]["parameters"]["b"]["type"] == "securestring"
    assert template["outputs"]["first"]["value"] == "[reference(format('m[{0}]', 0)).outputs.c.value]"
    assert template["outputs"]["secret"]["value"].startswith("[listOutputsWithSecureValues(format('m[{0}]', 1), ")


def test_modules_find_each_other_from_where_they_lie(folder: Path) -> None:
    (folder / "parts" / "one.bicep").write_text(MODULE.format("../two.bicep"))
    (folder / "two.bicep").write_text("output a string = loadTextContent('parts/text.txt')\n")
    (folder / "parts" / "text.txt").write_text("[text]")
    inner = compiled(folder, MODULE.format("./parts/one.bicep"))["resources"]["m"]["properties"]["template"]
    two = inner["resources"]["m"]["properties"]["template"]
    assert two["outputs"]["a"]["value"] == "[[text]"


def test_loaded_files_are_put_in_where_they_stand(folder: Path) -> None:
    (folder / "data.json").write_text('{"a": [1, {"b.c": "[x]"}], "d": null}')
    (folder / "text.txt").write_bytes("grüße".encode("utf-16"))
    (folder / "binary").write_bytes(b"\x00\xff")
    template = compiled(
        folder,
        "var whole = loadJsonContent('data.json')\nvar part = loadJsonContent('data.json', '.a[1][\\'b.c\\']')\n"
        "var used = toUpper(loadTextContent('text.txt', 'utf-16'))\nvar name = 'binary'\n"
        "var same = '${loadTextContent('text.txt', 'utf-16')}!'\nvar bytes = loadFileAsBase64(name)\n",
    )
    variables = template["variables"]
    assert variables["whole"] == {"a": [1, {"b.c": "[[x]"}], "d": None}
    assert variables["part"] == "[[x]"
    assert variables["used"] == "[toUpper(variables('$file#0'))]"
    assert variables["same"] == "[format('{0}!', variables('$file#0'))]"
    assert variables["$file#0"] == "grüße"
    assert variables["bytes"] == "AP8="


def test_what_is_missing_in_loaded_json_is_a_mistake(folder: Path) -> None:
    (folder / "data.json").write_text('{"name": "x"}')
    assert refused(folder, "var a = loadJsonContent('data.json').nam").code == "BCP083"
    assert refused(folder, "var a = loadJsonContent('data.json', '.b')").code == "BCP235"


def test_yaml_compiles_to_what_the_same_json_does(folder: Path) -> None:
    (folder / "data").write_bytes((corpus() / "ok" / "data" / "settings.yaml").read_bytes())
    (folder / "same").write_text('{"name": "web", "hosts": ["a.example.org", "b.example.org"]}')
    source = "var all = {0}('{1}')\nvar first = {0}('{1}', '.hosts[0]')\noutput n string = {0}('{1}').name\n"
    made = compiled(folder, source.format("loadYamlContent", "data"))
    assert made == compiled(folder, source.format("loadJsonContent", "same"))
    assert made["variables"]["first"] == "a.example.org"
    assert refused(folder, "var a = loadYamlContent('data').nam").code == "BCP083"
    assert refused(folder, "var a = loadYamlContent('data', '.b')").code == "BCP235"


def test_a_module_s_parameters_are_checked(folder: Path) -> None:
    (folder / "one.bicep").write_text("param a string\nparam b int = 1\n")
    assert refused(folder, MODULE.format("one.bicep")).code == "BCP035"
    body = "module m 'one.bicep' = {{\n  name: 'm'\n  params: {{\n    a: 'x'\n    {}\n  }}\n}}\n"
    for entry, code in (("c: 1", "BCP037"), ("b: 'x'", "BCP036"), ("a: 'y'", "BCP025")):
        with pytest.raises(Refused) as error:
            compiled(folder, body.format(entry))
        assert {(each.code, each.line) for each in error.value.findings} >= {(code, 5)}


def test_mistakes_of_a_module_are_told_with_its_file(folder: Path) -> None:
    (folder / "parts" / "one.bicep").write_text("\nvar a = missing\n")
    found = refused(folder, MODULE.format("parts/one.bicep"))
    assert (found.file, found.line, found.code) == ("parts/one.bicep", 2, "BCP057")


@pytest.mark.parametrize(
    ("path", "code", "word"),
    [
        ("none.bicep", "BCP091", "no such file"),
        ("parts", "BCP091", "a folder"),
        ("../../outside.bicep", "BCP091", "above the workspace"),
        ("/etc/passwd", "BCP051", "absolute"),
        ("C:/x.bicep", "BCP051", "absolute"),
        ("parts\\\\one.bicep", "BCP098", "with /"),
        ("", "BCP050", "empty"),
        ("Parts/One.bicep", "BCP091", "parts"),
        ("link.bicep", "BCP091", "leads out"),
        ("secret.bicep", "BCP091", "Permission"),
        ("utf16.bicep", None, "not UTF-8 (line 1)"),
        ("windows.bicep", None, "not UTF-8 (line 2)"),
        ("large.bicep", "BCP184", "larger"),
    ],
)
def test_a_file_that_can_not_be_read_is_told_where_it_is_named(
    folder: Path, path: str, code: str | None, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent.parent / "outside.bicep").write_text("var a = 1\n")
    (folder / "link.bicep").symlink_to(folder.parent.parent / "outside.bicep")
    (folder / "parts" / "one.bicep").write_text("var a = 1\n")
    (folder / "secret.bicep").write_text("var a = 1\n")
    (folder / "utf16.bicep").write_bytes("var a = 1\n".encode("utf-16"))
    (folder / "windows.bicep").write_bytes("// remark\n// grüße\n".encode("windows-1252"))
    (folder / "large.bicep").write_bytes(b"//" + b"x" * 5_000_000)
    if path == "secret.bicep":  # root reads everything: the system's answer is given by hand
        monkeypatch.setattr(Path, "read_bytes", _denied)
    found = refused(folder, "var before = 1\n" + MODULE.format(path))
    assert (found.code, found.line, found.column) == (code, 2, 10)
    assert word in str(found.message)


def _denied(path: Path) -> bytes:
    raise PermissionError(13, "Permission denied", str(path))


def test_modules_in_a_circle_are_told(folder: Path) -> None:
    (folder / "one.bicep").write_text(MODULE.format("two.bicep"))
    (folder / "two.bicep").write_text(MODULE.format("./parts/../one.bicep"))
    found = refused(folder, MODULE.format("one.bicep"))
    assert (found.file, found.code, found.line) == ("two.bicep", "BCP095", 1)
    (folder / "main.bicep").write_text(MODULE.format("main.bicep"))
    assert refused(folder, MODULE.format("main.bicep")).code == "BCP095"


@pytest.mark.parametrize(
    ("call", "content", "code", "word"),
    [
        ("loadJsonContent", b'{"a": 1,\n', "BCP186", "line 2"),
        ("loadJsonContent", b'{"a": 0.5}', None, "fraction"),
        ("loadJsonContent", b"[" * 100_000, None, "brackets"),
        ("loadJsonContent", b'"' + b"x" * 1_100_000 + b'"', "BCP184", "1048576"),
        ("loadTextContent", b"x" * 131_073, "BCP184", "131072"),
        ("loadTextContent", b"a\n\xff", None, "line 2"),
        ("loadFileAsBase64", b"x" * 98_305, "BCP184", "98304"),
        ("loadYamlContent", b"a: 1\nb: [\n", "BCP340", "line"),
        ("loadYamlContent", b"a: 1\nb: '2'\n", None, "line 2 of data"),
        ("loadYamlContent", b"# " + b"x" * 1_048_577, "BCP184", "1048576"),
    ],
)
def test_a_loaded_file_that_is_malformed_or_too_large_is_told(
    folder: Path, call: str, content: bytes, code: str | None, word: str
) -> None:
    (folder / "data").write_bytes(content)
    found = refused(folder, f"var before = 1\nvar a = {call}('data')\n")
    assert (found.code, found.line, found.file) == (code, 2, "main.bicep")
    assert word in str(found.message)


def test_a_configuration_s_levels_are_honoured_and_what_is_foreign_is_named(tmp_path: Path) -> None:
    bicep = tmp_path / "infra" / "main.bicep"
    bicep.parent.mkdir()
    bicep.write_text("param a string\n#disable-next-line no-unused-params\nparam b string\nvar c = 1\n")
    template = load_template(bicep, bicep.with_suffix(".json"), {}, tmp_path).template
    assert set(template["parameters"]) == {"a", "b"}  # pyright: ignore[reportArgumentType]
    rules = {"no-unused-params": {"level": "error"}, "no-unused-vars": {"level": "warning"}}
    config = tmp_path / "bicepconfig.json"
    config.write_text("// remark\n" + json.dumps({"analyzers": {"core": {"rules": rules}}}))
    with pytest.raises(Refused) as error:
        load_template(bicep, bicep.with_suffix(".json"), {}, tmp_path)
    assert [(each.code, each.line) for each in error.value.findings] == [("no-unused-params", 1)]
    rules["no-hardcoded-location"] = {"level": "error"}
    config.write_text(json.dumps({"analyzers": {"core": {"rules": rules}}}, indent=1))
    with pytest.raises(Refused, match=r"bicepconfig\.json, line \d+.* no-hardcoded-location"):
        load_template(bicep, bicep.with_suffix(".json"), {}, tmp_path)
    config.write_text('{"experimentalFeaturesEnabled": {"testFramework": true}}')
    with pytest.raises(Refused, match="testFramework"):
        load_template(bicep, bicep.with_suffix(".json"), {}, tmp_path)
    config.write_text("{")
    with pytest.raises(TemplateError, match=r"bicepconfig\.json, line 1"):
        load_template(bicep, bicep.with_suffix(".json"), {}, tmp_path)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("param a string\n".encode("utf-16"), "UTF-16"),
        ("param a string\n// grüße".encode("windows-1252"), "line 2"),
        (b"var a = 1\n\0", "line 2"),
        (None, "directory"),
    ],
)
def test_the_bicep_file_itself_may_be_no_text(tmp_path: Path, content: bytes | None, word: str) -> None:
    bicep = tmp_path / "main.bicep"
    if content is None:
        bicep.mkdir()
    else:
        bicep.write_bytes(content)
    with pytest.raises(SlipwayError, match=word) as error:
        load_template(bicep, bicep.with_suffix(".json"), {}, tmp_path)
    assert "main.bicep" in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    bicep = tmp_path / "main.bicep"
    bicep.write_bytes(b"\xef\xbb\xbfvar a = 1\n")
    assert load_template(bicep, bicep.with_suffix(".json"), {}, tmp_path).template["variables"] == {"a": 1}


def test_null_leaves_a_parameter_that_has_a_default_to_it(folder: Path) -> None:
    (folder / "one.bicep").write_text("param a string = 'x'\nparam b string\n")
    body = "module m 'one.bicep' = {{\n  name: 'm'\n  params: {{\n    a: null\n    b: {}\n  }}\n}}\n"
    made = compiled(folder, body.format("'y'"))["resources"]["m"]["properties"]["parameters"]
    assert made == {"a": {"value": None}, "b": {"value": "y"}}
    told = refused(folder, body.format("null"))
    assert (told.code, told.line) == ("BCP036", 5)


def test_an_output_that_could_not_be_read_is_no_second_mistake(folder: Path) -> None:
    (folder / "one.bicep").write_text("output a string[] = ['x']\noutput b string = 'y'\n")
    told = refused(folder, f"{MODULE.format('one.bicep')}output c array = m.outputs.a\n")
    assert (told.file, told.line, told.kind) == ("one.bicep", 1, "outside")


@pytest.mark.parametrize(
    ("name", "code"), [("", "BCP333"), ("x" * 65, "BCP332"), ("a b", "BCP416"), ("a/b", "BCP416"), ("x" * 64, None)]
)
def test_the_name_of_a_module_is_one_that_azure_takes(folder: Path, name: str, code: str | None) -> None:
    (folder / "one.bicep").write_text("")
    source = f"module m 'one.bicep' = {{\n  name: '{name}'\n}}\n"
    if code is None:
        assert compiled(folder, source)["resources"]["m"]["name"] == name
    else:
        told = refused(folder, source)
        assert (told.code, told.line, told.kind) == (code, 2, "mistake")


def test_two_modules_of_one_name_and_scope_are_told(folder: Path) -> None:
    (folder / "one.bicep").write_text("")
    module = "module {} 'one.bicep' = {{\n  name: 'same'\n{}}}\n"
    there = module.format("n", "  scope: resourceGroup('g')\n")
    assert refused(folder, module.format("m", "") + module.format("n", "")).code == "BCP122"
    assert refused(folder, there + there.replace("module n", "module o")).code == "BCP122"
    assert set(compiled(folder, module.format("m", "") + there)["resources"]) == {"m", "n"}
