"""Queries to Log Analytics workspaces: POST /v1/workspaces/{id}/query, with a token of its own audience."""

import asyncio
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.body import TooLarge, read_body
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json, as_object
from sidecar.localcloud.core.identity import LOGS_AUDIENCE, Caller, verify
from sidecar.localcloud.resources.log_query import Answer, QueryRefused, answered
from sidecar.localcloud.runtime.archive import rows_of

_LIMIT = 64 * 1024


def log_query_routes(cloud: LocalCloud) -> list[Route]:
    async def query(request: Request) -> Response:
        workspace = str(request.path_params["workspace"])
        try:
            caller = verify(
                cloud.directory,
                cloud.endpoints.arm,
                request.headers.get("authorization", ""),
                (LOGS_AUDIENCE,),
                cloud.now(),
            )
            cloud.used()
            _may_read(cloud, caller, workspace)
            asked = await _query_of(request)
            found = await asyncio.to_thread(answered, asked, lambda table: rows_of(cloud.folder, workspace, table))
        except ArmError as error:
            return _refused(error.status, error.code, error.message)
        except QueryRefused as error:
            inner: Json = {"code": error.code, "message": str(error)}
            semantic: Json = {"code": "SemanticError", "message": "A semantic error occurred.", "innererror": inner}
            cause = inner if error.code == "SyntaxError" else semantic
            return _refused(400, "BadArgumentError", "The request had some invalid properties", cause)
        return JSONResponse(_shown(found))

    return [Route("/v1/workspaces/{workspace}/query", query, methods=["POST"])]


def _may_read(cloud: LocalCloud, caller: Caller, workspace: str) -> None:
    """Every role over the subscription may read its logs; somebody of another tenant may not."""
    kind = "Microsoft.OperationalInsights/workspaces"
    found = [each for each in cloud.store if each.type == kind and each.properties["customerId"] == workspace.lower()]
    if not found:
        raise ArmError(404, "WorkspaceNotFoundError", f"The workspace {workspace} could not be found")
    owner = cloud.subscription(found[0].id.split("/")[2]).tenant
    if caller.tenant != owner:
        text = "The provided credentials have insufficient access to perform the requested operation"
        raise ArmError(403, "InsufficientAccessError", text)


async def _query_of(request: Request) -> str:
    try:
        body = await read_body(request.stream(), request.headers.get("content-length", ""), _LIMIT)
        stated = as_object(json.loads(body))
    except TooLarge as problem:
        raise ArmError(413, "BadArgumentError", str(problem)) from problem
    except (ValueError, RecursionError) as problem:
        raise ArmError(400, "BadArgumentError", "The request body can't be read as JSON") from problem
    asked = None if stated is None else stated.get("query")
    if not isinstance(asked, str):
        raise ArmError(400, "BadArgumentError", "The request had no query")
    return asked


def _shown(found: Answer) -> Json:
    columns = [{"name": name, "type": kind} for name, kind in found.columns]
    return {"tables": [{"name": "PrimaryResult", "columns": columns, "rows": found.rows}]}


def _refused(status: int, code: str, message: str, inner: Json | None = None) -> JSONResponse:
    error: Json = {"message": message, "code": code, **({} if inner is None else {"innererror": inner})}
    return JSONResponse({"error": error}, status)
