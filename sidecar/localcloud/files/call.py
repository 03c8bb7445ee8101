"""FilesCall: one authenticated request on a storage account; the checks and headers that its answers share."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.accounts import share_id
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.files.attributes import shown_attributes
from sidecar.localcloud.files.tree import FilesError, Notes, ShareTree, held_open_for_writing
from sidecar.localcloud.files.xml import etag_of

RANGE_LIMIT = 4 * 1024 * 1024
_TAKEN: dict[Path, int] = {}
"""What the files of a share take at most, by its folder; a replica's own writes are seen when it is counted again."""
# There are no leases here, and an SDK takes a missing state for a lock.
UNLEASED = {"x-ms-lease-status": "unlocked", "x-ms-lease-state": "available"}
_CONTENT_HEADERS = (
    "content-type",
    "content-encoding",
    "content-language",
    "cache-control",
    "content-disposition",
    "content-md5",
)


@dataclass(frozen=True)
class FilesCall:
    """One authenticated request on an account."""

    cloud: LocalCloud
    account: Resource
    share: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def share_resource(self) -> Resource:
        found = self.cloud.store.get(share_id(self.account, self.share))
        if found is None:
            raise FilesError(404, "ShareNotFound", "The specified share does not exist.")
        return found

    @property
    def tree(self) -> ShareTree:
        name = self.share_resource.name.lower()
        folder = self.cloud.share_folder(self.account.name, name)
        dots = self.headers.get("x-ms-allow-trailing-dot", "").lower() == "true"
        return ShareTree(folder, folder.parent / ".notes" / name, "keep" if dots else "drop")

    @property
    def metadata(self) -> dict[str, str]:
        return {
            name[len("x-ms-meta-") :]: value for name, value in self.headers.items() if name.startswith("x-ms-meta-")
        }


def endpoint_of(call: FilesCall) -> str:
    return f"{call.cloud.endpoints.files}/{call.account.name}/"


def page_limit(call: FilesCall) -> int:
    """`maxresults` of a listing."""
    limit = call.query.get("maxresults", "5000")
    if not limit.isdigit() or not 1 <= int(limit) <= 5000:
        raise FilesError(400, "OutOfRangeQueryParameterValue", "maxresults must be between 1 and 5000.")
    return int(limit)


def byte_range(text: str, size: int) -> tuple[int, int]:
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", text)
    if not found or int(found[1]) >= size:
        raise FilesError(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    return int(found[1]), min(int(found[2] or size - 1), size - 1)


def check_md5(call: FilesCall) -> None:
    stated = call.headers.get("content-md5")
    if stated and call.body and stated != base64.b64encode(md5(call.body)).decode():
        raise FilesError(
            400, "Md5Mismatch", "The MD5 value specified in the request did not match with the value calculated."
        )


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def check_space(call: FilesCall, more: int) -> None:
    limit = int(call.share_resource.properties["shareQuota"]) * 1024**3
    small = call.cloud.settings.share_quota_bytes
    limit = min(limit, small) if small is not None else limit
    if more <= 0:
        return
    # Counting every file each time would be slow: it is done once, and again where what came since could reach the limit.
    tree = call.tree
    most = _TAKEN.get(tree.root)
    if most is None or most + more > limit or small is not None:
        most = tree.size()
        if most + more > limit:
            raise FilesError(413, "ShareSizeLimitReached", "The share's size limit is reached.")
    _TAKEN[tree.root] = most + more


def check_sharing(call: FilesCall, place: Path) -> None:
    if place.is_file() and held_open_for_writing(place, call.cloud.runtime.processes()):
        raise FilesError(409, "SharingViolation", "The specified resource may be in use by an SMB client.")


def already_there(place: Path, wanted: str) -> FilesError:
    if place.is_dir() == (wanted == "directory"):
        return FilesError(409, "ResourceAlreadyExists", "The specified resource already exists.")
    return FilesError(
        409, "ResourceTypeMismatch", "The specified resource type does not match the type of the existing resource."
    )


def content_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[f"x-ms-{name}"] for name in _CONTENT_HEADERS if f"x-ms-{name}" in headers}


def shown_content(notes: Notes) -> dict[str, str]:
    shown = {"-".join(part.capitalize() for part in name.split("-")): value for name, value in notes.headers.items()}
    return {name.replace("Md5", "MD5"): value for name, value in shown.items()}


def shown_metadata(notes: Notes) -> dict[str, str]:
    return {f"x-ms-meta-{name}": value for name, value in notes.metadata.items()}


def times_of(place: Path) -> dict[str, str]:
    return {"ETag": etag_of(place), "Last-Modified": formatdate(place.stat().st_mtime, usegmt=True)}


def properties_of(place: Path, notes: Notes) -> dict[str, str]:
    found = place.stat()
    return {
        **times_of(place),
        **shown_attributes(place, notes),
        "x-ms-file-permission-key": "0*0",
        "x-ms-file-id": str(found.st_ino),
        "x-ms-file-parent-id": str(place.parent.stat().st_ino),
    }
