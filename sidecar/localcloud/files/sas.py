"""Shared access signatures on Azure Files: of a share or file (service), and of the whole account."""

import datetime
import ipaddress
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.accounts import account_keys, takes_shared_keys
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.files.sharedkey import signed_by
from sidecar.localcloud.files.tree import FilesError

# What a request needs, by method and comp; a file's creation may also be done with write.
_NEEDED: Mapping[tuple[str, str], str] = {
    ("GET", "list"): "l",
    ("GET", ""): "r",
    ("HEAD", ""): "r",
    ("GET", "rangelist"): "r",
    ("GET", "stats"): "r",
    ("DELETE", ""): "d",
    ("PUT", ""): "cw",
}


def sas_permissions(
    cloud: LocalCloud, account: Resource, query: Mapping[str, str], raw_path: str, address: str
) -> Callable[[str, str, str], None]:
    """Checks the signature and its times; returns the check of what it permits."""
    if not takes_shared_keys(account):
        raise FilesError(403, "KeyBasedAuthenticationNotPermitted", "Key based authentication is not permitted.")
    text = _account_text(account, query) if "ss" in query else _service_text(account, query, raw_path)
    if not signed_by(list(account_keys(account).values()), text, query["sig"]):
        raise FilesError(
            403, "AuthenticationFailed", "Server failed to authenticate the request: signature did not match."
        )
    now = datetime.datetime.fromtimestamp(cloud.now(), datetime.UTC)
    if (start := _time(query.get("st"))) and now < start:
        raise FilesError(403, "AuthenticationFailed", "Signature not valid in the specified time frame.")
    end = _time(query.get("se"))
    if end is None or now > end:
        raise FilesError(403, "AuthenticationFailed", "Signature not valid in the specified time frame.")
    if query.get("sip") and not _is_within(address, query["sip"]):
        raise FilesError(
            403,
            "AuthorizationSourceIPMismatch",
            f"This request is not authorized to perform this operation using this source IP {address}.",
        )
    if "ss" in query and "f" not in query["ss"]:
        raise FilesError(403, "AuthorizationServiceMismatch", "This request is not authorized for this service.")
    permissions = query.get("sp", "")

    def check(method: str, kind: str, comp: str) -> None:
        needed = _NEEDED.get((method, comp), "w")
        if not set(needed) & set(permissions):
            raise FilesError(
                403,
                "AuthorizationPermissionMismatch",
                "This request is not authorized to perform this operation using this permission.",
            )
        types = {"service": "s", "share": "c"}.get(kind, "o")
        if "srt" in query and types not in query["srt"]:
            raise FilesError(
                403, "AuthorizationResourceTypeMismatch", "This request is not authorized for this resource type."
            )

    return check


def _service_text(account: Resource, query: Mapping[str, str], raw_path: str) -> str:
    parts = unquote(raw_path).strip("/").split("/")[1:]
    named = parts[:1] if query.get("sr") == "s" else parts
    resource = "/".join(["", "file", account.name, *named])
    values = [
        query.get("sp", ""),
        query.get("st", ""),
        query.get("se", ""),
        resource,
        query.get("si", ""),
        query.get("sip", ""),
        query.get("spr", ""),
        query.get("sv", ""),
        *(query.get(name, "") for name in ("rscc", "rscd", "rsce", "rscl", "rsct")),
    ]
    return "\n".join(values)


def _account_text(account: Resource, query: Mapping[str, str]) -> str:
    names = ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses")
    return "\n".join([account.name, *(query.get(name, "") for name in names), ""])


def _is_within(address: str, stated: str) -> bool:
    """Whether who asks has the address, or one of the range, that the signature is for."""
    first, _, last = stated.partition("-")
    try:
        low, high, asking = (ipaddress.ip_address(each) for each in (first, last or first, address))
    except ValueError:
        return False
    return (low.version, low.packed) <= (asking.version, asking.packed) <= (high.version, high.packed)


_STATED = {
    "rscc": "Cache-Control",
    "rscd": "Content-Disposition",
    "rsce": "Content-Encoding",
    "rscl": "Content-Language",
    "rsct": "Content-Type",
}


def stated_by_signature(query: Mapping[str, str]) -> dict[str, str]:
    """Headers of an answer that a service SAS, which covers them, states in place of the file's own."""
    return {header: query[name] for name, header in _STATED.items() if query.get(name) and "sr" in query}


def _time(text: str | None) -> datetime.datetime | None:
    if not text:
        return None
    try:
        found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as problem:
        raise FilesError(403, "AuthenticationFailed", "A time of the signature is not valid.") from problem
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
