"""Faults of single answers: ARM asks for patience, fails, loses an answer, refuses, or answers what can't be used."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from tests.faults.deploying.ground import Ended
from tests.faults.provisioning.ground import Ground, Row

PUT = {"method": "PUT", "path": "/deployments/"}
GET = {"method": "GET", "path": "/deployments/[^/]*[?]"}
COUNTED = {"kind": "delay", "seconds": 0, "times": None}
"""A rule that changes nothing and counts."""

JSON = {"content-type": "application/json"}


def told(ended: Ended) -> str:
    error = ended.error if ended.code else {}
    return f"exit {ended.code}" + (f" {error.get('code')}: {str(error.get('message'))[:110]}" if error else "")


def asks_for_patience(ground: Ground) -> Row:
    throttled = {"status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "7"}}
    began = time.monotonic()
    with ground.faults({**PUT, **throttled}, {**GET, **throttled, "skip": 1}) as hits:
        done = ground.provision()
        struck = hits()
    seconds = time.monotonic() - began
    shown = done.err.count("again in 7 s")
    return Row(
        1, "429 with Retry-After 7 on the PUT and a GET", "waits, goes on, says so",
        f"{told(done)}, {seconds:.0f} s, told {shown} times", seconds, 60, sum(struck),
        done.code == 0 and seconds > 14 and struck == [1, 1] and shown >= 1,
    )  # fmt: skip


def asks_for_a_day(ground: Ground) -> Row:
    asked = {"status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "86400"}, "times": None}
    began = time.monotonic()
    with ground.faults({**PUT, **asked}) as hits:
        done = ground.provision()
        struck = sum(hits())
    suggestion = str(done.error.get("suggestion")) if done.code else ""
    return Row(
        2, "Retry-After 86400", "capped; fails with the reason", f"{told(done)} → {suggestion}",
        time.monotonic() - began, 180, struck,
        done.code == 1 and done.error["code"] == "TooManyRequests" and "1440 minutes" in suggestion
        and not any(ground.counted().values()),
    )  # fmt: skip


def fails_twice(ground: Ground) -> Row:
    began, codes, struck = time.monotonic(), list[int](), 0
    for status in (500, 502, 503, 504):
        failed = {"status": status, "code": "ServerError", "times": 2}
        fresh = ground.beside(str(status))
        with fresh.faults({**PUT, **failed}, {**GET, **failed, "skip": 1}) as hits:
            codes.append(fresh.provision().code)
            struck += sum(hits())
        fresh.end()
    return Row(
        3, "500, 502, 503, 504 twice each on PUT and GET", "nobody notices", f"exits {codes}", time.monotonic() - began,
        120, struck, codes == [0] * 4 and struck == 16,
    )  # fmt: skip


def lost_after_the_put(ground: Ground) -> Row:
    began = time.monotonic()
    with ground.faults({**PUT, "kind": "reset-after"}, {**PUT, **COUNTED}) as hits:
        done = ground.provision()
        struck, again = hits()
    there = ground.deployments()
    return Row(
        5, "the connection is reset after the PUT was sent", "a GET tells; no second deployment",
        f"{told(done)}, PUTs after it {again}, deployments {there}", time.monotonic() - began, 60, struck,
        done.code == 0 and struck == 1 and again == 0 and len(there) == 1,
    )  # fmt: skip


def lost_before_the_put(ground: Ground) -> Row:
    began = time.monotonic()
    with ground.faults({**PUT, "kind": "reset-before"}, {**PUT, **COUNTED}) as hits:
        done = ground.provision()
        struck, again = hits()
    return Row(
        5, "the connection is reset before the PUT arrived", "a GET tells; asked for once more",
        f"{told(done)}, PUTs after it {again}", time.monotonic() - began, 60, struck,
        done.code == 0 and struck == 1 and again == 1,
    )  # fmt: skip


def token_refused(ground: Ground) -> Row:
    claims = base64.b64encode(json.dumps({"access_token": {"nbf": {"essential": True}}}).encode()).decode()
    place = 'Bearer authorization_uri="https://127.0.0.1/t"'
    expired = {"WWW-Authenticate": f'{place}, error="invalid_token"'}
    challenge = {"WWW-Authenticate": f'{place}, error="insufficient_claims", claims="{claims}"'}
    refused = {**GET, "status": 401, "code": "ExpiredAuthenticationToken"}
    began = time.monotonic()
    with ground.faults(
        {**refused, "headers": expired, "skip": 1}, {**refused, "headers": challenge, "skip": 2}
    ) as hits:
        done = ground.provision()
        struck = hits()
    return Row(
        7, "the token expires while the deployment is followed; a challenge for claims", "renewed without a question",
        told(done), time.monotonic() - began, 60, sum(struck), done.code == 0 and struck == [1, 1],
    )  # fmt: skip


def forbidden(ground: Ground) -> Row:
    action, scope = "Microsoft.App/managedEnvironments/read", f"/subscriptions/x/resourceGroups/{ground.name}"
    body = {"error": {"code": "AuthorizationFailed", "message": (
        f"The client 'c' with object id 'o' does not have authorization to perform action '{action}' over scope "
        f"'{scope}' or the scope is invalid.")}}  # fmt: skip
    began = time.monotonic()
    with ground.faults(
        {
            "method": "GET",
            "path": "/managedEnvironments/[^/]*[?]",
            "status": 403,
            "body": json.dumps(body),
            "times": None,
        }
    ) as hits:
        done = ground.provision()
        struck = sum(hits())
    error = done.error if done.code else {}
    return Row(
        8, "403 on one resource", "names the permission and its scope", told(done), time.monotonic() - began, 60, struck,
        done.code == 1 and error["code"] == "AuthorizationFailed" and action in error["message"]
        and scope in error["message"] and "role" in error["suggestion"],
    )  # fmt: skip


def not_registered(ground: Ground) -> Row:
    began = time.monotonic()
    register = {"method": "POST", "path": "/register[?]", **COUNTED}
    with ground.faults({**PUT, "status": 409, "code": "MissingSubscriptionRegistration"}, register) as hits:
        done = ground.provision()
        struck, registered = hits()
    return Row(
        9, "409 MissingSubscriptionRegistration", "registered, waited for, asked for again",
        f"{told(done)}, registrations {registered}", time.monotonic() - began, 60, struck,
        done.code == 0 and struck == 1 and registered == 3,
    )  # fmt: skip


def answered_with(body: Any, path: str, times: int | None = None) -> dict[str, Any]:
    return {
        "method": "GET", "path": path, "kind": "body", "status": 200, "times": times, "headers": JSON,
        "body": body if isinstance(body, str) else json.dumps(body),
    }  # fmt: skip


def nested_causes(ground: Ground) -> Row:
    inner = {"error": {"code": "MaxRegionalQuotaExceeded", "message": "The quota of the region is used up."}}
    status = {"status": "Failed", "error": {"code": "Conflict", "message": f"It failed: {json.dumps(inner)}"}}
    outer = {"code": "ResourceDeploymentFailure", "message": json.dumps(status)}
    failed = {"id": "/d", "name": "d", "properties": {"provisioningState": "Failed", "error": outer}}
    resource = {"id": "/r", "resourceType": "Microsoft.App/containerApps", "resourceName": "ui"}
    operation = {"provisioningOperation": "Create", "provisioningState": "Failed", "targetResource": resource}
    listed = {
        "value": [{"id": "/o", "operationId": "1", "properties": {**operation, "statusMessage": json.dumps(status)}}]
    }
    began = time.monotonic()
    with ground.faults(
        answered_with(listed, "/deployments/[^/]*/operations"), {**answered_with(failed, GET["path"]), "skip": 1}
    ) as hits:
        done = ground.provision()
        struck = hits()
    error = done.error if done.code else {}
    return Row(
        13, "a failed deployment with JSON in strings", "the innermost code and sentence, and the resource", told(done),
        time.monotonic() - began, 60, sum(struck),
        done.code == 1 and error["code"] == "MaxRegionalQuotaExceeded" and "containerApps ui" in error["message"]
        and error["message"].endswith("The quota of the region is used up.") and not ground.config_file,
    )  # fmt: skip


def no_quota_at_preflight(ground: Ground) -> Row:
    row = {"name": {"value": "SubscriptionConsumptionT4Gpus"}, "currentValue": 0, "limit": 0, "unit": "Count"}
    began = time.monotonic()
    with ground.faults(answered_with({"value": [row]}, "/locations/[^/]*/usages"), {**PUT, **COUNTED}) as hits:
        done = ground.provision()
        struck, puts = hits()
    error = done.error if done.code else {}
    made = sum(ground.counted().values())
    return Row(
        14, "no quota, read at preflight", "stops before anything is made", f"{told(done)}, PUTs {puts}, made {made}",
        time.monotonic() - began, 60, struck, done.code == 1 and puts == made == 0 and "GPU" in error["message"],
    )  # fmt: skip


def no_sku_at_the_put(ground: Ground) -> Row:
    began = time.monotonic()
    with ground.faults({**PUT, "status": 409, "code": "SkuNotAvailable"}) as hits:
        done = ground.provision()
        struck = sum(hits())
    made = sum(ground.counted().values())
    return Row(
        14, "a SKU that is refused at the PUT", "told cleanly, nothing made", f"{told(done)}, made {made}",
        time.monotonic() - began, 60, struck, done.code == 1 and done.error["code"] == "SkuNotAvailable" and made == 0,
    )  # fmt: skip


def mangled_outputs(ground: Ground) -> Row:
    """Each shape on a configuration that somebody has written a comment and a key into. Another run then reads what is there."""
    before = '{\n  // ours\n  "MINE": 1\n}\n'
    whole = {"acA_APP_NAME": {"type": "String", "value": "a"}}
    shapes: dict[str, Any] = {
        "none": None, "a part": whole, "null": {**whole, "acA_APP_ENDPOINT": {"type": "String", "value": None}},
        "text": "outputs", "bare values": {"acA_APP_NAME": "a"}, "a list": [whole],
    }  # fmt: skip
    began, seen, struck, right = time.monotonic(), list[str](), 0, True
    for name, outputs in shapes.items():
        fresh = ground.beside(name.replace(" ", "-"))
        fresh.project.workspace.config_file.write_text(before, encoding="utf-8")
        ended = {"id": "/d", "name": "d", "properties": {"provisioningState": "Succeeded", "outputs": outputs}}
        with fresh.faults({**answered_with(ended, GET["path"]), "skip": 1}) as hits:
            done = fresh.provision()
            struck += sum(hits())
        kept = fresh.config_file == before
        code = done.error["code"] if done.code else "no error"
        again = fresh.provision().code
        whole_now = "// ours" in fresh.config_file and '"MINE": 1' in fresh.config_file and not fresh.torn()
        seen.append(f"{name}: {code}{'' if kept else ', configuration changed'}, then exit {again}")
        right = right and kept and code == "OutputsMissing" and again == 0 and whole_now
        fresh.end()
    return Row(
        16, "outputs that are mangled or missing", "the configuration as it was, then whole; comments stay", "; ".join(seen),
        time.monotonic() - began, 200, struck, right and struck >= len(shapes),
    )  # fmt: skip


def skewed(minutes: int) -> Callable[[Ground], Row]:
    """43: ARM says, by its own clock, that the token is not valid yet, or not any more."""

    def play(ground: Ground) -> Row:
        headers = {
            "Date": formatdate(time.time() + 60 * minutes, usegmt=True),
            "WWW-Authenticate": 'Bearer authorization_uri="https://127.0.0.1/t", error="invalid_token"',
        }
        began = time.monotonic()
        with ground.faults(
            {
                "path": "^/subscriptions/",
                "status": 401,
                "code": "InvalidAuthenticationToken",
                "headers": headers,
                "times": None,
            }
        ) as hits:
            done = ground.provision()
            struck = sum(hits())
        error = done.error if done.code else {}
        return Row(
            43, f"the clock is {abs(minutes)} minutes {'behind' if minutes > 0 else 'ahead'}", "told as the clock",
            told(done), time.monotonic() - began, 30, struck,
            done.code == 1 and error["code"] == "ClockSkew" and f"{abs(minutes)} minutes" in error["message"]
            and "clock" in error["suggestion"],
        )  # fmt: skip

    return play


ANSWERS: dict[str, Callable[[Ground], Row]] = {
    "1": asks_for_patience,
    "2": asks_for_a_day,
    "3": fails_twice,
    "5": lost_after_the_put,
    "5-before": lost_before_the_put,
    "7": token_refused,
    "8": forbidden,
    "9": not_registered,
    "13": nested_causes,
    "14": no_quota_at_preflight,
    "14-put": no_sku_at_the_put,
    "16": mangled_outputs,
    "43": skewed(10),
    "43-ahead": skewed(-10),
}
