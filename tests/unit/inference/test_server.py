"""The server's routes: each is counted under its own name, and nothing else makes up one."""

import pytest
from starlette.responses import Response
from starlette.routing import Route

from inference.server import ROUTES, label
from inference.web.login import DOORS


async def answer(request: pytest.FixtureRequest):
    return Response()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_of_the_api_is_counted_by_its_name(route: Route):
    asked = route.path.replace("{model:path}", "org/model")
    assert route.path.startswith(label(asked, ROUTES))


@pytest.mark.parametrize(
    ("path", "asked", "name"),
    [
        ("/v1/new", "/v1/new", "/v1/new"),
        ("/new", "/new", "/new"),
        ("/new/{name}", "/new/5", "/new"),
        ("/v1/new/{name:path}", "/v1/new/a/b", "/v1/new"),
        ("/v1/new/{name}/parts", "/v1/new/5/parts", "/v1/new"),
    ],
)
def test_a_new_route_is_counted_without_further_ado(path: str, asked: str, name: str):
    assert label(asked, ROUTES) in {"other", "page"}
    assert label(asked, [*ROUTES, Route(path, answer)]) == name


@pytest.mark.parametrize("route", DOORS, ids=lambda route: route.path)
def test_a_ticket_is_in_no_name(route: Route):
    assert label(route.path.replace("{ticket}", "5.secret.77"), ROUTES) == "page"


def test_what_nobody_serves_has_one_name_for_all():
    for number in range(3):
        assert label(f"/v1/made-up-{number}", ROUTES) == "other"
        assert label(f"/made-up-{number}", ROUTES) == "page"
