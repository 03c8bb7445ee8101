"""Which addresses may have the token of an app's logs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.gateway.session import AZURE_PROFILES, LOOPBACK

AZURE = "https://koreacentral.azurecontainerapps.dev/subscriptions/x/logstream"


@pytest.mark.fact(62)
@pytest.mark.parametrize(
    ("url", "azure", "local"),
    [
        (AZURE, True, False),
        (AZURE.upper().replace("HTTPS", "https"), True, False),
        (AZURE.replace("https", "http"), False, False),
        ("https://koreacentral.azurecontainerapps.dev.evil.example/x", False, False),
        ("https://evilazurecontainerapps.dev/x", False, False),
        ("https://koreacentral.azurecontainerapps.dev@evil.example/x", False, False),
        ("https://evil.example/?koreacentral.azurecontainerapps.dev", False, False),
        ("https://127.0.0.1:4000/x", False, True),
        ("http://127.0.0.1:4000/x", False, False),
        ("https://[::1]:4000/x", False, True),
        ("https://10.0.0.1:4000/x", False, False),
        ("/subscriptions/x", False, False),
        ("", False, False),
    ],
)
def test_the_logs_token_goes_to_azures_log_streams_or_to_the_local_cloud_only(
    url: str, azure: bool, local: bool
) -> None:
    profile = AZURE_PROFILES["azure"]
    assert profile.trusts_logs_of(url) == azure
    assert replace(profile, log_hosts=LOOPBACK).trusts_logs_of(url) == local
