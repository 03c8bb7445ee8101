"""The door of ARM and of the authority: every route in one table, authentication, roles, the error envelope."""

import functools
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from sidecar.localcloud.cloud import odata
from sidecar.localcloud.cloud.api_versions import require_version, type_of_path
from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.body import TooLarge, read_body
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, as_object
from sidecar.localcloud.core.identity import ARM_AUDIENCES, Caller, claims_challenge, verify
from sidecar.localcloud.deployments.deployments import Deployments
from sidecar.localcloud.door import arm, arm_deployments, arm_tags, authority
from sidecar.localcloud.door.arm import Call
from sidecar.localcloud.door.responses import error_response
from sidecar.localcloud.door.roles import authorize
from sidecar.localcloud.resources.strict import require_heard

log = logging.getLogger(__name__)
BODY_LIMIT = 4 * 1024 * 1024
Handler = Callable[[Call], Response]


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    handler: Handler
    options: tuple[str, ...] | None = ()
    """What it understands of OData; None: its handler judges that, and the API version."""

    def match(self, method: str, path: str) -> Mapping[str, str] | None:
        found = _pattern(self.path).fullmatch(path)
        return (
            {k: v for k, v in found.groupdict().items() if v is not None} if found and method == self.method else None
        )


_SUB = "/subscriptions/{subscription}"
_GROUP = _SUB + "/resourcegroups/{group}"
_TAGS = "{scope:/subscriptions/.+}/providers/Microsoft.Resources/tags/default"
_DEPLOYMENTS = "/providers/Microsoft.Resources/deployments"


def _both(method: str, path: str, handler: Handler, options: tuple[str, ...] = ()) -> list[Route]:
    """A route of deployments at either scope."""
    return [Route(method, scope + path, handler, options) for scope in (_SUB, _GROUP)]


ROUTES: list[Route] = [
    Route("GET", "/subscriptions", arm.list_subscriptions),
    Route("GET", "/tenants", arm.list_tenants),
    Route("GET", _SUB, arm.get_subscription),
    Route("GET", _SUB + "/locations", arm.list_locations),
    Route("GET", _SUB + "/resources", arm.list_resources, ("$filter", "$top", "$expand")),
    Route("GET", _SUB + "/resourcegroups", arm.list_groups, ("$filter", "$top")),
    Route("GET", _GROUP, arm.get_group),
    Route("HEAD", _GROUP, arm.head_group),
    Route("PUT", _GROUP, arm.put_group),
    Route("PATCH", _GROUP, arm.patch_group),
    Route("DELETE", _GROUP, arm.delete_group),
    Route("GET", _GROUP + "/resources", arm.list_resources, ("$filter", "$top", "$expand")),
    Route("GET", _GROUP + "/providers/Microsoft.Authorization/permissions", arm.permissions),
    Route("GET", _SUB + "/providers", arm.list_providers),
    Route("GET", _SUB + "/providers/{namespace}", arm.get_provider),
    Route("POST", _SUB + "/providers/{namespace}/{action:register|unregister}", arm.register_provider),
    Route("GET", _TAGS, arm_tags.get),
    Route("PUT", _TAGS, arm_tags.put),
    Route("PATCH", _TAGS, arm_tags.patch),
    Route("DELETE", _TAGS, arm_tags.delete),
    *_both("PUT", _DEPLOYMENTS + "/{name}", arm_deployments.put),
    *_both("GET", _DEPLOYMENTS + "/{name}", arm_deployments.get),
    *_both("HEAD", _DEPLOYMENTS + "/{name}", arm_deployments.head),
    *_both("DELETE", _DEPLOYMENTS + "/{name}", arm_deployments.delete),
    *_both("GET", _DEPLOYMENTS, arm_deployments.list_all, ("$filter", "$top")),
    *_both("POST", _DEPLOYMENTS + "/{name}/validate", arm_deployments.validate),
    *_both("POST", _DEPLOYMENTS + "/{name}/whatIf", arm_deployments.start_what_if),
    *_both("POST", _DEPLOYMENTS + "/{name}/cancel", arm_deployments.cancel),
    *_both("POST", _DEPLOYMENTS + "/{name}/exportTemplate", arm_deployments.export_template),
    *_both("GET", _DEPLOYMENTS + "/{name}/operations", arm_deployments.operations, ("$top",)),
    *_both("GET", _DEPLOYMENTS + "/{name}/operations/{operation}", arm_deployments.operation),
    *_both("GET", _DEPLOYMENTS + "/{name}/operationStatuses/{operation}", arm_deployments.operation_status),
    # The real az asks here.
    *_both("GET", "/deployments/{name}/operations", arm_deployments.operations, ("$top",)),
    *_both("GET", "/deployments/{name}/operations/{operation}", arm_deployments.operation),
    Route("POST", "/providers/Microsoft.Resources/calculateTemplateHash", arm_deployments.calculate_hash),
    Route("POST", _SUB + "/providers/Microsoft.Storage/checkNameAvailability", arm.check_storage_name),
    Route("GET", _SUB + "/providers/Microsoft.App/locations/{location}/usages", arm.app_usages),
    Route(
        "GET",
        _SUB + "/providers/Microsoft.App/locations/{location}/availableManagedEnvironmentsWorkloadProfileTypes",
        arm.profile_types,
    ),
    Route("GET", _GROUP + "/providers/Microsoft.App/managedEnvironments/{environment}/usages", arm.environment_usages),
    Route(
        "GET",
        _GROUP + "/providers/Microsoft.App/managedEnvironments/{environment}/workloadProfileStates",
        arm.profile_states,
    ),
    Route("GET", _SUB + "/operationresults/{operation}", arm_deployments.operation_result),
    Route(
        "GET", _SUB + "/providers/{namespace}/locations/{location}/operationStatuses/{operation}", arm.operation_status
    ),
    Route(
        "GET", _SUB + "/providers/{namespace}/locations/{location}/operationResults/{operation}", arm.operation_result
    ),
    # Whatever is left is a resource of a provider, a list of them, or an action on one.
    *[
        Route(method, _SUB + "/{rest:.*}", arm.resource, None)
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "POST")
    ],
]


