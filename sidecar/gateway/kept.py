"""Small files of a share that were read before, by the stamp that a listing tells: what has not changed is not read again."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import cast

MOST_BYTES = 4096
"""Of a file that is kept."""

MOST_FILES = 500

Entry = tuple[str, str]
"""A stamp, and the content in base64."""


class Kept:
    """Of one share, on this machine. A lost or damaged memory costs requests, and nothing else. Safe in any thread."""

    def __init__(self, file: Path | None) -> None:
        """None: in this process alone."""
        self._file = file
        self._entries: dict[str, Entry] | None = None
        self._changed = False
        self._lock = threading.Lock()

    def get(self, path: str, stamp: str) -> bytes | None:
        with self._lock:
            found = self._known().get(path)
        return base64.b64decode(found[1]) if found is not None and stamp and found[0] == stamp else None

    def put(self, path: str, stamp: str, content: bytes) -> None:
        if not stamp or len(content) > MOST_BYTES:
            return
        with self._lock:
            entries = self._known()
            entries.pop(path, None)
            entries[path] = (stamp, base64.b64encode(content).decode())  # the newest last
            for oldest in list(entries)[:-MOST_FILES]:
                del entries[oldest]
            self._changed = True

    def save(self) -> None:
        """Whole or not at all; of two processes at once the last one's stays."""
        if self._file is None or not self._changed or self._entries is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(self._entries), encoding="utf-8")
        beside.replace(self._file)
        self._changed = False

    def _known(self) -> dict[str, Entry]:
        if self._entries is None:
            self._entries = _read(self._file)
        return self._entries


def kept_for(folder: Path | None, url: str, share: str) -> Kept:
    """`folder`: of this machine's state."""
    name = hashlib.sha256(f"{url.lower()} {share.lower()}".encode()).hexdigest()[:16]
    return Kept(None if folder is None else folder / f"{name}.json")


def _read(file: Path | None) -> dict[str, Entry]:
    if file is None or not file.exists():
        return {}
    try:
        said: object = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # cut short by a kill: everything is read anew
        return {}
    entries = cast("Mapping[str, object]", said) if isinstance(said, dict) else {}
    found: dict[str, Entry] = {}
    for path, each in entries.items():
        pair = cast("list[object]", each) if isinstance(each, list) else []
        if len(pair) == 2 and all(isinstance(part, str) for part in pair) and _decodes(str(pair[1])):
            found[path] = (str(pair[0]), str(pair[1]))
    return found


def _decodes(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True
