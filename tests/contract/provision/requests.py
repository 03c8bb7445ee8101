"""What passed the door of ARM meanwhile, from the local cloud's own record of it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from tests.contract.localcloud.conftest import World

READING = ("/listkeys", "/listsecrets", "/getauthtoken", "/whatif", "/checknameavailability")
"""What is asked by POST and changes nothing."""


class Requests:
    """Those since it was made."""

    def __init__(self, world: World) -> None:
        self._file = world.record
        self._from = self._file.stat().st_size

    def all(self) -> list[tuple[str, str, Any]]:
        """Method, path and body of each; tokens are another's business."""
        with self._file.open("rb") as stream:
            stream.seek(self._from)
            whole, _, _ = stream.read().rpartition(b"\n")  # another's may be on its way
            pairs = [json.loads(line) for line in whole.splitlines()]
        found = [(str(each["method"]), urlsplit(str(each["url"])).path, each["body"]) for each in pairs]
        return [each for each in found if not each[1].endswith("/token")]

    def writes(self) -> list[str]:
        """Everything that could change something, as `METHOD …/type/name`."""
        return [
            f"{method} {'/'.join(path.split('/')[-2:])}"
            for method, path, _ in self.all()
            if method not in ("GET", "HEAD") and not path.lower().endswith(READING)
        ]
