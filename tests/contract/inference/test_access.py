"""Who gets in: what is open without the key, the login page, cookies and one-time links."""

from typing import Any

import httpx
import pytest

from inference.web.gate import Gate
from tests.contract.inference.conftest import Endpoint, Sample, Started


def bare(endpoint: Endpoint, **options: Any) -> httpx.Client:
    return httpx.Client(base_url=endpoint.url, timeout=30, **options)


def test_health_is_open_and_says_no_more_than_a_status(endpoint: Endpoint):
    assert bare(endpoint).get("/health/live").status_code == 200
    ready = bare(endpoint).get("/health/ready")
    assert (ready.status_code, ready.content) == (200, b"")
    assert endpoint.http().get("/health/ready").json() == {
        "status": "ready",
        "phase": "ready",
        "progress": 1.0,
        "detail": "",
    }


@pytest.mark.parametrize(
    "path",
    ["/version", "/metrics", "/v1/models", "/config", "/gradio_api/info", "/assets/x.js", "/theme.css", "/v1/nothing"],
)
def test_everything_else_needs_the_key(endpoint: Endpoint, path: str):
    assert bare(endpoint).get(path).status_code == 401
    assert bare(endpoint, headers={"authorization": "Bearer wrong"}).get(path).status_code == 401
    assert bare(endpoint, cookies={Gate(endpoint.key).cookie: "9999999999.x.forged"}).get(path).status_code == 401


def test_the_login_page_stands_at_the_root_and_loads_nothing(endpoint: Endpoint):
    page = bare(endpoint).get("/")
    assert page.status_code == 200
    assert 'action="login"' in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_key_opens_the_chat_by_cookie(endpoint: Endpoint):
    client = bare(endpoint)
    refused = client.post("/login", data={"key": "wrong"})
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers
    welcome = client.post("/login", data={"key": endpoint.key})
    assert welcome.status_code == 303
    cookie = welcome.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert client.get("/version").status_code == 200


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
def test_behind_the_ingress_the_cookie_goes_over_https_only(endpoint: Endpoint, scheme: str, secure: bool):
    """TLS ends at the ingress, which says with which scheme it was asked."""
    if not isinstance(endpoint, Started):
        pytest.skip("there is an ingress in front of this endpoint already")
    behind = {"x-forwarded-proto": scheme}
    by_key = bare(endpoint, headers=behind).post("/login", data={"key": endpoint.key})
    link = endpoint.http().post("/login/link").json()["path"]
    by_link = bare(endpoint, headers=behind).get(link)
    for welcome in (by_key, by_link):
        assert welcome.status_code == 303
        assert ("; secure" in welcome.headers["set-cookie"].lower()) is secure


def test_a_login_link_works_once(endpoint: Endpoint):
    link = endpoint.http().post("/login/link").json()
    assert 0 < link["expires_in"] <= 60
    assert bare(endpoint).post("/login/link").status_code == 401
    client = bare(endpoint)
    first = client.get(link["path"])
    assert first.status_code == 303
    assert client.get("/version").status_code == 200
    assert bare(endpoint).get(link["path"]).status_code == 403


def test_gradio_has_no_file_or_upload_route(endpoint: Endpoint):
    client = endpoint.http()
    for path in ("upload", "file=/etc/passwd", "file/etc/passwd", "proxy=http://x", "stream/x", "runs"):
        assert client.get(f"/gradio_api/{path}").status_code == 404
        assert client.post(f"/gradio_api/{path}").status_code == 404
    assert client.get("/monitoring").status_code == 404


def test_the_version_names_the_release(endpoint: Endpoint, sample: Sample):
    version = endpoint.http().get("/version").json()
    assert version["base"] == sample.base
    assert [a["name"] for a in version["adapters"]] == [sample.adapter]
    assert version["release"]
    assert len(version["adapters"][0]["hash"]) == 64


def test_what_the_model_runs_on_is_said(endpoint: Endpoint, sample: Sample):
    """Device, number format, attention and quantisation, of the server and of each model."""
    version = endpoint.http().get("/version").json()
    kinds = {"device": {"cpu", "cuda"}, "attention": {"dense", "torch", "triton"}, "weights": {"full", "nf4"}}
    for name, possible in kinds.items():
        assert version[name] in possible
    assert version["dtype"] in {"float32", "bfloat16", "float16"}
    assert all(isinstance(note, str) for note in version["notes"])
    for each in endpoint.http().get("/v1/models").json()["data"]:
        assert {name: each[name] for name in (*kinds, "dtype")} == {name: version[name] for name in (*kinds, "dtype")}


def test_metrics_count_requests(endpoint: Endpoint):
    text = endpoint.http().get("/metrics").text
    assert 'slipway_requests_total{route="/health/live",status="200"}' in text
    assert "slipway_kv_blocks_used" in text
