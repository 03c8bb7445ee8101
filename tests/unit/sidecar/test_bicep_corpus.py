"""Microsoft's recorded answers to a corpus of Bicep files, compared with this compiler's: equal, or a clear no."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from sidecar.armlang.bicep import compile_file
from sidecar.core.bicep_files import Folder
from sidecar.words.refused import Finding, Refused
from tests.support.bicep_corpus import corpus, function_cases


def compiled(file: Path) -> Any:
    return compile_file(file.name, file.read_bytes().decode("utf-8"), Folder(file.parent, file.parent))


def tried(compile_it: Callable[[], Any]) -> tuple[Any, tuple[Finding, ...]]:
    """The template, or what is wrong."""
    try:
        return compile_it(), ()
    except Refused as refused:
        return None, refused.findings


@cache
def differences() -> Callable[[Any, Any], list[str]]:
    """The corpus's own strict comparison, which evaluates nothing."""
    spec = importlib.util.spec_from_file_location("armtext", corpus() / "armtext.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.static_differences


def test_valid_files_come_out_equal_or_are_refused_by_the_feature_that_is_outside() -> None:
    equal = 0
    files = sorted((corpus() / "ok").glob("*.bicep"))
    for file in files:
        ours, findings = tried(partial(compiled, file))
        assert not any(each.kind == "mistake" for each in findings), (file.name, findings)
        if findings:
            continue
        official = json.loads((corpus() / "golden" / f"{file.stem}.json").read_text(encoding="utf-8"))
        assert differences()(ours, official) == [], file.name
        equal += 1
    assert equal >= 0.8 * len(files)


def test_mistakes_are_told_at_their_line_and_nothing_is_told_elsewhere() -> None:
    official = json.loads((corpus() / "bad-diagnostics.json").read_text(encoding="utf-8"))
    for file in sorted((corpus() / "bad").glob("*.bicep")):
        text = file.read_text(encoding="utf-8")
        named = re.findall(r"module \w+ '([^']+)'", text)
        if not all((file.parent / each).exists() for each in named):
            continue  # the corpus lacks the module that the file is about
        stated = re.search(r"// wrong line: (\d+)(?: \(or ([\d, ]+)\))?", text)
        assert stated is not None, file.name
        lines = {int(each) for each in re.findall(r"\d+", " ".join(filter(None, stated.groups())))}
        told = {each["line"] for each in official[file.name] if each["level"] == "Error"}
        with pytest.raises(Refused) as error:
            compiled(file)
        ours = {each.line for each in error.value.findings}
        assert ours & lines, (file.name, error.value.findings)
        assert ours <= lines | told, (file.name, error.value.findings)


def test_the_toolkit_s_templates_come_out_equal() -> None:
    files = sorted((corpus() / "templates").glob("*.bicep"))
    assert files
    for file in files:
        official = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["template"]
        assert differences()(compiled(file), official) == [], file.name


def test_expressions_come_out_as_the_official_compiler_writes_them_and_mistakes_are_not_taken() -> None:
    folder = Folder(Path.cwd(), Path.cwd())
    for case in function_cases():
        made, findings = tried(partial(compile_file, "case.bicep", f"var it = {case['bicep']}\n", folder))
        refused = "diagnostic" in case and case["arm"] is None
        assert refused == any(each.kind == "mistake" for each in findings), (case, findings)
        if findings:
            continue
        if case["arm"] is not None or case["id"].startswith("literals"):  # none: the official compiler itself failed
            assert made["variables"] == {"it": case["arm"]}, case["id"]
