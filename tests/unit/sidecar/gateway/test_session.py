"""Which cloud answers, and what becomes of the SDK's errors."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.core.pipeline.transport import HttpRequest, HttpResponse

from sidecar.gateway.session import AZURE_PROFILES, Session, cloud_of, open_session, portal_link, settings_from
from sidecar.gateway.translation import busy_for, translated
from sidecar.words.errors import CloudError, NotAuthorized, NotFound, NotSignedIn, SlipwayError, Unreachable
from sidecar.words.names import AzureCloud
from sidecar.words.text import Text


class Answer(HttpResponse):
    """A response as the SDK's pipeline hands it to an exception."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(HttpRequest("GET", "https://example"), None)
        self.status_code = status
        self.reason = "because"
        self.headers = {"Content-Type": "application/json"}
        self._said = json.dumps(body).encode()

    def body(self) -> bytes:
        return self._said


NESTED = {
    "error": {
        "code": "DeploymentFailed",
        "message": "At least one resource deployment operation failed.",
        "details": [
            {
                "code": "Conflict",
                "message": json.dumps(
                    {
                        "error": {
                            "code": "MaxRegionalQuotaExceeded",
                            "message": "The quota for GPUs in westeurope is used up.",
                        }
                    }
                ),
            }
        ],
    }
}


def raised(error: Exception) -> SlipwayError:
    with pytest.raises(SlipwayError) as caught, translated(Text("Doing it")):
        raise error
    return caught.value


def test_the_innermost_code_and_message_are_shown_even_from_json_inside_a_string() -> None:
    error = raised(HttpResponseError(response=Answer(409, NESTED)))
    assert isinstance(error, CloudError)
    assert error.code == "MaxRegionalQuotaExceeded"
    assert str(error) == "Doing it: The quota for GPUs in westeurope is used up."


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (
            HttpResponseError(response=Answer(403, {"error": {"code": "AuthorizationFailed", "message": "no"}})),
            NotAuthorized,
            "AuthorizationFailed",
        ),
        (
            ResourceNotFoundError(response=Answer(404, {"error": {"code": "ResourceNotFound", "message": "no"}})),
            NotFound,
            "ResourceNotFound",
        ),
        (ClientAuthenticationError(message="expired"), NotSignedIn, "NotSignedIn"),
        (ServiceRequestError("connection refused"), Unreachable, "Unreachable"),
        (HttpResponseError(message="<html>bad gateway</html>", response=Answer(502, "x")), CloudError, "Http502"),
    ],
)
def test_each_failure_of_the_sdk_becomes_ours_with_its_code(
    error: Exception, kind: type[SlipwayError], code: str
) -> None:
    ours = raised(error)
    assert type(ours) is kind
    assert ours.code == code


@pytest.mark.parametrize(("minutes", "code"), [(-10, "ClockSkew"), (10, "ClockSkew"), (2, "AuthenticationFailed")])
def test_a_refused_sign_in_on_a_wrong_clock_is_the_clocks_fault(minutes: int, code: str) -> None:
    answer = Answer(401, {"error": {"code": "AuthenticationFailed", "message": "no"}})
    answer.headers = {"Date": formatdate(time.time() + 60 * minutes, usegmt=True)}
    error = raised(ClientAuthenticationError(response=answer))
    assert error.code == code
    assert (f"is {abs(minutes)} minutes off" in str(error)) == (code == "ClockSkew")


@pytest.mark.parametrize(
    ("seconds", "later"), [("86400", True), ("7", False), ("Sun, 29 Nov 2026 00:00:00 GMT", False)]
)
def test_a_wait_that_nobody_is_kept_for_is_told_and_not_asked_again_for(seconds: str, later: bool) -> None:
    answer = Answer(429, {"error": {"code": "Throttled", "message": "no"}})
    answer.headers = {"Retry-After": seconds}
    error = HttpResponseError(response=answer)
    assert (busy_for(error) is None) == later
    assert ("1440 minutes" in str(raised(error).suggestion)) == later


def session(name: AzureCloud) -> Session:
    credential: Any = object()
    return Session(AZURE_PROFILES[name], credential, verify=True)


def test_a_bare_host_gets_the_clouds_scheme_and_a_scheme_is_kept() -> None:
    azure = session("azure")
    assert azure.url("app.region.azurecontainerapps.io") == "https://app.region.azurecontainerapps.io"
    assert azure.url("http://127.0.0.1:1/") == "http://127.0.0.1:1"


def test_the_portal_link_opens_the_deployment() -> None:
    link = portal_link(session("azureChina"), "/subscriptions/s/resourceGroups/g", "d")
    assert link is not None
    assert link.startswith("https://portal.azure.cn/#view/")
    assert link.endswith(
        "%2Fsubscriptions%2Fs%2FresourceGroups%2Fg%2Fproviders%2FMicrosoft.Resources%2Fdeployments%2Fd"
    )


def test_a_subscription_of_the_local_cloud_is_known_by_its_id(tmp_path: Path) -> None:
    settings = settings_from({"SLIPWAY_STATE": str(tmp_path)})
    assert cloud_of(settings, "auto", "sub") == "azure"
    settings.local_state.mkdir(parents=True)
    (settings.local_state / "cloud.json").write_text(
        json.dumps(
            {
                "pid": 1, "arm": "a", "authority": "b", "caFile": "c", "tenantId": "t", "clientId": "i", "clientSecret": "s",
                "subscriptions": [{"id": "sub", "name": "n"}], "ports": {"data": 1},
            }
        )
    )  # fmt: skip
    assert cloud_of(settings, "auto", "sub") == "local"
    assert cloud_of(settings, "auto", "other") == "azure"
    assert cloud_of(settings, "azureChina", "sub") == "azureChina"


def test_azure_asks_vs_code_for_a_token_once_until_it_nearly_ends_and_again_for_claims(tmp_path: Path) -> None:
    asked: list[tuple[str, list[str], str | None, str | None]] = []

    def tokens(
        cloud: str, scopes: list[str], tenant_id: str | None, claims: str | None, silent: bool
    ) -> tuple[str, int]:
        asked.append((cloud, scopes, tenant_id, claims))
        return f"token{len(asked)}", int(time.time()) + (3600 if len(asked) > 1 else 120)

    opened = open_session(settings_from({"SLIPWAY_STATE": str(tmp_path)}, tokens=tokens), "azure", "tenant")
    got = [opened.credential.get_token("scope").token for _ in range(3)]
    assert got == ["token1", "token2", "token2"]
    assert opened.credential.get_token("scope", claims="c").token == "token3"
    assert asked[-1] == ("azure", ["scope"], "tenant", "c")
