"""What Microsoft's Bicep CLI says, read: its version, the frames of its JSON-RPC, and its diagnostics in both forms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

Level = Literal["error", "warning", "info"]

MOST = 64 * 1_048_576
"""Bytes of one message: templates of large files are some megabytes."""
_LONGEST_LINE = 8_192
_VERSION = re.compile(r"\bBicep CLI version (\d+\.\d+\.\d+)")
_LINK = re.compile(r" \[https://\S+\]$")


class GarbledError(Exception):
    """What came is no message."""


@dataclass(frozen=True)
class Diagnostic:
    """`file`: the whole path. `line`, `column`: from 1, in UTF-16 units, as an editor counts them."""

    file: str
    line: int
    column: int
    level: Level
    code: str
    message: str
    length: int = 1


def version_in(said: str) -> str | None:
    """The version of `bicep --version`; None: another program speaks."""
    found = _VERSION.search(said)
    return found[1] if found else None


def framed(message: Mapping[str, object]) -> bytes:
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def next_message(stream: BinaryIO) -> dict[str, object] | None:
    """None at the end. Raises GarbledError."""
    length: int | None = None
    began = False
    while True:
        line = stream.readline(_LONGEST_LINE)
        if not line:
            if began:
                raise GarbledError("the end of a message is missing")
            return None
        began = True
        if line == b"\r\n":
            break
        name, _, value = line.partition(b":")
        if not _ or not line.endswith(b"\r\n"):
            raise GarbledError(f"no header: {line[:80].decode(errors='replace')!r}")
        if name.strip().lower() == b"content-length":
            length = int(value) if value.strip().isdigit() else None
    if length is None or length > MOST:
        raise GarbledError("the length of a message is missing, or too large")
    body = stream.read(length)
    if len(body) < length:
        raise GarbledError("the end of a message is missing")
    try:
        message: object = json.loads(body)
    except ValueError as error:
        raise GarbledError("a message is no JSON") from error
    if not isinstance(message, dict):
        raise GarbledError("a message is no object")
    return cast("dict[str, object]", message)


def of_answer(told: object) -> list[Diagnostic]:
    """`diagnostics` of an answer: lines and characters count from 0. Raises GarbledError."""
    try:
        return [_of_answer(each) for each in cast("Sequence[Mapping[str, object]]", told)]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise GarbledError("its diagnostics have another form") from error


def _of_answer(each: Mapping[str, object]) -> Diagnostic:
    at = cast("Mapping[str, Mapping[str, int]]", each["range"])
    start, end = at["start"], at["end"]
    length = end["char"] - start["char"] if end["line"] == start["line"] else 1
    level = _level(str(each["level"]))
    where = str(each["source"]), start["line"] + 1, start["char"] + 1
    return Diagnostic(*where, level, str(each["code"]), str(each["message"]), max(length, 1))


def of_sarif(told: str) -> list[Diagnostic]:
    """What `--diagnostics-format sarif` writes: places count from 1, a result without a level is a warning. Lines before the
    document are passed over. Raises GarbledError."""
    start = 0 if told.startswith("{") else told.find("\n{") + 1
    try:
        document: object = json.loads(told[start:])
        (run,) = cast("Mapping[str, Sequence[Mapping[str, object]]]", document)["runs"]
        return [_of_result(each) for each in cast("Sequence[Mapping[str, object]]", run["results"])]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise GarbledError("its diagnostics are no SARIF") from error


def _of_result(result: Mapping[str, object]) -> Diagnostic:
    message = str(cast("Mapping[str, object]", result["message"])["text"])
    place = cast("Sequence[Mapping[str, Mapping[str, object]]]", result["locations"])[0]["physicalLocation"]
    region = cast("Mapping[str, int]", place["region"])
    uri = str(cast("Mapping[str, object]", place["artifactLocation"])["uri"])
    level = _level(str(result.get("level") or "warning"))
    code = str(result["ruleId"])
    return Diagnostic(_path(uri), region["startLine"], region.get("charOffset", 1), level, code, _LINK.sub("", message))


def _level(said: str) -> Level:
    known: Mapping[str, Level] = {"error": "error", "warning": "warning"}
    return known.get(said.lower(), "info")


def _path(uri: str) -> str:
    split = urlsplit(uri)
    return (
        str(Path(url2pathname(unquote(split.path) if "%" in split.path else split.path)))
        if split.scheme == "file"
        else uri
    )
