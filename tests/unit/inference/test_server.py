"""The server's routes, each counted under its own name and none made up; and what its start imports."""

import subprocess
import sys
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.routing import Route

from inference.server import ROUTES, label
from inference.web.login import DOORS

ROOT = Path(__file__).resolve().parents[3]


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


def test_a_start_on_a_cpu_is_spared_torchs_compiler():
    """It comes with the GPU's path alone: more than a second of processor time at each start, and 150 MB for good."""
    program = (
        "import sys, inference.server, inference.loading; print('torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_the_chat_pages_import_writes_no_stubs_for_editors():
    """Gradio reads, parses and renders the source of each of its components for them, at each import."""
    program = (
        "import ast\n"
        "def refuse(*given): raise AssertionError('the source of a component is read')\n"
        "ast.get_source_segment = refuse\n"
        "from inference.web.stubless import without_stubs\n"
        "with without_stubs():\n"
        "    import inference.web.chat_page\n"
        "import gradio; print(gradio.Textbox('x').value)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "x\n"), done.stderr
