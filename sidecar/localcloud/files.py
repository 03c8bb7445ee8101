"""The Azure Files data plane: shares, directories, files, ranges; every route in one table, SharedKey or a token checked."""

import base64
import hashlib
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from .cloud import LocalCloud
from .envelope import ArmError
from .fields import member
from .files_access import authenticate
from .files_xml import Entry, error_response, etag_of, listing, range_list, shares_listing, smb_time, xml_response
from .share_tree import FilesError, Notes, ShareTree, held_open_for_writing, not_found, split_path
from .state import Resource
from .storage import find_account, make_share

log = logging.getLogger(__name__)
Json = dict[str, Any]
RANGE_LIMIT = 4 * 1024 * 1024
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
        found = self.cloud.store.get(f"{self.account.id}/fileServices/default/shares/{self.share}")
        if found is None:
            raise FilesError(404, "ShareNotFound", "The specified share does not exist.")
        return found

    @property
    def tree(self) -> ShareTree:
        name = self.share_resource.name.lower()
        folder = self.cloud.share_folder(self.account.name, name)
        return ShareTree(folder, folder.parent / ".notes" / name)

    @property
    def metadata(self) -> dict[str, str]:
        return {
            name[len("x-ms-meta-") :]: value for name, value in self.headers.items() if name.startswith("x-ms-meta-")
        }


Handler = Callable[[FilesCall], Response]


def files_app(cloud: LocalCloud) -> Starlette:
    return Starlette(routes=[Mount("/", _Door(cloud))])


class _Door:
    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except FilesError as error:
            response = error_response(error, request.method)
        except ArmError as error:
            response = error_response(FilesError(error.status, error.code, error.message), request.method)
        except ClientDisconnect:
            return
        except Exception:
            # The boundary of a request: the client gets the service's 500, the log the trace.
            log.exception("%s %s failed", request.method, request.url.path)
            response = error_response(
                FilesError(500, "InternalError", "The server encountered an internal error."), "GET"
            )
        response.headers["x-ms-request-id"] = str(uuid.uuid4())
        response.headers["x-ms-version"] = request.headers.get("x-ms-version", "2026-10-06")
        if client := request.headers.get("x-ms-client-request-id"):
            response.headers["x-ms-client-request-id"] = client
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        raw_path = (request.scope.get("raw_path") or b"").decode("ascii", "replace").split("?")[0]
        # the SDK escapes a directory's slashes too, and Azure takes an escaped slash for a separator
        parts = unquote(raw_path, errors="strict").strip("/").split("/")
        account = find_account(self._cloud, parts[0]) if parts[0] else None
        if account is None:
            raise FilesError(400, "InvalidUri", "The requested URI does not represent any resource on the server.")
        if any(part in (".", "..") or "\\" in part for part in parts):
            raise FilesError(400, "InvalidUri", "The requested URI does not represent any resource on the server.")
        share = parts[1] if len(parts) > 1 else ""
        path = "/".join(part for part in parts[2:] if part)
        headers = {name.lower(): value for name, value in request.headers.items()}
        needs = authenticate(
            self._cloud, account, request.method, raw_path, request.scope["query_string"].decode(), headers
        )
        self._cloud.used()
        body = await _read(request, RANGE_LIMIT)
        query = {name.lower(): value for name, value in request.query_params.items()}
        call = FilesCall(self._cloud, account, share, path, query, headers, body)
        kind = query.get("restype") or ("file" if path else ("share" if share else "service"))
        handler = ROUTES.get((request.method, kind, query.get("comp", "")))
        if handler is None:
            raise FilesError(400, "InvalidQueryParameterValue", "The operation is not known for this resource.")
        needs(request.method, kind, query.get("comp", ""))
        return handler(call)


async def _read(request: Request, limit: int) -> bytes:
    stated = request.headers.get("content-length", "")
    too_large = FilesError(
        413, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit."
    )
    if stated.isdigit() and int(stated) > limit:
        raise too_large
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise too_large
    return bytes(data)


# The service and its shares


