"""`npm run contract -- recorded`: every request that clients of others were recorded with, sent again in order, and judged.

Ids and names of a run are mapped to ours, signatures made anew. Each answer is as Azure would answer, refused with the name of
what is not here, or wrong; what can't be compared says why. Exits non-zero when one is wrong.
"""

import base64
import datetime
import hashlib
import hmac
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx

from tests.contract.localcloud.conftest import ROOT, World, start_cloud
from tests.contract.recorded_rows import EXPECTED, EXPIRED, NEVER_SIGNED, WITHOUT_INTENT, Expected

RECORDED = ROOT.parent / "shared" / "clients" / "dotnet.jsonl"
ENDED = ("Succeeded", "Failed", "Canceled")
Row = dict[str, Any]


class Run:
    """One cloud that the recorded subscriptions are subscriptions of, and what has been learnt of its names."""

    def __init__(self, world: World, rows: list[Row]) -> None:
        self.world, self.rows = world, rows
        self.arm, self.files = world.http(), httpx.Client(verify=world.known["caFile"], timeout=60)
        self.polls: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.files_at = ""

    def send(self, number: int, row: Row) -> httpx.Response:
        return self._to_files(number, row) if row["door"] == "files" else self._to_arm(number, row)

    def _to_arm(self, number: int, row: Row) -> httpx.Response:
        path = self._named(row["path"])
        kind = _kind(path)
        if kind and row["method"] == "GET" and kind in self.polls:
            return self._until_ended(self.polls[kind])
        headers = {name: value for name, value in row["headers"].items() if name in ("accept", "content-type")}
        if row["status"] == 401:
            headers["authorization"] = "Bearer of-somebody-else"
        body = row.get("body")
        content = None if body is None else self._named(json.dumps(body)).encode()
        answer = self.arm.request(row["method"], f"{self.world.arm}{path}", content=content, headers=headers)
        following = self.rows[number]["path"] if number < len(self.rows) else ""
        self._learn(path, answer)
        if row["method"] in ("PUT", "PATCH", "DELETE", "POST") and not following.split("?")[0].endswith("/cancel"):
            self._settle(row["method"], path, answer)
        return answer

    def _named(self, text: str) -> str:
        """Names that the cloud draws by lot, as this run has them."""
        # Replicas before their revisions, whose names theirs begin with.
        for found in sorted(set(re.findall(r"app-442bb3--(\w{7})(-\w+-\w+)?", text)), reverse=True):
            revision, replica = self._revision(found[0]), f"app-442bb3--{found[0]}{found[1]}"
            text = text.replace(replica, self._replica(revision)) if found[1] else text
            text = text.replace(f"app-442bb3--{found[0]}", revision)
        if found := re.search(r"(/deployments/inference/operations/)([0-9A-F]{16})", text):
            listed = self.arm.get(text.split(found[2])[0].rstrip("/") + "?api-version=2019-07-01").json()["value"]
            text = text.replace(found[2], listed[0]["operationId"])
        for account, key in self.keys.items():
            text = text.replace(
                f'"accountName": "{account}", "accountKey": "…"', f'"accountName": "{account}", "accountKey": "{key}"'
            )
        return text.replace("{arm}", self.world.arm).replace("{files}", self.files_at)

    def _revision(self, suffix: str) -> str:
        """Of the two that were recorded, `cfuxqcr` was the newer one."""
        place = next(
            each["path"] for each in self.rows if each["path"].split("?")[0].endswith("/containerApps/app-442bb3")
        )
        at = f"{self.world.arm}{place.split('?')[0]}/revisions?api-version=2025-01-01"
        names = [each["name"] for each in self.arm.get(at).json()["value"]]
        return names[-1] if suffix == "cfuxqcr" else names[0]

    def _replica(self, revision: str) -> str:
        place = next(each["path"] for each in self.rows if "/revisions/app-442bb3--cfuxqcr/replicas" in each["path"])
        at = re.sub(r"app-442bb3--\w+", revision, place.split("?")[0])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = self.arm.get(f"{self.world.arm}{at}?api-version=2025-01-01").json()["value"]
            if found:
                return found[0]["name"]
            time.sleep(0.1)  # sleeps: between two looks
        raise AssertionError(f"{revision} has no replica")

    def _learn(self, path: str, answer: httpx.Response) -> None:
        for name in ("azure-asyncoperation", "location"):
            if (value := answer.headers.get(name)) and (kind := _kind(urlsplit(value).path)):
                self.polls[kind] = value
        if found := re.search(r'"file":\s*"(https://[^"/]+)/', answer.text):
            self.files_at = found[1]
        if path.split("?")[0].endswith("/listKeys") and answer.status_code == 200:
            self.keys[path.split("?")[0].split("/")[-2]] = answer.json()["keys"][0]["value"]

    def _settle(self, method: str, path: str, answer: httpx.Response) -> None:
        """A client goes on when what it asked for has ended, well or not."""
        place = answer.headers.get("azure-asyncoperation") or answer.headers.get("location")
        if place and answer.status_code < 300:
            self._until_ended(place)
        elif method == "PUT" and answer.status_code in (200, 201) and "provisioningState" in answer.text:
            self._until_ended(f"{self.world.arm}{path}")

    def _until_ended(self, place: str) -> httpx.Response:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            answer = self.arm.get(place)
            if answer.status_code >= 300:
                return answer
            said = answer.json() if answer.content and answer.status_code != 202 else {}
            state = said.get("status") or (said.get("properties") or {}).get("provisioningState")
            if answer.status_code != 202 and state in (None, *ENDED):
                return answer
            time.sleep(0.05)  # sleeps: between two looks
        raise AssertionError(f"{place} did not end")

    def _to_files(self, number: int, row: Row) -> httpx.Response:
        url = urlsplit(row["path"].replace("//?", "/?"))
        account, _, rest = url.path.strip("/").partition("/")
        headers = {
            n: self._named(v).replace("…", "")
            for n, v in row["headers"].items()
            if n not in ("content-length", "accept")
        }
        body = bytes(int(row["headers"].get("content-length", "0")))
        if "content-md5" in headers and row["status"] < 300:
            headers["content-md5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        query = url.query
        if "sig=" in query:
            query = query if number in NEVER_SIGNED else self._signed_again(number, account, rest, query)
        elif "x-ms-file-request-intent" in headers or number in WITHOUT_INTENT:
            audience = "https://storage.azure.com" if row["status"] != 401 else self.world.arm
            token = self.world.credential().get_token(f"{audience}/.default").token
            headers["authorization"] = f"Bearer {token}"
        else:
            query = "&".join(each for each in (query, self._account_sas(account)) if each)
        if source := headers.get("x-ms-file-rename-source"):
            headers["x-ms-file-rename-source"] = f"{source}?{self._account_sas(account)}"
        place = f"{self.files_at}/{account}/{rest}"
        return self.files.request(row["method"], f"{place}?{query}", content=body, headers=headers)

    def _account_sas(self, account: str) -> str:
        until = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = {"sv": "2026-10-06", "ss": "f", "srt": "sco", "se": until, "sp": "rwdlac"}
        return self._sealed(account, values, _account_text(account, values))

    def _signed_again(self, number: int, account: str, rest: str, query: str) -> str:
        """The recorded signature's own fields, valid for an hour from now unless it had run out when it was recorded."""
        values = dict(parse_qsl(query, keep_blank_values=True))
        rest_of = {name: values.pop(name) for name in ("restype", "comp", "include", "marker") if name in values}
        del values["sig"]
        if "se" in values and number not in EXPIRED:
            until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
            values["se"] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        text = _account_text(account, values) if "ss" in values else _service_text(account, rest, values)
        further = "".join(f"&{name}={quote(value)}" for name, value in rest_of.items())
        return self._sealed(account, values, text) + further

    def _sealed(self, account: str, values: Mapping[str, str], text: str) -> str:
        key = base64.b64decode(self.keys[account])
        signature = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in {**values, "sig": signature}.items())


