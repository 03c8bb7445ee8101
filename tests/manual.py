"""The tables of the extension's page: commands and settings, written from what has them (`npm run fix`)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sidecar.doors.verbs import VERBS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "extension" / "README.md"
PAGES = sorted([ROOT / "README.md", PAGE, *(ROOT / "extension" / "docs").glob("*.md")])
"""What shows calls."""
CATEGORY = "AI Toolkit: "
ONLY_HERE = {
    "Show log": "what the extension and its background process have done",
    "Show system logs": "what the platform tells of the containers (`slipway logs --system`)",
    "Chat with the deployed model": "a tab to try it in: streamed, base beside adapter, with who answered on each answer",
    "Stop following logs": "ends the logs that are followed",
    "Refresh": "reads the state now",
    "Copy endpoint URL": "the address (`slipway snippet --language url`)",
    "Copy as curl": "a call of the model as code, without the key (`slipway snippet`)",
    "Copy as Python": "as above",
    "Copy as JavaScript": "as above",
    "Restart background process": "ends it and starts it again; what was begun in the cloud goes on there",
    "Take the tour on this computer": "from an empty folder to an answer, on the local cloud (`slipway demo`)",
    "Show commands": "these commands in one list",
    "Show Slipway's commands": "these commands in one list",
}
"""Of commands that are no verb of the terminal's."""


def with_tables(page: str) -> str:
    """The page with both tables as they are now."""
    for name, lines in (("commands", _commands()), ("settings", _settings())):
        begin, end = f"<!-- {name}: written by npm run fix -->\n", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        if not found:
            raise ValueError(f"{PAGE.name} has no place for its {name}")
        page = before + begin + "\n".join(lines) + "\n" + end + rest.partition(end)[2]
    return page


def _manifest() -> tuple[dict[str, Any], dict[str, str]]:
    return (
        json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["contributes"],
        json.loads((ROOT / "package.nls.json").read_text(encoding="utf-8")),
    )


def _commands() -> list[str]:
    contributes, words = _manifest()
    verbs = {
        each.title.removeprefix(CATEGORY): (name, each.what) for name, each in VERBS.items() if each.title is not None
    }
    lines = ["| command | in a terminal | what it does |", "|---|---|---|"]
    for command in contributes["commands"]:
        title = words[command["title"].strip("%")]
        verb, what = verbs[title] if title in verbs else ("", ONLY_HERE[title])
        lines.append(f"| *{command['category']}: {title}* | {f'`slipway {verb}`' if verb else ''} | {what} |")
    return lines


def _settings() -> list[str]:
    contributes, words = _manifest()
    lines = ["| setting | default | |", "|---|---|---|"]
    for name, setting in contributes["configuration"]["properties"].items():
        text = words[(setting.get("markdownDescription") or setting["description"]).strip("%")]
        lines.append(f"| `{name}` | `{json.dumps(setting['default'])}` | {text.replace('|', chr(92) + '|')} |")
    return lines


def shown_calls(text: str) -> list[str]:
    """The calls of `slipway` in a page: each is to be one that its parser takes."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`(slipway [^`]+)`", text)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [each for each in [*lines, *inline] if each.startswith("slipway ")]
