"""Workflow *Collect diagnostics*: one file to share, of what can be read about an app, with every secret taken out."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from sidecar import __version__
from sidecar.core.journal import Journal
from sidecar.core.workspace import CONFIG_KEYS, Target, Workspace, read_config, target_of
from sidecar.decisions.redaction import redacted, without_values
from sidecar.gateway import apps, resources, revisions, whole_app
from sidecar.gateway.logs import last_lines
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.observe import place_of, status
from sidecar.workflows.records import now

LINES = 200
LOG_SECONDS = 4

PACKAGES = ("azure-mgmt-appcontainers", "azure-mgmt-resource", "azure-storage-file-share", "azure-identity", "pygls")


@dataclass(frozen=True)
class Collected:
    """`contents`: each file of the archive, with its size in bytes. `missing`: what could not be read, and why."""

    file: Path
    contents: tuple[tuple[str, int], ...]
    missing: tuple[Text, ...]


@dataclass(frozen=True)
class About:
    """Of this machine and this project. `journals`: by kind."""

    journals: Mapping[str, Path]
    cloud: str


def collect(workspace: Workspace, session: Session, about: About, file: Path, journal: Journal) -> Collected:
    """Nothing is sent anywhere; a person looks at it and shares it."""
    target = target_of(workspace)
    place = place_of(session, target)
    secrets: list[str] = []
    missing: list[Text] = []
    files: dict[str, str] = {}

    def part(name: str, read: Callable[[], str]) -> None:
        """What can't be read is a line of its own: the rest is still worth having."""
        journal.progress(Text("Collecting {name}…", name=name))
        journal.check()
        try:
            files[name] = read()
        except SlipwayError as error:
            missing.append(Text("{name}: {problem}", name=name, problem=error.message))

    journal.step("collect", Text("Collecting what can be read about {app}…", app=target.app), increment=10)
    for what, values in (
        ("the app's secrets", lambda: _app_secrets(place)),
        ("the account's key", lambda: _key(place, target)),
    ):
        try:
            secrets += values()
        except SlipwayError as error:  # then nothing that is read here holds them either: ARM shows them to nobody else
            missing.append(Text("{name}: {problem}", name=what, problem=error.message))
    part("about.json", lambda: _json(_machine(about)))
    part("inference.config.json", lambda: _json(_config(workspace)))
    for kind, path in about.journals.items():
        if path.exists():
            part(f"journal-{kind}.jsonl", lambda path=path: _tail(path))
    part("status.json", lambda: _json(asdict(status(workspace, session))))
    part("app.json", lambda: _json(without_values(whole_app.document(place))))
    part("revisions.json", lambda: _json([asdict(each) for each in revisions.revisions(place)]))
    _logs(place, part)
    files["missing.txt"] = "\n".join(map(str, missing)) + "\n"
    clean = {name: redacted(text, secrets) for name, text in files.items()}
    _write(file, clean)
    return Collected(file, tuple((name, len(text.encode())) for name, text in clean.items()), tuple(missing))


def _logs(place: AppPlace, part: Callable[[str, Callable[[], str]], None]) -> None:
    """The last lines of each container that runs, and of the platform's events."""

    def lines(url: str | None) -> str:
        return "" if url is None else "\n".join(last_lines(place, url, LINES, LOG_SECONDS)) + "\n"

    running: list[revisions.Replica] = []

    def replicas() -> str:
        for revision in revisions.revisions(place):
            running.extend(revisions.replicas(place, revision.name))
        return _json([asdict(each) for each in running])

    part("events.log", lambda: lines(apps.app(place).event_stream))
    part("replicas.json", replicas)
    for each in running:
        for container in each.containers:
            part(f"console-{each.name}-{container.name}.log", lambda url=container.log_stream: lines(url))


def _app_secrets(place: AppPlace) -> list[str]:
    return list(apps.secrets(place).values())


def _key(place: AppPlace, target: Target) -> list[str]:
    return [resources.storage_key(place.around, target.storage_account)[0]]


def _machine(about: About) -> dict[str, object]:
    return {
        "at": now(),
        "slipway": __version__,
        "cloud": about.cloud,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _config(workspace: Workspace) -> dict[str, str | None]:
    known = read_config(workspace)
    return {key: getattr(known, key) for key in CONFIG_KEYS}


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]) + "\n"


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"


def _write(file: Path, files: Mapping[str, str]) -> None:
    """Whole or not at all, and for its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for each, text in files.items():
                archive.writestr(each, text)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
