"""What looks like a secret is taken out, and what a person needs stays."""

from __future__ import annotations

import pytest

from sidecar.decisions.redaction import HIDDEN, redacted, without_values

KEY = "A1b2C3d4" * 10 + "A1b2C3" + "=="


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("GET /v1/models Authorization: Bearer abc.DEF-123_xyz", "abc.DEF-123_xyz"),
        ("https://a.file.core.windows.net/s/f?sv=2024&sig=aB%2Bc%3D&se=2026", "aB%2Bc%3D"),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcd1234+/==;EndpointSuffix=x", "abcd1234+/=="),
        ("Endpoint=sb://x;SharedAccessKey=zzzz1111", "zzzz1111"),
        ("Server=x;Password=hunter2hunter2;", "hunter2hunter2"),
        ('{"apiKey": "tell-nobody"}', "tell-nobody"),
        ("+ export HF_TOKEN=whatever-it-is", "whatever-it-is"),
        ("token eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln", "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln"),
        (f"key1 {KEY} of the account", KEY),
        ("303 /login/1700000000.abc.def0123456789", "1700000000.abc.def0123456789"),
        ("hf_abcdefghijklmnopqrstuv", "hf_abcdefghijklmnopqrstuv"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    clean = redacted(text, ())
    assert secret not in clean
    assert HIDDEN in clean


def test_a_known_secret_is_taken_out_wherever_it_stands_and_the_longest_first() -> None:
    assert redacted("x-plain-word-y plain-word", ["plain-word", "plain-word-y"]) == f"x-{HIDDEN} {HIDDEN}"


def test_what_a_person_needs_stays() -> None:
    text = "Revision app--0000001 is Unhealthy: http://127.0.0.2:4711 answered 503; release 0123456789ab, keys: 2"
    assert redacted(text, ["", "503"]) == text


def test_variables_of_a_person_have_no_value_and_ours_do() -> None:
    env = [{"name": "DATABASE_URL", "value": "postgres://me:pw@host"}, {"name": "SLIPWAY_APP", "value": "app"}]
    shown = without_values({"properties": {"template": {"containers": [{"env": env}]}}})
    assert shown["properties"]["template"]["containers"][0]["env"] == [
        {"name": "DATABASE_URL", "value": HIDDEN},
        env[1],
    ]