def _list_shares(call: FilesCall) -> Response:
    prefix = call.query.get("prefix", "")
    shares = call.cloud.store.under(call.account.id, "Microsoft.Storage/storageAccounts/fileServices/shares")
    found = [
        (share.name, int(share.properties["shareQuota"]), time.time())
        for share in sorted(shares, key=lambda each: each.name)
        if share.name.startswith(prefix)
    ]
    return xml_response(shares_listing(_endpoint(call), found))


def _service_properties(_call: FilesCall) -> Response:
    return xml_response("<StorageServiceProperties><Cors/></StorageServiceProperties>")


def _create_share(call: FilesCall) -> Response:
    if call.cloud.store.get(f"{call.account.id}/fileServices/default/shares/{call.share}"):
        raise FilesError(409, "ShareAlreadyExists", "The specified share already exists.")
    quota = call.headers.get("x-ms-share-quota", "5120")
    given: Json = {"shareQuota": int(quota) if quota.isdigit() else 0}
    if call.metadata:
        given["metadata"] = call.metadata
    make_share(call.cloud, call.account, call.share, given)
    return Response(status_code=201, headers=_times(call.tree.root))


def _share_properties(call: FilesCall) -> Response:
    share = call.share_resource
    metadata: Mapping[str, str] = member(share.properties, "metadata")
    headers = {
        "x-ms-share-quota": str(share.properties["shareQuota"]),
        "x-ms-access-tier": "TransactionOptimized",
        "x-ms-enabled-protocols": "SMB",
        **{f"x-ms-meta-{name}": value for name, value in metadata.items()},
    }
    return Response(headers={**_times(call.tree.root), **headers})


def _share_metadata(call: FilesCall) -> Response:
    make_share(call.cloud, call.account, call.share_resource.name, {"metadata": call.metadata})
    return Response(headers=_times(call.tree.root))


def _share_quota(call: FilesCall) -> Response:
    quota = call.headers.get("x-ms-share-quota", "")
    if quota.isdigit():
        make_share(call.cloud, call.account, call.share_resource.name, {"shareQuota": int(quota)})
    return Response(headers=_times(call.tree.root))


def _share_stats(call: FilesCall) -> Response:
    return xml_response(f"<ShareStats><ShareUsageBytes>{call.tree.size()}</ShareUsageBytes></ShareStats>")


def _delete_share(call: FilesCall) -> Response:
    share = call.share_resource
    call.cloud.discard_folder(call.tree.root)
    call.cloud.store.delete(share.id)
    return Response(status_code=202)


# Directories


