"""How people get in: by the key that they type, or by a link that works once. Either gives them the cookie."""

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from inference.body import read_body
from inference.messages import json_response
from inference.web.gate import COOKIE_LIFETIME, TICKET_LIFETIME, Gate
from inference.web.pages import login_page, notice_page

NO_KEY = "the endpoint has no API key: the secret behind SLIPWAY_API_KEY is missing"
NO_KEY_PAGE = notice_page("No API key", f"{NO_KEY}. Run “Deploy for inference” to add it.", 0)
STATIC_POLICY = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def front_page(gate: Gate) -> Response:
    """What stands at `/` for who is not let in."""
    return HTMLResponse(login_page() if gate.configured else NO_KEY_PAGE, headers=STATIC_POLICY)


async def login(request: Request) -> Response:
    gate: Gate = request.app.state.gate
    raw = await read_body(request, 16 << 10, 10.0)
    given = form_field(raw, "key")
    if not gate.configured:
        return HTMLResponse(NO_KEY_PAGE, 503, STATIC_POLICY)
    if not gate.knows(given):
        return HTMLResponse(login_page("That is not the key of this endpoint."), 401, STATIC_POLICY)
    return welcome(request, gate, "./")


async def login_link(request: Request) -> Response:
    gate: Gate = request.app.state.gate
    return json_response({"path": f"/login/{gate.new_ticket()}", "expires_in": TICKET_LIFETIME})


async def login_by_link(request: Request) -> Response:
    gate: Gate = request.app.state.gate
    if request.method == "HEAD":  # a preview must not use the ticket up
        return Response()
    if not gate.configured:
        return HTMLResponse(NO_KEY_PAGE, 503, STATIC_POLICY)
    if not gate.take_ticket(request.path_params["ticket"]):
        return HTMLResponse(
            login_page("This link was used or is too old.").replace('action="login"', 'action="../login"'),
            403,
            STATIC_POLICY,
        )
    return welcome(request, gate, "../")


def welcome(request: Request, gate: Gate, where: str) -> Response:
    response = RedirectResponse(where, 303, {"cache-control": "no-store"})
    secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
    response.set_cookie(
        gate.cookie, gate.new_cookie(), max_age=COOKIE_LIFETIME, httponly=True, samesite="lax", secure=secure, path="/"
    )
    return response


def form_field(raw: bytes, name: str) -> str:
    return parse_qs(raw.decode("utf-8", "replace")).get(name, [""])[0]


DOORS = (
    Route("/login", login, methods=["POST"]),
    Route("/login/link", login_link, methods=["POST"]),
    Route("/login/{ticket}", login_by_link),
)
