"""Who gives an answer of the chat page: a line above it, which the model is not told. Pure."""

import re

FIRST_LINE = re.compile(r"\A(`+) ?[^\n]+? ?\1\n\n")


def spoken(name: str, text: str) -> str:
    """With the name as code, so that nothing in it is read as Markdown."""
    longest = max((len(run) for run in re.findall("`+", name)), default=0)
    ticks, space = "`" * (longest + 1), " " if longest else ""
    return f"{ticks}{space}{name}{space}{ticks}\n\n{text}"


def unspoken(text: str) -> str:
    """What was said, without who said it. An older page's answers have no such line."""
    return FIRST_LINE.sub("", text, count=1)