def _create_directory(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.parent_of(call.path) / (tree.locate(call.path).name)
    if place.exists():
        raise _exists(place, "directory")
    place.mkdir()
    tree.write_notes(place, Notes(call.metadata))
    return Response(status_code=201, headers=_properties(place))


def _directory_properties(call: FilesCall) -> Response:
    place = call.tree.directory(call.path)
    return Response(headers={**_properties(place), **_meta(call.tree.read_notes(place))})


def _set_metadata(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.directory(call.path) if call.query.get("restype") == "directory" else tree.file(call.path)
    tree.write_notes(place, replace(tree.read_notes(place), metadata=call.metadata))
    return Response(headers=_properties(place))


def _set_directory_properties(call: FilesCall) -> Response:
    return Response(headers=_properties(call.tree.directory(call.path)))


def _delete_directory(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.directory(call.path)
    if place == tree.root:
        raise FilesError(400, "InvalidUri", "The root directory of a share can't be deleted.")
    if any(place.iterdir()):
        raise FilesError(409, "DirectoryNotEmpty", "The specified directory is not empty.")
    tree.remove(place)
    return Response(status_code=202)


def _list_directory(call: FilesCall) -> Response:
    tree = call.tree
    folder = tree.directory(call.path)
    prefix = call.query.get("prefix", "")
    entries: list[Entry] = []
    for entry in os.scandir(folder):
        if not entry.name.casefold().startswith(prefix.casefold()) or (entry.is_symlink() and not entry.is_file()):
            continue
        found = entry.stat()
        size = None if entry.is_dir() else found.st_size
        entries.append(Entry(entry.name, size, found.st_mtime, str(found.st_ino)))
    entries.sort(key=lambda each: each.name.casefold())
    limit = call.query.get("maxresults", "5000")
    if not limit.isdigit() or not 1 <= int(limit) <= 5000:
        raise FilesError(400, "OutOfRangeQueryParameterValue", "maxresults must be between 1 and 5000.")
    page = listing(
        _endpoint(call),
        call.share,
        call.path,
        entries,
        prefix,
        int(limit),
        call.query.get("include", ""),
        call.query.get("marker", ""),
    )
    return xml_response(page)


# Files


def _create_file(call: FilesCall) -> Response:
    if "x-ms-structured-body" in call.headers:
        raise FilesError(400, "UnsupportedHeader", "Structured bodies are not known to the local cloud.")
    stated = call.headers.get("x-ms-content-length", "")
    if not stated.isdigit():
        raise FilesError(
            400, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified."
        )
    size = int(stated)
    if size > 4 * 1024**4:
        raise FilesError(400, "OutOfRangeInput", "One of the request inputs is out of range.")
    if call.body and len(call.body) > size:
        raise FilesError(400, "InvalidHeaderValue", "The body is longer than x-ms-content-length.")
    tree = call.tree
    place = tree.parent_of(call.path) / tree.locate(call.path).name
    if place.is_dir():
        raise _exists(place, "file")
    _check_md5(call)
    _check_space(call, size - (place.stat().st_size if place.exists() else 0))
    _check_sharing(call, place)
    with place.open("wb") as file:
        file.write(call.body)
        file.truncate(size)
    tree.write_notes(place, Notes(call.metadata, _content_headers(call.headers)))
    extra = {"Content-MD5": base64.b64encode(_md5(call.body)).decode()} if call.body else {}
    return Response(status_code=201, headers={**_properties(place), **extra, "x-ms-request-server-encrypted": "true"})


def _file_properties(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.file(call.path)
    notes = tree.read_notes(place)
    headers = {
        **_properties(place),
        **_shown_content(notes),
        **_meta(notes),
        "Content-Length": str(place.stat().st_size),
    }
    return Response(headers={**headers, "x-ms-type": "File", "x-ms-server-encrypted": "true"})


def _read_file(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.file(call.path)
    size = place.stat().st_size
    notes = tree.read_notes(place)
    shared = {**_properties(place), **_meta(notes), "x-ms-type": "File", "Accept-Ranges": "bytes"}
    asked = call.headers.get("x-ms-range") or call.headers.get("range")
    first, last = _range(asked, size) if asked else (0, size - 1)
    with place.open("rb") as file:
        file.seek(first)
        data = file.read(last - first + 1)
    content = _shown_content(notes)
    whole_md5 = content.pop("Content-MD5", None)
    if asked:
        shared["Content-Range"] = f"bytes {first}-{last}/{size}"
        if whole_md5:
            shared["x-ms-content-md5"] = whole_md5
        if call.headers.get("x-ms-range-get-content-md5", "").lower() == "true":
            shared["Content-MD5"] = base64.b64encode(_md5(data)).decode()
    elif whole_md5:
        shared["Content-MD5"] = whole_md5
    media = content.pop("Content-Type", "application/octet-stream")
    return Response(data, 206 if asked else 200, {**shared, **content}, media)


def _put_range(call: FilesCall) -> Response:
    if "x-ms-structured-body" in call.headers:
        raise FilesError(400, "UnsupportedHeader", "Structured bodies are not known to the local cloud.")
    tree = call.tree
    place = tree.file(call.path)
    size = place.stat().st_size
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", call.headers.get("x-ms-range") or call.headers.get("range") or "")
    if not found or int(found[1]) > int(found[2]):
        raise FilesError(
            400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format."
        )
    first, last = int(found[1]), int(found[2])
    if last >= size:
        raise FilesError(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    action = call.headers.get("x-ms-write", "").lower()
    if action not in ("update", "clear"):
        raise FilesError(400, "InvalidHeaderValue", "x-ms-write must be update or clear.")
    if action == "update" and (len(call.body) != last - first + 1 or len(call.body) > RANGE_LIMIT):
        raise FilesError(400, "InvalidHeaderValue", "The body's length is not that of the range.")
    _check_md5(call)
    _check_sharing(call, place)
    with place.open("r+b") as file:
        file.seek(first)
        file.write(call.body if action == "update" else bytes(last - first + 1))
    extra = {"Content-MD5": base64.b64encode(_md5(call.body)).decode()} if action == "update" else {}
    return Response(status_code=201, headers={**_properties(place), **extra})


def _list_ranges(call: FilesCall) -> Response:
    place = call.tree.file(call.path)
    headers = {**_times(place), "x-ms-content-length": str(place.stat().st_size)}
    response = xml_response(range_list(place.stat().st_size))
    response.headers.update(headers)
    return response


def _set_file_properties(call: FilesCall) -> Response:
    """HTTP headers, and the size where one is stated."""
    tree = call.tree
    place = tree.file(call.path)
    notes = tree.read_notes(place)
    length = call.headers.get("x-ms-content-length", "")
    if length.isdigit():
        _check_space(call, int(length) - place.stat().st_size)
        _check_sharing(call, place)
        os.truncate(place, int(length))
    tree.write_notes(place, Notes(notes.metadata, _content_headers(call.headers)))
    return Response(headers=_properties(place))


def _delete_file(call: FilesCall) -> Response:
    place = call.tree.file(call.path)
    _check_sharing(call, place)
    call.tree.remove(place)
    return Response(status_code=202)


def _rename(call: FilesCall) -> Response:
    """To the request's path, from the one in x-ms-file-rename-source."""
    tree = call.tree
    source_url = unquote(call.headers.get("x-ms-file-rename-source", "").split("?")[0])
    inside = f"/{call.account.name}/{call.share}/".lower()
    at = source_url.lower().find(inside)
    if at < 0:
        raise FilesError(400, "InvalidHeaderValue", "The rename source is not in this share.")
    source = tree.locate("/".join(split_path(source_url[at + len(inside) :])))
    if not source.exists():
        raise not_found()
    target = tree.parent_of(call.path) / tree.locate(call.path).name
    overwrite = call.headers.get("x-ms-file-rename-replace-if-exists", "").lower() == "true"
    wanted = split_path(call.path)[-1]
    if target.exists() and target != source:
        if not overwrite:
            raise FilesError(409, "ResourceAlreadyExists", "The specified resource already exists.")
        if target.is_dir() or source.is_dir():
            raise FilesError(
                409, "ResourceTypeMismatch", "The specified resource type does not match the type of the existing one."
            )
        _check_sharing(call, target)
    if source.is_dir() and target.is_relative_to(source) and target != source:
        raise FilesError(409, "InvalidRename", "A directory can't be moved into itself.")
    _check_sharing(call, source)
    tree.move(source, target if target != source else target.with_name(wanted))
    place = target if target != source else target.with_name(wanted)
    return Response(headers=_properties(place))


def _list_handles(call: FilesCall) -> Response:
    del call
    return xml_response("<EnumerationResults><Entries/><NextMarker/></EnumerationResults>")


def _close_handles(call: FilesCall) -> Response:
    del call
    return Response(headers={"x-ms-number-of-handles-closed": "0", "x-ms-number-of-handles-failed": "0"})


ROUTES: Mapping[tuple[str, str, str], Handler] = {
    ("GET", "service", "list"): _list_shares,
    ("GET", "service", "properties"): _service_properties,
    ("PUT", "share", ""): _create_share,
    ("GET", "share", ""): _share_properties,
    ("HEAD", "share", ""): _share_properties,
    ("PUT", "share", "metadata"): _share_metadata,
    ("PUT", "share", "properties"): _share_quota,
    ("GET", "share", "stats"): _share_stats,
    ("DELETE", "share", ""): _delete_share,
    ("PUT", "directory", ""): _create_directory,
    ("GET", "directory", ""): _directory_properties,
    ("HEAD", "directory", ""): _directory_properties,
    ("PUT", "directory", "metadata"): _set_metadata,
    ("PUT", "directory", "properties"): _set_directory_properties,
    ("PUT", "directory", "rename"): _rename,
    ("DELETE", "directory", ""): _delete_directory,
    ("GET", "directory", "list"): _list_directory,
    ("GET", "directory", "listhandles"): _list_handles,
    ("PUT", "directory", "forceclosehandles"): _close_handles,
    ("PUT", "file", ""): _create_file,
    ("HEAD", "file", ""): _file_properties,
    ("GET", "file", ""): _read_file,
    ("PUT", "file", "range"): _put_range,
    ("GET", "file", "rangelist"): _list_ranges,
    ("PUT", "file", "metadata"): _set_metadata,
    ("PUT", "file", "properties"): _set_file_properties,
    ("PUT", "file", "rename"): _rename,
    ("DELETE", "file", ""): _delete_file,
    ("GET", "file", "listhandles"): _list_handles,
    ("PUT", "file", "forceclosehandles"): _close_handles,
}


def _endpoint(call: FilesCall) -> str:
    return f"{call.cloud.endpoints.files}/{call.account.name}/"


def _range(text: str, size: int) -> tuple[int, int]:
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", text)
    if not found or int(found[1]) >= size:
        raise FilesError(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    return int(found[1]), min(int(found[2] or size - 1), size - 1)


def _check_md5(call: FilesCall) -> None:
    stated = call.headers.get("content-md5")
    if stated and call.body and stated != base64.b64encode(_md5(call.body)).decode():
        raise FilesError(
            400, "Md5Mismatch", "The MD5 value specified in the request did not match with the value calculated."
        )


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _check_space(call: FilesCall, more: int) -> None:
    limit = int(call.share_resource.properties["shareQuota"]) * 1024**3
    small = call.cloud.settings.share_quota_bytes
    limit = min(limit, small) if small is not None else limit
    # Counting every file each time would be slow: it is done only where the limit could be near.
    if more > 0 and (small is not None or more > limit // 4) and call.tree.size() + more > limit:
        raise FilesError(413, "ShareSizeLimitReached", "The share's size limit is reached.")


def _check_sharing(call: FilesCall, place: Path) -> None:
    if place.is_file() and held_open_for_writing(place, call.cloud.runtime.processes()):
        raise FilesError(409, "SharingViolation", "The specified resource may be in use by an SMB client.")


def _exists(place: Path, wanted: str) -> FilesError:
    if place.is_dir() == (wanted == "directory"):
        return FilesError(409, "ResourceAlreadyExists", "The specified resource already exists.")
    return FilesError(
        409, "ResourceTypeMismatch", "The specified resource type does not match the type of the existing resource."
    )


def _content_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[f"x-ms-{name}"] for name in _CONTENT_HEADERS if f"x-ms-{name}" in headers}


def _shown_content(notes: Notes) -> dict[str, str]:
    shown = {"-".join(part.capitalize() for part in name.split("-")): value for name, value in notes.headers.items()}
    return {name.replace("Md5", "MD5"): value for name, value in shown.items()}


def _meta(notes: Notes) -> dict[str, str]:
    return {f"x-ms-meta-{name}": value for name, value in notes.metadata.items()}


def _times(place: Path) -> dict[str, str]:
    return {"ETag": etag_of(place), "Last-Modified": formatdate(place.stat().st_mtime, usegmt=True)}


def _properties(place: Path) -> dict[str, str]:
    found = place.stat()
    moment = smb_time(found.st_mtime)
    return {
        **_times(place),
        "x-ms-file-attributes": "Directory" if place.is_dir() else "Archive",
        "x-ms-file-creation-time": moment,
        "x-ms-file-last-write-time": moment,
        "x-ms-file-change-time": smb_time(found.st_ctime),
        "x-ms-file-permission-key": "0*0",
        "x-ms-file-id": str(found.st_ino),
        "x-ms-file-parent-id": str(place.parent.stat().st_ino),
    }
