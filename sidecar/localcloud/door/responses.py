"""ARM's errors as the doors answer them: the envelope around ArmError."""

from starlette.responses import JSONResponse, Response

from sidecar.localcloud.core.errors import ArmError


def error_response(error: ArmError) -> Response:
    return JSONResponse({"error": error.body()}, status_code=error.status, headers=error.headers)
