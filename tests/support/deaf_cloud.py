"""The local cloud, deaf to one thing that a request may state: it proves that tests named in `sidecar/localcloud/fates` miss it.

`SLIPWAY_DEAF='["app", "ContainerApp", "body", "tags{}"]' python -m tests.support.deaf_cloud …` takes the arguments of `python -m
sidecar.localcloud`. What is stated is taken out of a request before any handler sees it; of Azure Files after its signature was
checked. `npm run contract -- fates --prove` runs every row's test against it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.localcloud import __main__ as local_cloud
from sidecar.localcloud.door import arm_app
from sidecar.localcloud.files import access
from sidecar.localcloud.files import door as files_door
from sidecar.localcloud.resources import providers

Json = dict[str, Any]
# The segment of a path that stands before each of its parameters.
_BEFORE = {
    "subscriptionId": "subscriptions",
    "resourceGroupName": "resourcegroups",
    "resourceProviderNamespace": "providers",
    "containerAppName": "containerapps",
    "revisionName": "revisions",
    "replicaName": "replicas",
    "environmentName": "managedenvironments",
    "storageName": "storages",
    "location": "locations",
    "workspaceName": "workspaces",
    "accountName": "storageaccounts",
    "FileServicesName": "fileservices",
    "shareName": "shares",
    "deploymentName": "deployments",
    "operationId": "operations",
}
# The end of the paths that an operation's name is about.
_ENDS = {
    "ContainerAppsRevisions_List": "/revisions",
    "FileShares_List": "/shares",
    "Deployments_List": "/deployments",
    "DeploymentOperations_List": "/operations",
    "ResourceGroups_List": "/resourcegroups",
    "Resources_List": "/resources",
}
_TYPES = {
    "ContainerApp": "microsoft.app/containerapps",
    "ManagedEnvironment": "microsoft.app/managedenvironments",
    "ManagedEnvironmentStorage": "microsoft.app/managedenvironments/storages",
    "Workspace": "microsoft.operationalinsights/workspaces",
    "StorageAccount": "microsoft.storage/storageaccounts",
    "FileServiceProperties": "microsoft.storage/storageaccounts/fileservices",
    "FileShare": "microsoft.storage/storageaccounts/fileservices/shares",
}
# Bodies that no provider reads, by the end of their path.
_BODIES = {
    "CheckName": r"/checknameavailability",
    "StorageAccountRegenerateKeyParameters": r"/regeneratekey",
    "Deployment": r"/deployments/[^/]+(/validate|/whatif)?",
    "Deployments_CalculateTemplateHash": r"/calculatetemplatehash",
    "ResourceGroup": r"/resourcegroups/[^/]+",
    "Tags": r"/tags/default",
}
# What a list of Files is asked by.
_LISTS = {"Service_ListSharesSegment": "service", "Directory_ListFilesAndDirectoriesSegment": "directory"}
ALWAYS = ("api-version", "restype", "comp", "sig", "se", "sp", "sv", "sr", "ss", "srt")
"""Not among the options that `*` means: without these nothing is asked at all."""


def without(value: Any, path: str) -> Any:
    """`value` without the members at a path of the tables: `a.b[].*`, `tags{}`, and `` for all of it."""
    if path == "":
        return {}
    first, _, rest = path.partition(".")
    name, listed = first.removesuffix("{}").removesuffix("[]"), first.endswith("[]")
    if not isinstance(value, dict):
        return value
    kept: Json = {}
    for key, inner in value.items():
        if not fnmatchcase(key, name):
            kept[key] = inner
        elif rest and name != "*":
            kept[key] = (
                [without(each, rest) for each in inner] if listed and isinstance(inner, list) else without(inner, rest)
            )
    return kept


def deaf_to(service: str, what: str, where: str, name: str) -> None:
    """Changes the doors, or the providers, of this process."""
    if service == "files":
        _deaf_files(what, where, name)
    elif where == "body" and what in _TYPES:
        _deaf_providers(_TYPES[what], name)
    else:
        _deaf_arm(what, where, name)


def _deaf_providers(kind: str, name: str) -> None:
    for function in ("put", "patch", "check"):
        found = getattr(providers, function)

        def deaf(cloud: Any, request: Any, *more: Any, found: Any = found) -> Any:
            if request.id.type.lower() == kind:
                request = dataclasses.replace(request, body=without(request.body, name))
            return found(cloud, request, *more)

        setattr(providers, function, deaf)


def _deaf_arm(what: str, where: str, name: str) -> None:
    made = arm_app.arm_app

    def deaf(*given: Any) -> ASGIApp:
        inner = made(*given)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].lower().startswith(("/subscriptions", "/providers")):
                _strip_scope(scope, what, where, name)
                if where == "body" and re.search(f"{_BODIES[what]}$", scope["path"].lower()):
                    receive = await _stripped(scope, receive, name)
            await inner(scope, receive, send)

        return answer

    local_cloud.arm_app = deaf  # pyright: ignore[reportAttributeAccessIssue]


def _strip_scope(scope: MutableMapping[str, Any], what: str, where: str, name: str) -> None:
    ends = next((end for begin, end in _ENDS.items() if what.startswith(begin)), "")
    if where == "query" and scope["path"].rstrip("/").lower().endswith(ends):
        pairs = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        kept = [(key, value) for key, value in pairs if not _is_meant(key, name)]
        scope["query_string"] = urlencode(kept).encode()
    if where == "path":
        before = _BEFORE[name] if name != "scope" else "subscriptions"
        scope["path"] = re.sub(rf"(?i)(/{before}/)[^/]+", r"\1stripped", scope["path"])
        scope["raw_path"] = scope["path"].encode()


def _is_meant(key: str, name: str) -> bool:
    return key == name or (name == "*" and key not in ALWAYS)


async def _stripped(scope: MutableMapping[str, Any], receive: Receive, name: str) -> Receive:
    data, more = b"", True
    while more:
        message = await receive()
        data, more = data + message.get("body", b""), message.get("more_body", False)
    if data.strip().startswith(b"{"):
        data = json.dumps(without(json.loads(data), name)).encode()
    lengths = [(key, value) for key, value in scope["headers"] if key != b"content-length"]
    scope["headers"] = [*lengths, (b"content-length", str(len(data)).encode())]
    sent = iter([{"type": "http.request", "body": data, "more_body": False}])

    async def again() -> Message:
        return next(sent, None) or await receive()

    return again


def _deaf_files(what: str, where: str, name: str) -> None:
    heard = files_door.as_sent

    def deaf(
        share: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[str, str, Mapping[str, str], Mapping[str, str]]:
        share, path, query, headers = heard(share, path, query, headers)
        listed = _LISTS.get(what)
        about = listed is None or (query.get("comp") == "list" and (query.get("restype") or "service") == listed)
        if where == "query" and about:
            query = {key: value for key, value in query.items() if not _is_meant(key, name)}
        if where == "header":
            pattern = name.lower() + ("-*" if name == "x-ms-meta" else "")
            headers = {key: value for key, value in headers.items() if not fnmatchcase(key, pattern)}
        if where == "path":
            path, share = _without_part(path, name), "stripped" if name == "shareName" and share else share
        return share, path, query, headers

    files_door.as_sent = deaf
    if name == "x-ms-file-request-intent":
        token = access._token

        def tokenless(cloud: Any, account: Any, authorization: str, headers: Mapping[str, str]) -> Any:
            return token(cloud, account, authorization, {key: value for key, value in headers.items() if key != name})

        access._token = tokenless
    if where == "body":
        read = files_door._body

        async def nothing(request: Any) -> bytes:
            return bytes(len(await read(request)))

        files_door._body = nothing


def _without_part(path: str, name: str) -> str:
    parts = path.split("/")
    if name == "fileName" and path:
        return "/".join([*parts[:-1], "stripped"])
    return "/".join(["stripped"] * (len(parts) - 1) + parts[-1:]) if name == "directory" and len(parts) > 1 else path


if __name__ == "__main__":
    deaf_to(*json.loads(os.environ["SLIPWAY_DEAF"]))
    sys.exit(local_cloud.main())
