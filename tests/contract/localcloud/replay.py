"""Replays recorded requests against a local cloud, in their order, and compares the shape of each answer."""

import json
import re
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.contract.localcloud.conftest import ROOT, World

SPECS = ROOT.parent / "shared" / "azure-specs"
HEADERS = ("location", "azure-asyncoperation", "retry-after")
Json = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    name: str
    method: str
    path: str
    query: str
    body: Any
    status: int
    headers: Mapping[str, str]
    response: Any

    @property
    def subscription(self) -> str:
        return self.path.split("/")[2]


def read_pairs() -> list[Pair]:
    pairs: list[Pair] = []
    for file in sorted((SPECS / "recordings").glob("*.json")):
        recorded = json.loads(file.read_text(encoding="utf-8"))
        request, response = recorded["liveRequest"], recorded["liveResponse"]
        url = urllib.parse.urlsplit(request["url"])
        headers = {name.lower(): value for name, value in response["headers"].items()}
        pairs.append(
            Pair(
                file.stem,
                request["method"],
                url.path,
                url.query,
                request["body"],
                int(response["statusCode"]),
                headers,
                response["body"],
            )
        )
    return pairs


def replay_all(world: World) -> list[tuple[Pair, httpx.Response, list[str]]]:
    """Each recorded pair with our answer and what is different in it."""
    results: list[tuple[Pair, httpx.Response, list[str]]] = []
    with world.http() as http:
        locations: dict[str, str] = {}
        polled: set[str] = set()
        what_if: Pair | None = None
        for pair in read_pairs():
            if pair.path.endswith("/whatIf"):
                what_if = pair
            elif _kind(pair.path) == "result" and "changes" in str(pair.response) and what_if:
                # The recorder kept one of two equal what-if requests: a poll of a second one asks it again.
                if polled:
                    _send(http, what_if, locations)
                polled.add(pair.path)
            answer = _send(http, pair, locations)
            results.append((pair, answer, _compare(pair, answer)))
    return results


def _send(http: httpx.Client, pair: Pair, locations: dict[str, str]) -> httpx.Response:
    path = f"{pair.path}?{pair.query}"
    kind = _kind(pair.path)
    if pair.method == "GET" and kind in locations:
        # Names of operations are ours; the recorded ones mean nothing here.
        path = locations[kind]
    answer = http.request(pair.method, path, json=pair.body)
    if kind == "other" and pair.method in ("PUT", "POST", "DELETE"):
        for name in ("azure-asyncoperation", "location"):
            if answer.headers.get(name):
                locations[_kind(urllib.parse.urlsplit(answer.headers[name]).path)] = answer.headers[name]
    if pair.method == "GET" and kind != "other":
        answer = _until_ended(http, path, answer)
    elif pair.method == "DELETE" and answer.headers.get("location"):
        _until_ended(http, answer.headers["location"], http.get(answer.headers["location"]))
    return answer


def _until_ended(http: httpx.Client, path: str, answer: httpx.Response) -> httpx.Response:
    """The recorder dropped polls of running operations: only the last answer is compared."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        running = answer.status_code == 202 or (
            answer.content and answer.json().get("status") not in ("Succeeded", "Failed", "Canceled", None)
        )
        if not running:
            return answer
        time.sleep(0.05)  # sleeps: between two looks
        answer = http.get(path)
    raise AssertionError(f"{path} did not end")


def _kind(path: str) -> str:
    if re.search(r"/operationstatuses/", path, re.IGNORECASE):
        return "status"
    return "result" if re.search(r"/operationresults/", path, re.IGNORECASE) else "other"


def _compare(pair: Pair, answer: httpx.Response) -> list[str]:
    problems: list[str] = []
    if answer.status_code != pair.status:
        problems.append(f"status {pair.status} recorded, {answer.status_code} answered: {answer.text[:300]}")
    for name in HEADERS:
        if (name in pair.headers) != (name in answer.headers):
            problems.append(f"header {name}: {'missing' if name in pair.headers else 'not recorded'}")
    if pair.response is not None and answer.content and answer.status_code == pair.status:
        problems += differences(pair.response, answer.json())
    return problems


def differences(recorded: Any, answered: Any, path: str = "") -> list[str]:
    """Every recorded key path that is missing in the answer or has another JSON type there."""
    if isinstance(recorded, dict):
        if not isinstance(answered, dict):
            return [f"{path}: object recorded, {_type(answered)} answered"]
        found: list[str] = []
        lower = {str(key).lower(): value for key, value in answered.items()}
        for key, value in recorded.items():
            place = f"{path}.{key}" if path else str(key)
            if key.lower() not in lower:
                found += [] if value is None or _unimportant(place) else [f"{place}: missing"]
            else:
                found += differences(value, lower[key.lower()], place)
        return found
    if isinstance(recorded, list):
        if not isinstance(answered, list):
            return [f"{path}: array recorded, {_type(answered)} answered"]
        if recorded and not answered and not _unimportant(path):
            return [f"{path}[]: missing"]
        return [
            each for ours, theirs in _matched(recorded, answered) for each in differences(theirs, ours, f"{path}[]")
        ]
    same = _type(recorded) == _type(answered) or recorded is None or _unimportant(path)
    return [] if same else [f"{path}: {_type(recorded)} recorded, {_type(answered)} answered"]


def _matched(recorded: list[Any], answered: list[Any]) -> list[tuple[Any, Any]]:
    """Elements with the same id belong together; a list without ids is judged by its first element."""
    ids = {_identity(each): each for each in answered if isinstance(each, dict)}
    same = [(ids[_identity(each)], each) for each in recorded if isinstance(each, dict) and _identity(each) in ids]
    same = [] if any(_identity(each) == "" for _, each in same) else same
    return same or list(zip(answered[:1], recorded[:1], strict=False))


def _identity(value: Json) -> str:
    return str(value.get("id") or value.get("resourceId") or "").lower()


def _unimportant(place: str) -> bool:
    return place in ("nextLink",)


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
