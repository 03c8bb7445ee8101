"""What newer API versions let a body state beyond Microsoft's OpenAPI files here: the members that its Bicep types alone have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.localcloud.replay import SPECS
from tests.contract.spec_items import Item, operations

Node = dict[str, Any]
TYPES = SPECS / "bicep-types-az" / "generated"
_READ_ONLY = 2
"""The flag of a member that no request may state."""


@dataclass(frozen=True)
class Type:
    service: str
    what: str
    """The schema of its body, as the tables call it."""
    folder: str
    name: str


_APP = "app_0/microsoft.app"
_STORAGE = "storage/microsoft.storage"
KINDS = (
    Type("app", "ContainerApp", _APP, "Microsoft.App/containerApps"),
    Type("app", "ManagedEnvironment", _APP, "Microsoft.App/managedEnvironments"),
    Type("app", "ManagedEnvironmentStorage", _APP, "Microsoft.App/managedEnvironments/storages"),
    Type(
        "loganalytics",
        "Workspace",
        "operationalinsights/microsoft.operationalinsights",
        "Microsoft.OperationalInsights/workspaces",
    ),
    Type("resources", "Deployment", "resources_7/microsoft.resources", "Microsoft.Resources/deployments"),
    Type("storage", "StorageAccount", _STORAGE, "Microsoft.Storage/storageAccounts"),
    Type("storage", "FileServiceProperties", _STORAGE, "Microsoft.Storage/storageAccounts/fileServices"),
    Type("storage", "FileShare", _STORAGE, "Microsoft.Storage/storageAccounts/fileServices/shares"),
)
"""Those that have a provider of their own."""


def newer_items(service: str) -> list[Item]:
    """Of the newest version of each type; nothing where its files are not beside the project."""
    if not TYPES.is_dir():
        return []
    declared: dict[str, set[str]] = {}
    for operation in operations(service):
        for what, where, name in operation.items:
            if where == "body":
                declared.setdefault(what, set()).add(name)
    return [
        Item(service, kind.what, "newer", name, (f"{kind.name}@{file.parent.name}",))
        for kind in KINDS
        if kind.service == service
        for file in [newest(TYPES / kind.folder)]
        for name in beyond(stated(json.loads(file.read_text(encoding="utf-8")), kind.name), declared[kind.what])
    ]


def newest(folder: Path) -> Path:
    """The types of a namespace's newest version that is no preview."""
    found = sorted(each for each in folder.glob("*/types.json") if re.fullmatch(r"[\d-]+", each.parent.name))
    if not found:
        raise FileNotFoundError(f"no types of any version in {folder}")
    return found[-1]


def stated(types: list[Node], name: str) -> list[str]:
    """The paths of all that a body of the type may state, what is around something before it; `[]` is a list's entry."""
    (found,) = [each for each in types if each["$type"] == "ResourceType" and each["name"].startswith(f"{name}@")]
    return list(dict.fromkeys(_members(types, found["body"], "", ())))


def beyond(paths: list[str], declared: set[str]) -> list[str]:
    """The paths that are not declared, nor around or below what is; of those one below another the topmost alone."""
    known = {_plain(each) for each in declared}
    found: list[str] = []
    for path in paths:
        plain = _plain(path)
        is_known = any(plain == each or each.startswith(f"{plain}.") or plain.startswith(f"{each}.") for each in known)
        if not is_known and not any(plain.startswith(f"{_plain(each)}.") for each in found):
            found.append(path)
    return found


def _plain(path: str) -> str:
    return path.replace("[]", "").replace("{}", "")


def _members(types: list[Node], reference: Mapping[str, str], prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    """Of an object: its own, and those of each kind that it may be."""
    at = reference["$ref"]
    node = types[int(at.rpartition("/")[2])]
    if at in above:
        return
    below = (*above, at)
    properties: Node = {**node.get("properties", {}), **node.get("baseProperties", {})}
    for name, member in properties.items():
        if not member["flags"] & _READ_ONLY and not (not prefix and name in _OF_THE_ADDRESS):
            path, inner = _entry(types, f"{prefix}{name}", member["type"])
            yield path
            yield from _members(types, inner, f"{path}.", below)
    elements: Any = node.get("elements", [])
    for each in elements.values() if isinstance(elements, dict) else elements:
        yield from _members(types, each, prefix, below)


_OF_THE_ADDRESS = ("id", "name", "type", "apiVersion", "scope")


def _entry(types: list[Node], path: str, reference: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    node = types[int(reference["$ref"].rpartition("/")[2])]
    return _entry(types, f"{path}[]", node["itemType"]) if node["$type"] == "ArrayType" else (path, reference)
