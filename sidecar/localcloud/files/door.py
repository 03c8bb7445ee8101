"""The door of the Azure Files data plane: every route in one table, SharedKey, a SAS or a token checked, XML errors."""

import logging
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.accounts import find_account
from sidecar.localcloud.core.body import TooLarge, read_body
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.files import contents, directories, shares
from sidecar.localcloud.files.access import authenticate
from sidecar.localcloud.files.call import RANGE_LIMIT, FilesCall
from sidecar.localcloud.files.features import require_known, require_no_lease, require_version
from sidecar.localcloud.files.tree import FilesError
from sidecar.localcloud.files.xml import error_response

log = logging.getLogger(__name__)
Handler = Callable[[FilesCall], Response]

ROUTES: Mapping[tuple[str, str, str], Handler] = {
    ("GET", "service", "list"): shares.list_shares,
    ("GET", "service", "properties"): shares.service_properties,
    ("PUT", "share", ""): shares.create_share,
    ("GET", "share", ""): shares.share_properties,
    ("HEAD", "share", ""): shares.share_properties,
    ("PUT", "share", "metadata"): shares.share_metadata,
    ("PUT", "share", "properties"): shares.share_quota,
    ("GET", "share", "stats"): shares.share_stats,
    ("DELETE", "share", ""): shares.delete_share,
    ("PUT", "directory", ""): directories.create_directory,
    ("GET", "directory", ""): directories.directory_properties,
    ("HEAD", "directory", ""): directories.directory_properties,
    ("PUT", "directory", "metadata"): directories.set_metadata,
    ("PUT", "directory", "properties"): directories.set_directory_properties,
    ("PUT", "directory", "rename"): directories.rename,
    ("DELETE", "directory", ""): directories.delete_directory,
    ("GET", "directory", "list"): directories.list_directory,
    ("GET", "directory", "listhandles"): directories.list_handles,
    ("PUT", "directory", "forceclosehandles"): directories.close_handles,
    ("PUT", "file", ""): contents.create_file,
    ("HEAD", "file", ""): contents.file_properties,
    ("GET", "file", ""): contents.read_file,
    ("PUT", "file", "range"): contents.put_range,
    ("GET", "file", "rangelist"): contents.list_ranges,
    ("PUT", "file", "metadata"): directories.set_metadata,
    ("PUT", "file", "properties"): contents.set_file_properties,
    ("PUT", "file", "rename"): directories.rename,
    ("DELETE", "file", ""): contents.delete_file,
    ("GET", "file", "listhandles"): directories.list_handles,
    ("PUT", "file", "forceclosehandles"): directories.close_handles,
}


def as_sent(
    share: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> tuple[str, str, Mapping[str, str], Mapping[str, str]]:
    """What is looked at of a request once its signature is known to be right. Tests put another in its place, which takes
    something away, to prove that it would be missed."""
    return share, path, query, headers


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
        try:
            parts = unquote(raw_path, errors="strict").strip("/").split("/")
        except UnicodeDecodeError as problem:
            raise FilesError(400, "InvalidUri", "The requested URI is not valid UTF-8.") from problem
        account = find_account(self._cloud.store, parts[0]) if parts[0] else None
        if account is None:
            raise FilesError(400, "InvalidUri", "The requested URI does not represent any resource on the server.")
        if any(part in (".", "..") or "\\" in part for part in parts):
            raise FilesError(400, "InvalidUri", "The requested URI does not represent any resource on the server.")
        share = parts[1] if len(parts) > 1 else ""
        path = "/".join(part for part in parts[2:] if part)
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = {name.lower(): value for name, value in request.query_params.items()}
        asked = (request.method, raw_path, request.scope["query_string"].decode())
        address = request.client.host if request.client else ""
        needs = authenticate(self._cloud, account, *asked, headers, address=address)
        self._cloud.used()
        share, path, query, headers = as_sent(share, path, query, headers)
        kind = query.get("restype") or ("file" if path else ("share" if share else "service"))
        require_version(headers)
        require_known(headers, query)
        body = await _body(request)
        call = FilesCall(self._cloud, account, share, path, query, headers, body)
        handler = ROUTES.get((request.method, kind, query.get("comp", "")))
        if handler is None:
            raise FilesError(
                400,
                "InvalidQueryParameterValue",
                f"The operation is not known to the local cloud: {request.method} of a {kind}, comp={query.get('comp', '')}.",
            )
        needs(request.method, kind, query.get("comp", ""))
        require_no_lease(headers, kind)
        return handler(call)


async def _body(request: Request) -> bytes:
    try:
        return await read_body(request.stream(), request.headers.get("content-length", ""), RANGE_LIMIT)
    except TooLarge as problem:
        raise FilesError(
            413, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit."
        ) from problem
