"""Workflow *Collect diagnostics*: one file to share, of what can be read about an app, with every secret taken out."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import zipfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from sidecar import __version__
from sidecar.core.journal import Journal
from sidecar.core.textfile import read_bytes
from sidecar.core.workspace import CONFIG_KEYS, Target, Workspace, read_config, target_of
from sidecar.decisions.redaction import redacted_document, redacted_lines, secret_values, without_values
from sidecar.gateway import apps, resources, revisions, whole_app
from sidecar.gateway.logs import last_lines
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import SlipwayError, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.context import place_of
from sidecar.workflows.observe import status
from sidecar.workflows.records import now
from sidecar.workflows.watch import running_replicas

T = TypeVar("T")

LINES = 200
LOG_SECONDS = 4

PACKAGES = ("azure-mgmt-appcontainers", "azure-mgmt-resource", "azure-storage-file-share", "azure-identity", "pygls")


@dataclass(frozen=True)
class Collected:
    """`contents`: each file of the archive, with its size in bytes. `missing`: what could not be read, and why."""

    file: Path
    contents: tuple[tuple[str, int], ...]
    missing: tuple[Text, ...]


class _Parts:
    """What has been read so far: text of many lines, or a document."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.files: dict[str, object] = {}
        self.missing: list[Text] = []
        self.secrets: list[str] = []

    def add(self, name: str, read: Callable[[], object]) -> None:
        """What can't be read is a line of its own: the rest is still worth having."""
        self._journal.progress(Text("Collecting {name}…", name=name))
        self._journal.check()
        if (found := self.tried(name, read)) is not None:
            self.files[name] = found

    def tried(self, name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except SlipwayError as error:
            self.missing.append(Text("{name}: {problem}", name=name, problem=error.message))
            return None

    def clean(self) -> dict[str, str]:
        """As text, without what is secret: taken out before it is written as JSON, where a quote looks otherwise."""
        found = {**self.files, "missing.txt": "\n".join(map(str, self.missing)) + "\n"}
        return {
            name: redacted_lines(each, self.secrets)
            if isinstance(each, str)
            else _json(redacted_document(each, self.secrets))
            for name, each in found.items()
        }


def collect(
    workspace: Workspace,
    open_session: Callable[[], Session],
    journals: Mapping[str, Path],
    file: Path,
    journal: Journal,
    *,
    overwrite: bool,
) -> Collected:
    """Nothing is sent anywhere; a person looks at it and shares it. A project without an app is one of which less can be read.

    `journals`: by kind. `overwrite`: the person has agreed to lose a file of this name."""
    _refuse(file, overwrite=overwrite)
    parts = _Parts(journal)
    text = Text("Collecting what can be read about {folder}…", folder=workspace.folder.name)
    journal.step("collect", text, increment=10)
    target = parts.tried("the app", lambda: target_of(workspace))
    session = None if target is None else parts.tried("the cloud", open_session)
    parts.add("about.json", lambda: _machine(session))
    parts.add("inference.config.json", lambda: _config(workspace))
    for kind, path in journals.items():
        if path.exists():
            parts.add(f"journal-{kind}.jsonl", lambda path=path: _tail(path))
    if target is not None and session is not None:
        _app(parts, workspace, session, target)
    clean = parts.clean()
    _write(file, clean)
    return Collected(file, tuple((name, len(text.encode())) for name, text in clean.items()), tuple(parts.missing))


def _app(parts: _Parts, workspace: Workspace, session: Session, target: Target) -> None:
    place = place_of(session, target)
    for what, values in (
        ("the app's secrets", lambda: list(apps.secrets(place).values())),
        ("the account's keys", lambda: resources.storage_keys(place.around, target.storage_account)),
    ):  # where they can't be read, nothing that is read here holds them either: ARM shows them to nobody else
        parts.secrets += parts.tried(what, values) or []
    parts.add("status.json", lambda: asdict(status(workspace, session)))
    document = parts.tried("app.json", lambda: whole_app.document(place))
    if document is not None:
        parts.secrets += secret_values(document)
        parts.files["app.json"] = without_values(document)
    parts.add("revisions.json", lambda: [asdict(each) for each in revisions.revisions(place)])
    _logs(place, parts)


def _logs(place: AppPlace, parts: _Parts) -> None:
    """The last lines of each container that runs, and of the platform's events."""

    def lines(url: str | None) -> str:
        return "" if url is None else "\n".join(last_lines(place, url, LINES, LOG_SECONDS)) + "\n"

    parts.add("events.log", lambda: lines(apps.app(place).event_stream))
    running = parts.tried("replicas.json", lambda: running_replicas(place))
    if running is not None:
        parts.files["replicas.json"] = [asdict(each) for each in running]
    for each in running or ():
        for container in each.containers:
            parts.add(f"console-{each.name}-{container.name}.log", lambda url=container.log_stream: lines(url))


def _machine(session: Session | None) -> dict[str, object]:
    return {
        "at": now(),
        "slipway": __version__,
        "cloud": None if session is None else session.profile.name,
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
    content = read_bytes(path, str(path)).decode(errors="replace")
    return "\n".join(content.splitlines()[-LINES:]) + "\n"


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"


def _refuse(file: Path, *, overwrite: bool) -> None:
    """Before anything is collected: what would be lost, or can't be written to."""
    with _writing(file):
        is_folder, is_there = file.is_dir(), file.exists()
    if is_folder:
        raise WorkspaceError(
            Text("{file} is a folder.", file=file),
            Text("Name the archive too, for instance {file}.", file=file / "slipway-diagnostics.zip"),
            code="FileExists",
        )
    if is_there and not overwrite:
        raise WorkspaceError(
            Text("{file} exists already and was left as it is.", file=file),
            Text("Choose another name; in a terminal --force replaces it."),
            code="FileExists",
        )


def _write(file: Path, files: Mapping[str, str]) -> None:
    """Whole or not at all, and for its owner alone."""
    with _writing(file):
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


@contextmanager
def _writing(file: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            Text("{file} can't be written: {problem}", file=file, problem=error.strerror or error),
            Text("Choose a folder that you may write to and that has room, then collect again."),
            code="NotWritten",
        ) from error
