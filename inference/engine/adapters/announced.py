"""Adapters that whoever put them on the share tells of: taken at the next look, before a walk would find them.

`.slipway/model_uploads/<number>.json` names a folder below the mount and the digest that its adapter has to have. It is written
once all files are in place, so what is told of is whole; a mount may still show older files for a while."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

RECORDS = ".slipway/model_uploads"
MOST_RECORDS = 200
MOST_BYTES = 1 << 20
State = tuple[int, int]  # size and mtime_ns


class Announced:
    """What is told, as of the last look; a record is read again only once it has changed."""

    def __init__(self, mount: Path) -> None:
        self._mount = mount.resolve()
        self._known: dict[str, tuple[State, tuple[Path, str] | None]] = {}

    def look(self) -> Mapping[Path, str]:
        """Folder → digest. A share that does not answer tells nothing."""
        try:
            with os.scandir(self._mount / RECORDS) as entries:
                files = sorted(entry.name for entry in entries if entry.name.endswith(".json"))[:MOST_RECORDS]
        except OSError:  # nobody has uploaded anything with us, or the share is away
            return {}
        self._known = {name: each for name in files if (each := self._read(name)) is not None}
        return dict(told for _, told in self._known.values() if told is not None)

    def _read(self, name: str) -> tuple[State, tuple[Path, str] | None] | None:
        file = self._mount / RECORDS / name
        try:
            found = file.stat()
            state = (found.st_size, found.st_mtime_ns)
            before = self._known.get(name)
            if before is not None and before[0] == state:
                return before
            content = file.read_bytes() if found.st_size <= MOST_BYTES else b""
        except OSError:
            return None
        return state, self._told(name, content)

    def _told(self, name: str, content: bytes) -> tuple[Path, str] | None:
        try:
            said: Any = json.loads(content)
            folder, kind, digest = str(said["folder"]), said["kind"], str(said["digest"])
        except (ValueError, TypeError, KeyError):
            log.warning("%s/%s is damaged: it tells nothing", RECORDS, name)
            return None
        path = self._mount / folder
        hidden = any(part.startswith(".") for part in Path(folder).parts)
        return None if kind != "adapter" or hidden or not path.resolve().is_relative_to(self._mount) else (path, digest)
