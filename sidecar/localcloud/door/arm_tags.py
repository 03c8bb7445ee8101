"""The routes of tags at a scope: GET, PUT, PATCH, DELETE."""

from starlette.responses import JSONResponse, Response

from sidecar.localcloud.cloud import tags
from sidecar.localcloud.door.arm import Call


def get(call: Call) -> Response:
    return JSONResponse(tags.read_tags(call.cloud, call.names["scope"]))


def put(call: Call) -> Response:
    return JSONResponse(tags.replace_tags(call.cloud, call.names["scope"], call.body))


def patch(call: Call) -> Response:
    return JSONResponse(tags.patch_tags(call.cloud, call.names["scope"], call.body))


def delete(call: Call) -> Response:
    tags.remove_tags(call.cloud, call.names["scope"])
    return Response(status_code=200)
