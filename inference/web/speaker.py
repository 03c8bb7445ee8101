"""What the chat page shows and no model is told: who gives an answer, and that there was none. Pure."""

import re
from typing import Any

FIRST_LINE = re.compile(r"\A(`+) ?[^\n]+? ?\1\n\n")

UNANSWERED = "*Ended without an answer.*"


def spoken(name: str, text: str) -> str:
    """With the name as code, so that nothing in it is read as Markdown."""
    longest = max((len(run) for run in re.findall("`+", name)), default=0)
    ticks, space = "`" * (longest + 1), " " if longest else ""
    return f"{ticks}{space}{name}{space}{ticks}\n\n{text}"


def unspoken(text: str) -> str:
    """What was said, without who said it. An older page's answers have no such line."""
    return FIRST_LINE.sub("", text, count=1)


def answered(turns: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Of what was said, by role, what a model is told: no question that nobody answered, which would leave two in a row, and no
    line of who answered."""
    told: list[dict[str, Any]] = []
    for role, text in turns:
        if role != "assistant":
            told.append({"role": role, "content": text})
        elif text != UNANSWERED:
            told.append({"role": role, "content": unspoken(text)})
        elif told and told[-1]["role"] == "user":
            told.pop()
    return told
