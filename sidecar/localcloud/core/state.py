"""The cloud's state on disk: one file a resource, written whole or not at all, in a folder that only its owner reads."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sidecar.localcloud.core.fields import Json, member

VERSION = 1


@dataclass(frozen=True)
class Resource:
    """A stored resource: what a GET shows (`body`) and what only the cloud itself may read (`private`)."""

    id: str
    type: str
    body: Mapping[str, Any]
    private: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def key(self) -> str:
        return self.id.lower()

    @property
    def name(self) -> str:
        return self.id.rsplit("/", 1)[-1]

    @property
    def properties(self) -> Mapping[str, Any]:
        return member(self.body, "properties")

    def with_properties(self, **changes: Any) -> "Resource":
        return replace(self, body={**self.body, "properties": {**self.properties, **changes}})


class StateError(Exception):
    """The state folder can't be used; the message says why."""


class Store:
    """Every resource by its id. A change is on disk before the call returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "resources"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._resources: dict[str, Resource] = {}
        for file in sorted(self._folder.iterdir()):
            if file.suffix == ".json":
                resource = _read(file)
                self._resources[resource.key] = resource
            elif file.suffix == ".part":
                file.unlink()

    def get(self, resource_id: str) -> Resource | None:
        return self._resources.get(resource_id.lower())

    def put(self, resource: Resource) -> Resource:
        write_private(self._file(resource.key), json.dumps(_record(resource)))
        self._resources[resource.key] = resource
        return resource

    def delete(self, resource_id: str) -> None:
        """Removes the resource and everything under it."""
        prefix = resource_id.lower() + "/"
        for key in [key for key in self._resources if key == resource_id.lower() or key.startswith(prefix)]:
            del self._resources[key]
            self._file(key).unlink(missing_ok=True)

    def under(self, prefix: str, resource_type: str | None = None) -> list[Resource]:
        """Resources whose id lies below `prefix`, oldest first; with a type, only those of it."""
        start, wanted = prefix.lower().rstrip("/") + "/", (resource_type or "").lower()
        return [
            resource
            for key, resource in self._resources.items()
            if key.startswith(start) and (not wanted or resource.type.lower() == wanted)
        ]

    def move(self, before: str, after: str) -> None:
        """The cloud answers at another address than the one that resources were written with."""
        for resource in self:
            body = json.dumps(resource.body)
            if before in body:
                self.put(replace(resource, body=json.loads(body.replace(before, after))))

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._resources.values()))

    def _file(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.json"


def write_private(file: Path, text: str) -> None:
    """Writes a file of mode 0600 so that a reader, or the next start, finds the old text or the new, never a part."""
    unfinished = file.with_suffix(".part")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)


def _record(resource: Resource) -> Json:
    return {
        "version": VERSION,
        "id": resource.id,
        "type": resource.type,
        "body": resource.body,
        "private": resource.private,
    }


def _read(file: Path) -> Resource:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["version"] != VERSION:
            raise StateError(f"{file} was written by another version ({record['version']}) of the local cloud")
        return Resource(record["id"], record["type"], record["body"], record["private"])
    except (json.JSONDecodeError, KeyError, TypeError) as problem:
        raise StateError(f"{file} is not a resource of the local cloud: {problem}") from problem
