"""What a request may state by Microsoft's OpenAPI files: each parameter of each operation, each member that a body takes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.contract.localcloud.replay import SPECS

Node = dict[str, Any]
_APP = "app/resource-manager/Microsoft.App/stable/2024-03-01"
_LOGS = "operationalinsights/resource-manager/Microsoft.OperationalInsights/stable/2023-09-01"
_STORAGE = "storage/resource-manager/Microsoft.Storage/stable/2023-05-01"
_APP_FILES = (
    "ContainerApps",
    "ContainerAppsRevisions",
    "ManagedEnvironments",
    "ManagedEnvironmentsStorages",
    "Usages",
    "AvailableWorkloadProfiles",
    "Jobs",
)
SERVICES: Mapping[str, tuple[str, ...]] = {
    "app": tuple(f"{_APP}/{name}.json" for name in _APP_FILES),
    "loganalytics": (f"{_LOGS}/Workspaces.json", f"{_LOGS}/SharedKeys.json"),
    "storage": (f"{_STORAGE}/storage.json", f"{_STORAGE}/file.json"),
    "resources": (
        "resources/resource-manager/Microsoft.Resources/stable/2024-07-01/resources.json",
        "resources/resource-manager/Microsoft.Resources/stable/2022-12-01/subscriptions.json",
    ),
    "files": ("storage/data-plane/Microsoft.FileStorage/stable/2025-01-05/file.json",),
}
# Bodies that one handler reads count once, whatever each operation calls its schema.
_ALIKE = {
    "WorkspacePatch": "Workspace",
    "StorageAccountCreateParameters": "StorageAccount",
    "StorageAccountUpdateParameters": "StorageAccount",
    "StorageAccountCheckNameAvailabilityParameters": "CheckName",
    "DeploymentWhatIf": "Deployment",
    "ScopedDeployment": "Deployment",
    "ScopedDeploymentWhatIf": "Deployment",
    "ResourceGroupPatchable": "ResourceGroup",
    "TagsResource": "Tags",
    "TagsPatchResource": "Tags",
}


@dataclass(frozen=True)
class Item:
    """Something that a request may state."""

    service: str
    what: str
    """The operation, or the schema of a body."""
    where: str
    """path, query, header, body"""
    name: str
    operations: tuple[str, ...]
    """Those that it is stated in."""


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str
    items: tuple[tuple[str, str, str], ...]
    """(what, where, name)"""


def operations(service: str) -> Iterator[Operation]:
    for name in SERVICES[service]:
        file = SPECS / "specification" / name
        for kind in ("paths", "x-ms-paths"):
            for path, entry in _read(file).get(kind, {}).items():
                for method in ("get", "put", "post", "patch", "delete", "head"):
                    if method in entry:
                        stated = [*entry.get("parameters", []), *entry[method].get("parameters", [])]
                        yield Operation(
                            entry[method]["operationId"],
                            method.upper(),
                            path,
                            tuple(_stated(entry[method], stated, file)),
                        )


def items(service: str, taken: set[str]) -> list[Item]:
    """Of the operations `taken` alone; what several bodies of one schema state stands once."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for operation in operations(service):
        if operation.name in taken:
            for key in operation.items:
                found.setdefault(key, []).append(operation.name)
    return [Item(service, *key, tuple(names)) for key, names in found.items()]


def _stated(operation: Node, parameters: list[Node], file: Path) -> Iterator[tuple[str, str, str]]:
    for parameter in parameters:
        found, here = _followed(parameter, file)
        if found["in"] != "body":
            yield operation["operationId"], found["in"], found["name"]
            continue
        schema = str(found["schema"].get("$ref", "")).rpartition("/")[2] or operation["operationId"]
        names = list(_members(found["schema"], here, "", ())) or [""]
        yield from ((_ALIKE.get(schema, schema), "body", name) for name in names)


def _members(node: Node, file: Path, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    """The paths of what may be written, as far down as something is declared; `[]` is an entry, `{}` any member."""
    reference = f"{file}{node.get('$ref', '')}"
    if node.get("$ref") and reference in above:
        return
    node, file = _followed(node, file)
    for name, value, here in _properties(node, file):
        inner, there = _followed(value, here)
        if value.get("readOnly") or inner.get("readOnly"):
            continue
        path, member = f"{prefix}{name}", value
        while inner.get("type") == "array":
            path, member = f"{path}[]", inner["items"]
            inner, there = _followed(member, there)
        declared = inner.get("properties") or inner.get("allOf")
        at = here if member is value else there
        below = (
            list(_members(member if "$ref" in member else inner, at, f"{path}.", (*above, reference)))
            if declared
            else []
        )
        if below:
            yield from below
        else:
            yield path + ("{}" if inner.get("additionalProperties") and not path.endswith("[]") else "")


def _properties(node: Node, file: Path) -> Iterator[tuple[str, Node, Path]]:
    for each in node.get("allOf", []):
        yield from _properties(*_followed(each, file))
    for name, value in node.get("properties", {}).items():
        yield name, value, file


def _followed(node: Node, file: Path) -> tuple[Node, Path]:
    while "$ref" in node:
        path, _, fragment = str(node["$ref"]).partition("#")
        file = Path(os.path.normpath(file.parent / path)) if path else file
        node = _read(file)
        for part in fragment.strip("/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
    return node, file


@cache
def _read(file: Path) -> Node:
    return json.loads(file.read_text(encoding="utf-8"))