def _account_text(account: str, values: Mapping[str, str]) -> str:
    """As Microsoft documents an account SAS, of a version since 2020-12-06."""
    names = ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses")
    return "\n".join([account, *(values.get(name, "") for name in names), ""])


def _service_text(account: str, rest: str, values: Mapping[str, str]) -> str:
    parts = unquote(rest).split("/")
    resource = "/".join(["", "file", account, *(parts[:1] if values.get("sr") == "s" else parts)])
    before = ("sp", "st", "se")
    after = ("si", "sip", "spr", "sv", "rscc", "rscd", "rsce", "rscl", "rsct")
    return "\n".join([*(values.get(n, "") for n in before), resource, *(values.get(n, "") for n in after)])


def _kind(path: str) -> str:
    found = re.search(r"/(operationstatuses|operationresults)/", path, re.IGNORECASE)
    return found[1].lower() if found else ""


def judged(number: int, row: Row, answer: httpx.Response) -> tuple[str, str]:
    """(as Azure | refused and named | wrong, what is told of it)"""
    wanted = EXPECTED.get(number) or Expected(row["status"])
    code = answer.headers.get("x-ms-error-code") or _code(answer)
    said = f"{row['method']} {row['path'][:150]}: {answer.status_code} {code} {answer.text[:200]}"
    polled = _kind(row["path"]) and row["status"] == 202 and answer.status_code < 300
    if answer.status_code != wanted.status and not polled:
        return "wrong", f"{said}; {wanted.status} expected"
    if wanted.code and code != wanted.code:
        return "wrong", f"{said}; {wanted.code} expected"
    if missing := [word for word in wanted.words if word not in f"{answer.text}{dict(answer.headers)}"]:
        return "wrong", f"{said}; it lacks {missing}"
    if strange := [word for word in wanted.without if word in answer.text]:
        return "wrong", f"{said}; it holds {strange}"
    return ("refused and named" if wanted.refused else "as Azure"), ""


