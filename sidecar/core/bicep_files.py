"""The files that a Bicep file names: where they may lie, how large they may be, and what is read of them."""

from __future__ import annotations

import base64
import json
import os
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sidecar.armlang.bicep_findings import Unreadable
from sidecar.core.jsonedit import strict
from sidecar.core.yaml_values import NoYamlError, UnclearError, read_yaml
from sidecar.words.bicep_codes import OUTSIDE
from sidecar.words.text import Text

LONGEST = 4 * 1_048_576
"""Bytes of any file that is read."""
_ENCODINGS: Mapping[str, str] = {
    "utf-8": "utf-8-sig",
    "utf-16": "utf-16",
    "utf-16BE": "utf-16-be",
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
}
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\['([^']*)'\]")


@dataclass(frozen=True)
class Folder:
    """Reads what lies below `root`, the workspace's; paths start from `base`, the folder of the file that is compiled."""

    base: Path
    root: Path

    def module(self, folder: str, path: str) -> tuple[str, str]:
        own = _joined(folder, path)
        return own, _text(self._content(own), "utf-8", own)

    def load(self, folder: str, function: str, arguments: Sequence[str]) -> object:
        loader = _LOADERS.get(function)
        if loader is None:
            raise Unreadable(OUTSIDE, what=function)
        own = _joined(folder, arguments[0])
        return loader(self._content(own), own, arguments)

    def _content(self, path: str) -> bytes:
        file = Path(os.path.normpath(self.base / path))
        if not file.is_relative_to(self.root):
            raise _unread(path, Text("it lies above the workspace."))
        if not file.resolve().is_relative_to(self.root.resolve()):
            raise _unread(path, Text("a link leads out of the workspace."))
        try:
            self._spelt(file, path)
            if not file.is_file():
                raise _unread(path, Text("it is a folder.") if file.is_dir() else Text("there is no such file."))
            if file.stat().st_size > LONGEST:
                raise Unreadable("BCP184", path=path, most=LONGEST)
            return file.read_bytes()
        except OSError as error:
            raise _unread(path, error.strerror or error) from error

    def _spelt(self, file: Path, path: str) -> None:
        """Elsewhere small and capital letters may differ: a file is named as it is written."""
        for each in (file, *file.parents):
            if each == self.root:
                return
            there = os.listdir(each.parent) if each.parent.is_dir() else []
            meant = next((one for one in there if one != each.name and one.lower() == each.name.lower()), None)
            if each.name not in there and meant is not None:
                raise _unread(path, Text("it is written {name} there.", name=meant))


def _unread(path: str, why: object) -> Unreadable:
    return Unreadable("BCP091", path=path, why=why)


def _joined(folder: str, path: str) -> str:
    """The path from the first file's folder. Raises Unreadable for one that is no relative path."""
    if not path:
        raise Unreadable("BCP050")
    if "\\" in path:
        raise Unreadable("BCP098")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        raise Unreadable("BCP051", path=path)
    if re.search(r"[\x00-\x1f<>:\"|?*]", path):
        raise Unreadable("BCP085")
    return posixpath.normpath(posixpath.join(folder, path))


def _text(content: bytes, encoding: str, path: str) -> str:
    try:
        return content.decode(_ENCODINGS[encoding])
    except UnicodeDecodeError as error:
        line = 1 + content[: error.start].count(b"\n")
        raise Unreadable("#encoding", path=path, encoding=encoding.upper(), line=line) from error


def _decoded(content: bytes, path: str, arguments: Sequence[str], place: int, most: int) -> str:
    encoding = arguments[place] if len(arguments) > place else "utf-8"
    if encoding not in _ENCODINGS:
        raise Unreadable("BCP070", place, given=f"'{encoding}'", wanted=" | ".join(_ENCODINGS))
    text = _text(content, encoding, path)
    if len(text) > most:
        raise Unreadable("BCP184", path=path, most=most)
    return text


def _of_text(content: bytes, path: str, arguments: Sequence[str]) -> object:
    return _decoded(content, path, arguments, 1, 131_072)


def _of_base64(content: bytes, path: str, arguments: Sequence[str]) -> object:
    if len(content) > 98_304:
        raise Unreadable("BCP184", path=path, most=98_304)
    return base64.b64encode(content).decode()


def _of_json(content: bytes, path: str, arguments: Sequence[str]) -> object:
    text = strict(_decoded(content, path, arguments, 2, 1_048_576))
    try:
        value: object = json.loads(text, parse_float=_no_fraction, parse_constant=_no_fraction)
    except json.JSONDecodeError as error:
        raise Unreadable("BCP186#file", path=path, line=error.lineno, problem=error.msg) from error
    except (_FractionError, RecursionError) as error:
        raise Unreadable(OUTSIDE, what=f"{path}, which holds numbers with a fraction, or too many brackets") from error
    return _followed(value, path, arguments[1] if len(arguments) > 1 else "")


def _of_yaml(content: bytes, path: str, arguments: Sequence[str]) -> object:
    try:
        value = read_yaml(_decoded(content, path, arguments, 2, 1_048_576))
    except NoYamlError as error:
        raise Unreadable("BCP340", path=path, line=error.line, problem=error.problem) from error
    except UnclearError as error:
        raise Unreadable(OUTSIDE, what=f"line {error.line} of {path}: {error.what}") from error
    return _followed(value, path, arguments[1] if len(arguments) > 1 else "")


def _followed(value: object, path: str, steps: str) -> object:
    """What lies at a path within a value, as `.ingress.hosts[0]`."""
    rest = steps.removeprefix("$")
    rest = rest if not rest or rest.startswith((".", "[")) else f".{rest}"
    while rest:
        step = _STEP.match(rest)
        if step is None:
            raise Unreadable(OUTSIDE, 1, what=f"the path {steps}")
        try:
            key = int(step[2]) if step[2] else step[1] or step[3]
            held: object = cast("object", value if isinstance(value, list if step[2] else dict) else {})
            value = cast("dict[object, object]", held)[key]
        except (KeyError, IndexError) as error:
            raise Unreadable("BCP235", 1, path=path, steps=steps) from error
        rest = rest[step.end() :]
    return value


class _FractionError(Exception):
    """A number that Bicep has no literal for."""


def _no_fraction(text: str) -> object:
    raise _FractionError(text)


_LOADERS: Mapping[str, Callable[[bytes, str, Sequence[str]], object]] = {
    "loadFileAsBase64": _of_base64,
    "loadJsonContent": _of_json,
    "loadTextContent": _of_text,
    "loadYamlContent": _of_yaml,
}
