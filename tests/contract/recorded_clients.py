"""Clients that are not run here but known by their requests: Microsoft's .NET libraries, and guidellm."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.contract.client_table import COMMON, Row
from tests.contract.dotnet import RECORDED, REFUSED, demands_of_a_stream, judge, recorded, send
from tests.contract.scripted_server import BREAK, KEY, NAME, SENTENCE, SLOW

NOT_THERE = "the recorded requests are not beside the project"
SLASHED = NAME.replace("/", "%2F")


def connected(url: str, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=headers or {"authorization": f"Bearer {KEY}"}, timeout=90)


def said_of(check: Callable[[], None]) -> str:
    """What is wrong; empty where nothing is."""
    try:
        check()
    except (AssertionError, KeyError, TypeError, ValueError, httpx.HTTPError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:400]
    return ""


def column_of(row: dict[str, Any]) -> str:
    """Of the table, by what a recorded request asks for."""
    body = row["request"]["body"] if isinstance(row["request"]["body"], dict) else {}
    if row["scenario"] in REFUSED:
        return "errors"
    if "/responses" in row["request"]["path"]:
        return "responses"
    if body.get("tools"):
        return "tools"
    if (body.get("response_format") or {}).get("type", "text") != "text":
        return "schema"
    return "stream" if body.get("stream") else "chat"


def dotnet_rows(url: str) -> list[Row]:
    """Each request as it was recorded: method, path with its escapes, query, headers and body."""
    if not RECORDED.exists():
        return [Row("Microsoft's .NET clients", dict.fromkeys(COMMON, ""), NOT_THERE)]
    rows: dict[str, dict[str, str]] = {}
    with connected(url) as client, ThreadPoolExecutor(8) as pool:
        asked = recorded()
        wrong = pool.map(lambda row: said_of(lambda: judge(row, send(client, row["request"], key=KEY))), asked)
        for row, said in zip(asked, wrong, strict=True):
            cells = rows.setdefault(f"{short(row['client'])} {row['version']}", {})
            column = column_of(row)
            cells[column] = cells.get(column) or (f"{row['id']}: {said}" if said else "")
    return [Row(f".NET {name}", dict(sorted(cells.items()))) for name, cells in rows.items()]


def short(name: str) -> str:
    return name.removeprefix("Microsoft.").removeprefix("Azure.")


def guidellm_row(url: str) -> Row:
    """The requests of guidellm 0.8.1, as its handlers of chat, completions and responses write them."""
    exactly = {"stop": None, "ignore_eos": True}
    usage = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    part = [{"role": "user", "content": [{"type": "text", "text": "When is high tide?"}]}]
    chat: dict[str, Any] = {"model": NAME, "messages": part, "max_completion_tokens": 32, **exactly}
    item = [{"role": "user", "content": [{"type": "input_text", "text": "When is high tide?"}]}]
    bodies = {
        "chat": ("/v1/chat/completions", chat),
        "stream": ("/v1/chat/completions", {**chat, **usage}),
        "completions": ("/v1/completions", {"model": NAME, "prompt": "x", "max_tokens": 32, **usage, **exactly}),
        "responses": (
            "/v1/responses",
            {"model": NAME, "input": item, "max_output_tokens": 32, "stream": True, **exactly},
        ),
    }
    cells: dict[str, str] = {}
    with connected(url) as client:
        for name, (path, body) in bodies.items():
            answer = client.post(path, json=body)
            cells[name] = "" if answer.status_code == 200 and "32" in answer.text else answer.text[-300:]
        health = client.get("/health").status_code
    return Row("guidellm's requests", {**cells, "health": "" if health == 200 else f"status {health}"})


def findings_row(url: str) -> Row:
    """What Microsoft's .NET clients met at an earlier state of the product, and what else only shows through the ingress."""
    checks: dict[str, Callable[[str], None]] = {
        "broken streams": breaks_off,
        "auto calls": calls_of_its_own_accord,
        "Azure's key and path": azures_way,
        "responses": responses_are_there,
        "hints": hints_are_taken,
        "without a model": no_model_is_named,
        "refusals in history": refusals_are_history,
        "429 and 500": busy_and_broken,
        "long answers": a_long_answer_keeps_its_connection,
    }
    return Row("found with .NET", {name: said_of(lambda check=check: check(url)) for name, check in checks.items()})


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"model": NAME, "messages": [{"role": "user", "content": text}], **more}


