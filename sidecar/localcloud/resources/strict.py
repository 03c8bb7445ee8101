"""The setting `strict`: what the tables of fates call ignored is refused, so that whoever lives on it notices. Pure.

A row here is one of the tables': its service, what it is about, and its name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, as_object


@dataclass(frozen=True)
class Ignored:
    row: tuple[str, str, str]
    methods: tuple[str, ...]
    path: str
    """A pattern of the whole path, in lower case."""
    where: str
    """query or body"""
    name: str
    """Of the option, or the path of the member; `*` for all below."""


_PROVIDERS = r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers"
_WRITES = ("PUT", "PATCH")
_ENVIRONMENT = f"{_PROVIDERS}/microsoft.app/managedenvironments/[^/]+"
_WORKSPACE = f"{_PROVIDERS}/microsoft.operationalinsights/workspaces/[^/]+"
_SHARES = f"{_PROVIDERS}/microsoft.storage/storageaccounts/[^/]+/fileservices/default/shares"


def _member(service: str, what: str, path: str, name: str, *more: str) -> list[Ignored]:
    return [Ignored((service, what, name), _WRITES, path, "body", each) for each in more or (name,)]


IGNORED: tuple[Ignored, ...] = (
    *_member("app", "ManagedEnvironment", _ENVIRONMENT, "kind"),
    *_member("app", "ManagedEnvironment", _ENVIRONMENT, "properties.daprAI*"),
    *_member("app", "ManagedEnvironment", _ENVIRONMENT, "properties.customDomainConfiguration.*"),
    *_member("app", "ManagedEnvironment", _ENVIRONMENT, "properties.infrastructureResourceGroup"),
    *_member("loganalytics", "Workspace", _WORKSPACE, "etag"),
    Ignored(("loganalytics", "Workspaces_Delete", "force"), ("DELETE",), _WORKSPACE, "query", "force"),
    Ignored(("storage", "FileShares_List", "$expand"), ("GET",), _SHARES, "query", "$expand"),
    Ignored(
        ("resources", "Subscriptions_ListLocations", "includeExtendedLocations"),
        ("GET",),
        r"/subscriptions/[^/]+/locations",
        "query",
        "includeExtendedLocations",
    ),
    Ignored(
        ("resources", "ProviderRegistrationRequest", "*"),
        ("POST",),
        r"/subscriptions/[^/]+/providers/[^/]+/register",
        "body",
        "*",
    ),
    Ignored(
        ("resources", "Deployment", "properties.externalInputDefinitions"),
        ("PUT", "POST"),
        r".*/providers/microsoft\.resources/deployments/[^/]+(/validate|/whatif)?",
        "body",
        "properties.externalInputDefinitions",
    ),
    Ignored(
        ("resources", "ResourceGroup", "name"), ("PATCH",), r"/subscriptions/[^/]+/resourcegroups/[^/]+", "body", "name"
    ),
)


def require_heard(method: str, path: str, query: Mapping[str, str], body: Json) -> None:
    """ArmError for the first thing that the request states and nothing here looks at."""
    for each in IGNORED:
        if method in each.methods and re.fullmatch(each.path, path.lower()):
            stated = each.name in query if each.where == "query" else _states(body, each.name.split("."))
            if stated:
                raise _unheard(each)


def _states(holder: Json, path: list[str]) -> bool:
    """Whether something that says anything stands at `path`."""
    for name, value in holder.items():
        if not fnmatchcase(name, path[0]) or value in (None, "", [], {}):
            continue
        inner = as_object(value)
        if len(path) == 1 or (inner is not None and _states(inner, path[1:])):
            return True
    return False


def _unheard(each: Ignored) -> ArmError:
    return invalid(
        f"The local cloud ignores '{each.name}' of this request, and refuses that, since its setting 'strict' says so.",
        "IgnoredByLocalCloud",
        each.name,
    )
