"""What the extension's pages say is what it does: their tables, their calls, their titles and settings."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from sidecar.doors.cli import parser_of
from sidecar.doors.verbs import VERBS
from tests.manual import PAGE, PAGES, ROOT, shown_calls, with_tables
from tests.pictures import PAGES as PICTURED
from tests.pictures import PICTURES

NAMES = [each.relative_to(ROOT).as_posix() for each in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_call_that_a_page_shows_is_one_that_the_parser_takes(page: Path):
    calls = shown_calls(page.read_text(encoding="utf-8"))
    for call in calls:
        for one in call.split("&&"):
            words = [each for each in shlex.split(re.sub(r"\[[^]]*\]", "", one)) if each != "…"][1:]
            if len(words) == 1:  # the verb's name, in a sentence
                assert words[0] in {*VERBS, "demo", "mcp"}, one
            else:
                parser_of("slipway").parse_args(words)


def test_calls_are_found_in_blocks_and_in_lines():
    text = "x\n```\nslipway plan --output plan.json  # look\n```\nand `slipway status`, `az login`\n"
    assert shown_calls(text) == ["slipway plan --output plan.json", "slipway status"]
    with pytest.raises(SystemExit):
        parser_of("slipway").parse_args(["plan", "--no-such-flag"])


@pytest.mark.parametrize("page", PAGES[1:], ids=NAMES[1:])
def test_every_setting_and_page_that_a_page_names_exists(page: Path):
    text = page.read_text(encoding="utf-8")
    known = set(json.loads((ROOT / "package.json").read_text())["contributes"]["configuration"]["properties"])
    named = set(re.findall(r"`(slipway\.[\w.]+)`", text))
    assert named <= known | {"slipway.bicep"}, named - known
    for link in re.findall(r"\]\(([^)#]+\.(?:md|png))\)", text):
        assert (page.parent / link).exists(), link


def test_the_tables_are_as_they_are_written():
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page
    assert "`slipway upload`" in page
    assert with_tables(page.replace("`slipway upload`", "`slipway up`")) == page


def test_each_picture_is_one_that_a_test_takes_and_each_language_shows_it():
    shown = {
        page.name: re.findall(r"^!\[[^]]+\]\((.+)\)$", page.read_text(), re.MULTILINE) for page in PICTURED.glob("*.md")
    }
    assert (
        {name for names in shown.values() for name in names}
        == set(PICTURES)
        == {f.name for f in PICTURED.glob("*.png")}
    )
    for name, (spec, title) in PICTURES.items():
        before = title.partition(" Change it to ")[0]
        assert before in (ROOT / spec).read_text(encoding="utf-8"), title
        pages = [page for page in shown if page.split(".")[0] == name.removesuffix(".png")]
        assert all(shown[page] == [name] for page in pages), pages