def content(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def breaks_off(url: str) -> None:
    """A client that does not know the error event sees a broken connection, and nothing that passes for an end."""
    read = b""
    broken = ""
    with connected(url) as client:
        try:
            with client.stream("POST", "/v1/chat/completions", json=ask(BREAK, stream=True)) as answer:
                for part in answer.iter_bytes():
                    read += part
        except httpx.RemoteProtocolError as error:
            broken = str(error)
    assert broken, "the stream ended in order"
    assert b'"engine_error"' in read, read
    assert b"[DONE]" not in read, read


def calls_of_its_own_accord(url: str) -> None:
    tool = {"type": "function", "function": {"name": "get_tide", "parameters": {"type": "object", "properties": {}}}}
    for choice in ({}, {"tool_choice": "auto"}):
        with connected(url) as client:
            answer = client.post("/v1/chat/completions", json=ask("When?", tools=[tool], **choice)).json()
        (found,) = answer["choices"]
        assert found["finish_reason"] == "tool_calls", found
        assert found["message"]["tool_calls"][0]["function"]["name"] == "get_tide", found


def azures_way(url: str) -> None:
    """Slashes of the name as %2F, through the ingress; the key in its own header."""
    path = f"/openai/deployments/{SLASHED}/chat/completions?api-version=2024-10-21"
    body = {"messages": [{"role": "user", "content": "When?"}]}
    with connected(url, **{"api-key": KEY}) as client:
        assert content(client.post(path, json=body)) == SENTENCE
        assert client.get(f"/v1/models/{SLASHED}").json()["id"] == NAME
    with connected(url, **{"api-key": "wrong"}) as client:
        assert client.post(path, json=body).status_code == 401


def responses_are_there(url: str) -> None:
    with connected(url) as client:
        body = client.post("/v1/responses", json={"model": NAME, "input": "When?"}).json()
    assert body["output"][0]["content"][0]["text"] == SENTENCE, body


def hints_are_taken(url: str) -> None:
    """What changes no answer of this server is taken; what would is refused by name."""
    taken = {"modalities": ["text"], "reasoning_effort": "low", "verbosity": "medium", "store": True}
    taken |= {"service_tier": "flex", "prediction": {"type": "content", "content": "x"}}
    with connected(url) as client:
        for name, value in taken.items():
            assert content(client.post("/v1/chat/completions", json=ask("When?", **{name: value}))) == SENTENCE, name
        for name, value in {"web_search_options": {}, "functions": [{"name": "f"}]}.items():
            error = client.post("/v1/chat/completions", json=ask("When?", **{name: value})).json()["error"]
            assert error["param"] == name, error


def no_model_is_named(url: str) -> None:
    with connected(url, **{"api-key": KEY}) as client:
        assert content(client.post("/v1/chat/completions", json={"messages": ask("When?")["messages"]})) == SENTENCE
        assert client.get("/v1/info?api-version=2024-05-01-preview").json()["model_name"] == NAME


def refusals_are_history(url: str) -> None:
    """A picture is refused by name in any turn: this server's models read text."""
    history = [{"role": "assistant", "refusal": "I may not."}, {"role": "user", "content": "When?"}]
    parts = [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, history[1]]
    with connected(url) as client:
        for given in (history, parts):
            assert content(client.post("/v1/chat/completions", json={"model": NAME, "messages": given})) == SENTENCE


def busy_and_broken(url: str) -> None:
    """A code for what is told, and a time for who asks again by itself."""
    with connected(url) as client, ThreadPoolExecutor(4) as pool:
        broken = client.post("/v1/chat/completions", json=ask(BREAK))
        assert (broken.status_code, broken.json()["error"]["code"]) == (500, "engine_error"), broken.text
        assert int(broken.headers["retry-after"]) > 0
        many = list(pool.map(lambda _: client.post("/v1/chat/completions", json=ask("When?", n=90)), range(4)))
    refused = [each for each in many if each.status_code == 429]
    assert refused, [each.status_code for each in many]
    assert refused[0].json()["error"]["code"] == "rate_limit_exceeded"
    assert int(refused[0].headers["retry-after"]) > 0


def a_long_answer_keeps_its_connection(url: str) -> None:
    """Longer than the ingress allows silence, whole and streamed."""
    with connected(url) as client:
        whole = client.post("/v1/chat/completions", json=ask(SLOW))
        assert whole.text.startswith(" "), whole.text[:100]
        assert content(whole) == SENTENCE
        streamed = client.post("/v1/chat/completions", json=ask(SLOW, stream=True))
    demands_of_a_stream(streamed.text)
    chunks = [json.loads(each[6:]) for each in streamed.text.split("\n\n") if each.startswith("data: {")]
    assert "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks) == SENTENCE