def _code(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def main() -> int:
    if not RECORDED.exists():
        print("the recorded requests are not beside the project (../shared/clients)")
        return 1
    rows: list[Row] = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    ids = sorted({each for row in rows for each in re.findall(r"/subscriptions/([0-9a-f-]{36})", row["path"])})
    counts: Counter[tuple[str, str]] = Counter()
    apart: dict[str, list[int]] = {}
    wrong: list[str] = []
    began = time.monotonic()
    times = {"poll": 0, "tick": 0.05, "scale": 0.02, "bounds": 0.2, "environment": 20}
    with tempfile.TemporaryDirectory() as folder:
        world = start_cloud(
            Path(folder), "--throwaway", settings={"strict": False, "subscription_ids": ids, "times": times}
        )
        try:
            run = Run(world, rows)
            for number, row in enumerate(rows, start=1):
                reason = not_comparable(row)
                if row["client"].startswith("Bicep") and "bicep" not in apart:
                    prepare_for_bicep(run, row)
                if reason:
                    apart.setdefault(reason, []).append(number)
                    counts[row["client"], "not comparable"] += 1
                    continue
                verdict, said = judged(number, row, run.send(number, row))
                counts[row["client"], verdict] += 1
                wrong += [f"line {number}: {said}"] if said else []
        finally:
            world.stop()
    print("\n".join(wrong))
    for client in dict.fromkeys(row["client"] for row in rows):
        told = ", ".join(
            f"{kind} {counts[client, kind]}" for kind in ("as Azure", "refused and named", "wrong", "not comparable")
        )
        print(f"{client:62} {told}")
    for reason, lines in apart.items():
        print(f"not comparable: {len(lines)} ({reason}): lines {', '.join(map(str, lines))}")
    print(f"recorded: {len(rows)} requests, {len(wrong)} wrong ({time.monotonic() - began:.0f} s)")
    return 1 if wrong else 0


def not_comparable(row: Row) -> str:
    if "/oauth2/" in row["path"] or row["path"].startswith("/msi/"):
        return "a sign-in: its secret was not recorded; azure-identity signs in in test_identity.py"
    return ""


def prepare_for_bicep(run: Run, row: Row) -> None:
    """The group that this client was given before anything was recorded, in a subscription with its providers."""
    at = f"{run.world.arm}{'/'.join(row['path'].split('/')[:3])}"
    for namespace in ("Microsoft.App", "Microsoft.OperationalInsights"):
        run.arm.post(f"{at}/providers/{namespace}/register?api-version=2022-09-01")
    run.arm.put(f"{at}/resourcegroups/bicep?api-version=2022-09-01", json={"location": "westus3"})


if __name__ == "__main__":
    sys.exit(main())