def arm_app(cloud: LocalCloud, deployments: Deployments) -> Starlette:
    """ARM at /subscriptions and /tenants, the authority's own pages beside it."""
    door = _Door(cloud, deployments)
    return Starlette(routes=[*authority.routes(cloud), Mount("/", door)])


class _Door:
    """The ASGI application in front of ARM's routes."""

    def __init__(self, cloud: LocalCloud, deployments: Deployments) -> None:
        self._cloud = cloud
        self._deployments = deployments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ArmError as error:
            response = error_response(error)
        except ClientDisconnect:
            return
        except Exception:
            # The boundary of a request: the client gets ARM's 500, the log the trace.
            log.exception("%s %s failed", request.method, request.url.path)
            response = error_response(ArmError(500, "InternalServerError", "The server encountered an internal error."))
        request_id = request.headers.get("x-ms-client-request-id", "")
        response.headers["x-ms-request-id"] = request_id or "00000000-0000-0000-0000-000000000000"
        response.headers["x-ms-correlation-request-id"] = request.headers.get("x-ms-correlation-request-id", request_id)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        # Some clients write a slash before an id, which begins with one.
        path = "/" + request.url.path.strip("/")
        body = await _body(request)
        caller = self._authenticate(request, path)
        self._cloud.used()
        query = {("$" + k.lstrip("$") if k.startswith("$") else k): v for k, v in request.query_params.items()}
        if not query.get("api-version"):
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        if request.headers.get("x-ms-snapshot"):
            raise invalid(
                "The header x-ms-snapshot is not supported: the local cloud has no snapshots.", "UnsupportedHeader"
            )
        content = _content(request.method, body)
        for route in ROUTES:
            names = route.match(request.method, path)
            if names is not None:
                authorize(caller, request.method, path)
                if self._cloud.settings.strict:
                    require_heard(request.method, path, query, content)
                if route.options is not None:
                    require_version(
                        type_of_path(path), query["api-version"], "", ", ".join(self._cloud.settings.locations)
                    )
                    odata.require_known(query, route.options)
                call = Call(
                    cloud=self._cloud,
                    deployments=self._deployments,
                    method=request.method,
                    path=path,
                    query=query,
                    body=content,
                    caller=caller,
                    names=names,
                )
                return route.handler(call)
        raise ArmError(404, "InvalidResourceType", f"'{request.method} {path}' is not a resource of this cloud.")

    def _authenticate(self, request: Request, path: str) -> Caller:
        cloud = self._cloud
        caller = verify(
            cloud.directory,
            cloud.endpoints.arm,
            request.headers.get("authorization", ""),
            (*ARM_AUDIENCES, cloud.endpoints.arm),
            cloud.now(),
        )
        found = re.match(r"/subscriptions/([^/]+)", path, re.IGNORECASE)
        owners = [each for each in cloud.directory.subscriptions if found and each.id.lower() == found.group(1).lower()]
        if caller.tenant != cloud.directory.tenants[0] and found:
            raise claims_challenge(cloud.endpoints.arm, caller.tenant)
        if owners and owners[0].tenant != caller.tenant:
            raise ArmError(
                401,
                "InvalidAuthenticationTokenTenant",
                f"The access token is from the wrong issuer '{cloud.endpoints.arm}/{caller.tenant}/'. It must match the tenant "
                f"'{cloud.endpoints.arm}/{owners[0].tenant}/' associated with this subscription.",
                headers={
                    "WWW-Authenticate": f'Bearer authorization_uri="{cloud.endpoints.arm}/{owners[0].tenant}", '
                    'error="invalid_token"'
                },
            )
        return caller


async def _body(request: Request) -> bytes:
    try:
        return await read_body(request.stream(), request.headers.get("content-length", ""), BODY_LIMIT)
    except TooLarge as problem:
        raise ArmError(413, "RequestContentTooLarge", str(problem)) from problem


def _content(method: str, body: bytes) -> Json:
    if method in ("GET", "HEAD", "DELETE") or not body.strip():
        return {}
    problem = "The request content was invalid and could not be deserialized"
    try:
        text = body.decode()
        content = _json(text)
    except (ValueError, RecursionError) as invalid:
        raise ArmError(400, "InvalidRequestContent", f"{problem}: '{str(invalid)[:200]}'.") from invalid
    if content is None:
        return {}
    found = as_object(content)
    if found is None:
        raise ArmError(400, "InvalidRequestContent", f"{problem}: an object is expected.")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        # The real az writes a deployment's template under an unquoted key.
        return json.loads(re.sub(r"([{,]\s*)template\s*:", r'\1"template":', text, count=1))


@functools.cache
def _pattern(path: str) -> re.Pattern[str]:
    def hole(found: re.Match[str]) -> str:
        return f"(?P<{found.group(1)}>{found.group(2) or '[^/]+'})"

    parts = re.split(r"(\{\w+(?::[^}]*)?\})", path)
    text = "".join(
        re.sub(r"\{(\w+)(?::([^}]*))?\}", hole, part) if part.startswith("{") else re.escape(part) for part in parts
    )
    return re.compile(text, re.IGNORECASE)
