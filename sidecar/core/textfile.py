"""A person's text file, read as UTF-8; what can't be read so is named with what it seems to be."""

from __future__ import annotations

import codecs
from pathlib import Path

from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

_MARKS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))


def read_text(file: Path, shown: str) -> str:
    """The file's text without a byte order mark. `shown`: what it is called in messages."""
    content = read_bytes(file, shown)
    encoding, line = _other_encoding(content)
    if encoding is None:
        return content.decode("utf-8-sig")
    raise WorkspaceError(
        Text("{file} is not UTF-8: line {line} reads like {encoding}.", file=shown, line=line, encoding=encoding),
        Text("Save it as UTF-8 (in VS Code: the encoding in the status bar, Save with Encoding)."),
        code="NotUtf8",
    )


def read_bytes(file: Path, shown: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise WorkspaceError(
            Text("{file} can't be read: {problem}", file=shown, problem=error.strerror or error),
            Text("Check who may read it, then try again."),
            code="Unreadable",
        ) from error


def _other_encoding(content: bytes) -> tuple[str | None, int]:
    """What the content seems to be where it is no UTF-8, and the first line that says so."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name, 1
    if b"\0" in content:
        return "UTF-16", 1 + content[: content.index(b"\0")].count(b"\n")
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return "windows-1252", 1 + content[: error.start].count(b"\n")
    return None, 0
