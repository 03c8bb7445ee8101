"""Corpus files with something in them changed by chance, from a seed: what a slip, a bad merge or a hostile hand makes of one."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.bicep_corpus import corpus

_TOKEN = re.compile(r"'''|\w+|\s+|.", re.DOTALL)
_INSERTED = (
    *(
        "'",
        "'''",
        "${",
        "}",
        "{",
        "[",
        "]",
        "(",
        ")",
        "@",
        "#",
        "//",
        "/*",
        "*/",
        "\\",
        "::",
        ".?",
        "!",
        "!!",
        "??",
        "=>",
        "...",
    ),
    *(
        "\0",
        "\r",
        "\r\n",
        "\n",
        "\ufeff",
        "\u2028",
        "\u00a0",
        "é",
        "😀",
        "\t",
        '"',
        ";",
        ",",
        "=",
        "==",
        "=~",
        "-",
        "%",
        "0x1F",
    ),
    *(
        "for",
        "in",
        "if",
        "existing",
        "param",
        "var",
        "null",
        "any(",
        "reference(",
        "listKeys(",
        "loadTextContent('",
        "module ",
    ),
    *(
        "99999999999999999999",
        "-9223372036854775808",
        "1.5",
        "'[",
        "[[",
        "'\\u{110000}'",
        "@batchSize(0)\n",
        "resourceGroup()",
    ),
)


def sources() -> list[Path]:
    folders = ("ok", "bad", "templates", "ok/modules")
    return [file for folder in folders for file in sorted((corpus() / folder).glob("*.bicep"))]


def mutations(number: int, seed: int) -> Iterator[tuple[Path, str]]:
    """(the file that it was, its text now), the same for the same seed."""
    files = [(file, file.read_bytes().decode("utf-8")) for file in sources()]
    chance = random.Random(seed)
    for _ in range(number):
        file, text = chance.choice(files)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            text = _changed(text, chance, chance.choice(files)[1])
        yield file, text


def _changed(text: str, chance: random.Random, other: str) -> str:
    tokens = _TOKEN.findall(text) or [""]
    at = chance.randrange(len(tokens))
    match chance.randrange(9):
        case 0:
            del tokens[at]
        case 1:
            tokens.insert(at, tokens[at])
        case 2:
            tokens.insert(at, chance.choice(_INSERTED))
        case 3:
            tokens[at] = chance.choice(_INSERTED)
        case 4:
            tokens[at] = chance.choice(tokens)
        case 5:
            return text[: chance.randrange(len(text) + 1)]
        case 6:
            lines = text.splitlines(keepends=True) or [""]
            chance.shuffle(lines)
            return "".join(lines)
        case 7:
            lines, others = text.splitlines(keepends=True), other.splitlines(keepends=True)
            start = chance.randrange(len(others) + 1)
            place = chance.randrange(len(lines) + 1)
            return "".join([*lines[:place], *others[start : start + 6], *lines[place:]])
        case _:
            end = min(len(tokens), at + chance.randrange(1, 12))
            tokens[at:end] = tokens[at:end] * chance.choice((2, 3, 40))
    return "".join(tokens)
