"""The authority's pages: OIDC discovery, token endpoint, managed identity, the list of endpoints. No token is needed here."""

import functools
import secrets
import time
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.body import TooLarge, read_body
from sidecar.localcloud.core.identity import Principal, issue, key_set

_FORM_LIMIT = 65536


async def endpoints(cloud: LocalCloud, request: Request) -> Response:
    base = cloud.endpoints.arm
    version = request.query_params.get("api-version", "")
    audiences = ["https://management.core.windows.net/", "https://management.azure.com/"]
    if version < "2019-05-01":
        return JSONResponse(
            {
                "galleryEndpoint": base,
                "graphEndpoint": base,
                "portalEndpoint": base,
                "authentication": {"loginEndpoint": base, "audiences": audiences},
            }
        )
    known = {
        "name": "LocalCloud",
        "portal": base,
        "authentication": {
            "loginEndpoint": base,
            "audiences": audiences,
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": base,
        "graph": base,
        "gallery": base,
        "suffixes": {"storage": base.removeprefix("https://")},
    }
    return JSONResponse(known if version >= "2022-09-01" else [known])  # from then on one cloud, not a list


async def discovery(cloud: LocalCloud, request: Request) -> Response:
    base, tenant = cloud.endpoints.arm, request.path_params["tenant"]
    known = _tenant(cloud, tenant)
    if known is None:
        return _refused(400, "invalid_tenant", f"AADSTS90002: Tenant '{tenant}' not found.")
    return JSONResponse(
        {
            "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base}/{known}/v2.0",
            "authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/devicecode",
            "tenant_region_scope": None,
        }
    )


async def keys(cloud: LocalCloud, _request: Request) -> Response:
    return JSONResponse(key_set(cloud.directory))


async def token(cloud: LocalCloud, request: Request) -> Response:
    try:
        body = await read_body(request.stream(), request.headers.get("content-length", ""), _FORM_LIMIT)
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    except TooLarge:
        return _refused(400, "invalid_request", "AADSTS900144: The request body is too large.")
    except (UnicodeDecodeError, ValueError):
        return _refused(400, "invalid_request", "AADSTS900144: The request body can't be read.")
    tenant = _tenant(cloud, request.path_params["tenant"])
    if tenant is None:
        return _refused(400, "invalid_request", "AADSTS90002: Tenant not found.")
    if form.get("grant_type") != "client_credentials":
        return _refused(400, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.")
    scope = form.get("scope", "").split(" ")[0]
    audience = form.get("resource") or scope.removesuffix("/.default")
    if not audience:
        return _refused(400, "invalid_request", "AADSTS900144: The request body must contain 'scope'.")
    principal = _principal(cloud, form.get("client_id", ""), form.get("client_secret", ""))
    if principal is None:
        return _refused(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
    return JSONResponse(_granted(cloud, principal, tenant, audience))


async def managed_identity(cloud: LocalCloud, request: Request) -> Response:
    sent = request.headers.get("x-identity-header", "")
    if not secrets.compare_digest(sent.encode(), cloud.directory.managed_identity_header.encode()):
        return JSONResponse({"statusCode": 401, "message": "X-IDENTITY-HEADER is missing or wrong"}, 401)
    audience = request.query_params.get("resource", "")
    if not audience:
        return JSONResponse({"statusCode": 400, "message": "resource is missing"}, 400)
    owner = cloud.directory.owner
    granted = _granted(cloud, owner, owner.tenant, audience)
    expires = str(int(cloud.now()) + int(granted["expires_in"]))
    return JSONResponse(
        {
            "access_token": granted["access_token"],
            "expires_on": expires,
            "resource": audience,
            "token_type": "Bearer",
            "client_id": owner.client_id,
        }
    )


Handler = Callable[[LocalCloud, Request], Awaitable[Response]]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/metadata/endpoints", endpoints),
    ("GET", "/{tenant}/.well-known/openid-configuration", discovery),
    ("GET", "/{tenant}/v2.0/.well-known/openid-configuration", discovery),
    ("GET", "/{tenant}/discovery/v2.0/keys", keys),
    ("POST", "/{tenant}/oauth2/v2.0/token", token),
    ("POST", "/{tenant}/oauth2/token", token),
    ("GET", "/msi/token", managed_identity),
)


def routes(cloud: LocalCloud) -> list[Route]:
    return [Route(path, functools.partial(handler, cloud), methods=[method]) for method, path, handler in ROUTES]


def _tenant(cloud: LocalCloud, name: str) -> str | None:
    if name in ("common", "organizations"):
        return cloud.directory.tenants[0]
    return name if name in cloud.directory.tenants else None


def _principal(cloud: LocalCloud, client_id: str, client_secret: str) -> Principal | None:
    for principal in cloud.directory.principals:
        same = secrets.compare_digest(principal.client_secret.encode(), client_secret.encode())
        if principal.client_id == client_id and same:
            return principal
    return None


def _granted(cloud: LocalCloud, principal: Principal, tenant: str, audience: str) -> dict[str, str | int]:
    issuer = f"{cloud.endpoints.arm}/{tenant}/"
    there = Principal(principal.client_id, principal.client_secret, principal.object_id, tenant, principal.role)
    token = issue(cloud.directory, issuer, there, audience, cloud.now())
    return {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}


def _refused(status: int, error: str, description: str) -> Response:
    moment = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    body: dict[str, object] = {
        "error": error,
        "error_description": f"{description} Timestamp: {moment}",
        "error_codes": [],
        "timestamp": moment,
    }
    return JSONResponse(body, status)
