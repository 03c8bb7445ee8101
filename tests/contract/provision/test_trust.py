"""Which certificates are trusted on the way to Azure: a company's proxy that looks into TLS, and a terminal behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.contract.localcloud.conftest import ROOT
from tests.support.inspecting_proxy import InspectingProxy

LOGIN, ARM = "login.microsoftonline.com", "management.azure.com"
TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"


def answered(host: str, path: str) -> object:
    """What a sign-in with a secret and the list of subscriptions ask for."""
    base = f"https://{LOGIN}/{TENANT}"
    if "discovery" in path:
        return {"tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration", "metadata": []}
    if "openid-configuration" in path:
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }
    if host == LOGIN:
        return {"token_type": "Bearer", "expires_in": 3600, "access_token": "a-token"}
    if path.startswith("/tenants"):
        return {"value": [{"id": f"/tenants/{TENANT}", "tenantId": TENANT}]}
    shown = {"subscriptionId": SUBSCRIPTION, "displayName": "Inspected", "state": "Enabled", "tenantId": TENANT}
    return {"value": [{"id": f"/subscriptions/{SUBSCRIPTION}", **shown}]}


def listed(proxy: InspectingProxy, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AZURE_")},
        "HTTPS_PROXY": proxy.url,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": "33333333-3333-3333-3333-333333333333",
        "AZURE_CLIENT_SECRET": "a-secret",
        "SLIPWAY_STATE": str(folder / "state"),
        **more,
    }
    command = [sys.executable, "-m", "sidecar", "subscriptions", "--cloud", "azure", "--json"]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600, check=False)


def test_a_company_that_looks_into_tls_is_trusted_as_the_machine_trusts_it(tmp_path: Path) -> None:
    """Its authority is in the machine's store (here: the file that OpenSSL reads as it); Python's own list does not have it."""
    with InspectingProxy(tmp_path, [ARM, LOGIN], answered) as proxy:
        done = listed(proxy, tmp_path, SSL_CERT_FILE=str(proxy.authority))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Inspected" in done.stdout
        assert any(each.startswith(f"GET {ARM}/subscriptions") for each in proxy.asked)


def test_an_authority_that_the_machine_does_not_trust_is_not_trusted_by_us(tmp_path: Path) -> None:
    with InspectingProxy(tmp_path, [ARM, LOGIN], answered) as proxy:
        done = listed(proxy, tmp_path)
        assert done.returncode != 0
        assert proxy.asked == [], "nothing was said to it, the secret least of all"
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "Unreachable", error
        assert "does not trust the certificate" in error["suggestion"], error
