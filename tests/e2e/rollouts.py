"""A Deploy run in this process, what a person saw of it, and faults set in between; for the tests of the wait."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from sidecar.core.journal import Event, Journal
from sidecar.core.workspace import open_workspace
from sidecar.gateway.files import open_share
from sidecar.words.names import StrategyWish
from sidecar.workflows.deploy import Result, deploy
from sidecar.workflows.observe import Status, status
from sidecar.workflows.restart import Patience

from .conftest import Place


@dataclass
class Told:
    """What a person saw, with the moment; `stop` is their cancel button."""

    lines: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    stop: threading.Event = field(default_factory=threading.Event)
    _then: dict[str, Callable[[], None]] = field(default_factory=dict[str, Callable[[], None]])

    def cancel_at(self, part: str) -> None:
        """The button is pressed once this is said."""
        self.once(part, self.stop.set)

    def once(self, part: str, do: Callable[[], None]) -> None:
        """Done when this is said for the first time."""
        self._then[part] = do

    def listen(self, event: Event) -> None:
        for part in [each for each in self._then if each in str(event.text)]:
            self._then.pop(part)()
        self.lines.append((time.monotonic(), str(event.text)))

    def at(self, part: str) -> float:
        return next((moment for moment, line in self.lines if part in line), 0.0)

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)


def journal_of(place: Place, told: Told, who: str = "") -> Journal:
    return Journal(place.home.folder / f"journal{who}", "test", told.listen, told.stop)


def run(
    place: Place, told: Told, patience: Patience | None = None, wish: StrategyWish = "restart", who: str = ""
) -> Result:
    """By a restart unless it is said otherwise: that is what the tests of the wait are about. `who` deploys, of several."""
    journal = journal_of(place, told, who)
    return deploy(
        open_workspace(place.workspace), place.home.session(), journal, patience=patience or Patience(), wish=wish
    )


UNREADABLE = "Model missing"
"""Of the server's reason for the base model below: nobody but it reads a tokenizer."""


def empty_base(place: Place) -> None:
    """A base model without anything in its files: Deploy, which does not look into them so far, goes on; the server does not."""
    files = {
        "config.json": b'{"model_type": "gemma2"}',
        "tokenizer.json": b"{}",
        "model.safetensors": (2).to_bytes(8, "little") + b"{}",
    }
    with open_share(place.around, place.config["STORAGE_ACCOUNT_NAME"], place.config["FILE_SHARE_NAME"]) as share:
        for name, content in files.items():
            share.replace(f"model-cache/acme/base/{name}", content)


def look(place: Place) -> Status:
    return status(open_workspace(place.workspace), place.home.session())


class Asking:
    """Somebody who asks for the version all the while, without another try."""

    def __init__(self, place: Place) -> None:
        self._url = str(look(place).url)
        self._headers = {"Authorization": f"Bearer {place.api_key()}"}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.statuses: list[int] = []
        self.took: list[float] = []

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=240, trust_env=False) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                self.statuses.append(client.get("/version").status_code)
                self.took.append(time.monotonic() - began)


def struck(place: Place) -> int:
    """How often the first rule that is in force has."""
    known = json.loads((place.home.settings.local_state / "cloud.json").read_text())
    headers = {"Authorization": f"Bearer {known['adminToken']}"}
    with httpx.Client(base_url=known["arm"], verify=known["caFile"], headers=headers, timeout=60) as client:
        return client.get("/admin/faults").json()["rules"][0]["hits"]


def faults(place: Place, *rules: dict[str, Any]) -> list[dict[str, int]]:
    """Sets rules at the local cloud's door of faults; returns how often those before were met and struck."""
    known = json.loads((place.home.settings.local_state / "cloud.json").read_text())
    headers = {"Authorization": f"Bearer {known['adminToken']}"}
    with httpx.Client(base_url=known["arm"], verify=known["caFile"], headers=headers, timeout=60) as client:
        hits = client.get("/admin/faults").json()
        assert client.put("/admin/faults", json={"seed": 1, "rules": list(rules)}).status_code < 300
        return hits["rules"]
