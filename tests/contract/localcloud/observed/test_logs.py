"""What real Azure was seen to say of itself: the system log, the console, KEDA, ports that do not match.

Each test names the numbers of the facts that it reproduces; where there is a capture, its shape or words are compared.
"""

import json
import re
from typing import Any

import httpx
import pytest

from tests.contract.localcloud.conftest import World, eventually
from tests.contract.localcloud.observed.reading import (
    container_of,
    events,
    latest,
    python,
    raw,
    revision_of,
    said,
    written,
)
from tests.contract.localcloud.test_apps import app_body, deployed, state_of
from tests.support.evidence import evidence, same_shape


@pytest.mark.fact(14, 102)
def test_an_app_that_listens_elsewhere_is_told_so(hasty: World):
    _listening_for_probes_alone(hasty)
    code = "import http.server as h\nh.ThreadingHTTPServer(('127.0.0.1', 0), h.BaseHTTPRequestHandler).serve_forever()"
    body = python(app_body(hasty.apps.managed_environments.get("g", "env").id), code)
    body["properties"]["template"]["containers"][0]["probes"] = []
    written(hasty, "elsewhere", body)
    told = eventually(
        lambda: next((e for e in events(hasty, "elsewhere") if e["Reason"] == "Pending:PortMismatch"), None)
    )
    theirs = evidence("ingress-target-port-mismatch/09-kql-after-trigger-portmismatch-sample-raw.txt")
    assert re.sub(r"\d+", "N", told["Msg"]) in re.sub(r"\d+", "N", theirs)
    assert told["Type"] == "Normal"
    assert told["ReplicaName"]
    eventually(
        lambda: "does not match the listening port" in (revision_of(hasty, "elsewhere")["runningStateDetails"] or "")
    )
    reasons = {each["Reason"] for each in events(hasty, "probed")}
    assert "ContainerStarted" in reasons
    assert "Pending:PortMismatch" not in reasons, "it began before the other"


def _listening_for_probes_alone(hasty: World) -> None:
    """An app whose server is not there yet, while something else answers the probes on a port of their own."""
    code = (
        "import http.server as h, os\n"
        "h.ThreadingHTTPServer(('127.0.0.1', int(os.environ['MY_PORT'])), h.BaseHTTPRequestHandler).serve_forever()"
    )
    body = python(app_body(hasty.apps.managed_environments.get("g", "env").id, env={"MY_PORT": "9000"}), code)
    body["properties"]["template"]["containers"][0]["probes"] = [{"type": "Liveness", "tcpSocket": {"port": 9000}}]
    written(hasty, "probed", body)


# Scale


@pytest.mark.fact(104, 114, 118)
def test_scale_to_zero_and_back_is_told_by_keda(cloud: World, environment: str):
    scale = {"minReplicas": 0, "maxReplicas": 1, "cooldownPeriod": 60}
    written(cloud, "sleeps", app_body(environment, scale=scale))
    url = f"http://{raw(cloud, 'sleeps')['properties']['configuration']['ingress']['fqdn']}"
    revision = latest(cloud, "sleeps")
    eventually(lambda: state_of(cloud, "g", "sleeps", revision) == ("ScaledToZero", "Healthy"))
    assert httpx.get(f"{url}/env", timeout=120).status_code == 200
    found = said(cloud, "sleeps")
    theirs = {each["Log_s"].replace(each_name(each["Log_s"]), "X") for each in scale_events()}
    ours = {message.replace(revision, "X") for reason, message in found if reason.startswith("KEDAScaleTarget")}
    assert ours == theirs


def scale_events() -> list[dict[str, Any]]:
    found = evidence("troubleshooting-labs/scale-to-zero-502/system_logs.json")
    return [each for each in found if each["Reason_s"].startswith("KEDAScaleTarget")]


def each_name(text: str) -> str:
    found = re.search(r"k8se-apps/(\S+)", text)
    return found.group(1) if found else ""


# Logs


@pytest.mark.fact(109, 110)
def test_a_console_stream_begins_and_is_tagged_as_captured(cloud: World, environment: str):
    deployed(cloud, "g", "console", app_body(environment))
    token = cloud.apps.container_apps.get_auth_token("g", "console").properties.token
    with httpx.Client(verify=cloud.known["caFile"], headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        text = http.get(container_of(cloud, "console")["logStreamEndpoint"], params={"follow": "false"}).text
    ours = [json.loads(line) for line in text.splitlines()]
    theirs = evidence("revision-provisioning-failure/06-console-logs.json")
    same_shape(theirs[:3], ours[:3])
    assert ours[0]["Log"] == theirs[0]["Log"].replace("'app'", "'main'")
    assert ours[1]["Log"].startswith("Successfully Connected to container: 'main' [Revision: 'console--")
    assert ours[2]["Log"].startswith("F ")
    assert theirs[2]["Log"].startswith("F ")


@pytest.mark.fact(113)
def test_a_stream_without_lines_says_that_it_is_alive_and_ends_after_a_while(cloud: World, environment: str):
    deployed(cloud, "g", "quiet", app_body(environment))
    token = cloud.apps.container_apps.get_auth_token("g", "quiet").properties.token
    with httpx.Client(verify=cloud.known["caFile"], headers={"Authorization": f"Bearer {token}"}, timeout=120) as http:
        lines = http.get(container_of(cloud, "quiet")["logStreamEndpoint"], params={"tailLines": "0"}).text.splitlines()
    assert [json.loads(line)["Log"] for line in lines[2:]] == ["No logs since last 60 seconds"] * 3


@pytest.mark.fact(106)
def test_a_storm_of_probes_pushes_the_rest_out(hasty: World):
    body = app_body(hasty.apps.managed_environments.get("g", "env").id)
    body["properties"]["template"]["containers"][0]["probes"] = [
        {"type": "Startup", "tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 240}
    ]
    written(hasty, "storm", body)
    eventually(lambda: len(events(hasty, "storm")) >= 302, seconds=240)
    eventually(lambda: "RevisionCreation" not in [reason for reason, _ in said(hasty, "storm")], seconds=240)
