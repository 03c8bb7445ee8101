"""Requests as Microsoft's .NET chat clients send them, and what those clients demand of the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "clients" / "dotnet-chat.jsonl"
THEIR_MODEL = "Qwen/Qwen2.5-0.5B-Instruct"
FINISHES = {"stop", "length", "tool_calls", "content_filter", "function_call"}
REFUSED = {
    "embeddings": (400, "unsupported_endpoint"),
    "embedding-generator": (400, "unsupported_endpoint"),
    "image-url": (400, "invalid_value"),
    "image-bytes": (400, "invalid_value"),
    "file-input": (400, "invalid_value"),
    "modalities-audio": (400, "invalid_value"),
    "web-search": (400, "unsupported_parameter"),  # the answer would be another one
    "web-search-tool": (400, "unsupported_parameter"),
    "additional-unknown": (400, "unsupported_parameter"),
    "bearer-header-added": (404, "model_not_found"),  # of a deployment that is not here
    "error-404-model": (404, "model_not_found"),
    "model-delete": (404, "unknown_url"),
    "moderation": (404, "unknown_url"),
    "stored-completions-list": (404, "unknown_url"),
}
"""What this server does not do, by scenario: each is refused by name, so that the client tells it."""


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


def send(client: httpx.Client, request: dict[str, Any], model: str = THEIR_MODEL, key: str = "") -> httpx.Response:
    """As it was recorded, its headers too where a key is given for theirs; but for the model, where ours is another."""
    ours = json.dumps(request).replace(THEIR_MODEL, model)
    path = request["path"].replace(THEIR_MODEL.replace("/", "%2F"), model.replace("/", "%2F"))
    body: Any = json.loads(ours)["body"]
    content = body if isinstance(body, str) else json.dumps(body) if body is not None else None
    query = request.get("query") or ""
    headers = {name: value.replace("***", key) for name, value in request["headers"].items()} if key else {}
    return client.request(
        request["method"],
        path + (f"?{query.lstrip('?')}" if query else ""),
        content=content,
        headers={"content-type": "application/json", **headers},
    )


def judge(row: dict[str, Any], answer: httpx.Response) -> None:
    """AssertionError where the client would not take the answer, or where what is not done here is not refused by name."""
    said = f"{row['id']}: {answer.status_code} {answer.text[:300]}"
    if row["scenario"] in REFUSED:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == REFUSED[row["scenario"]], said
        assert isinstance(error["message"], str), said
        return
    assert answer.status_code == 200, said
    if "/responses" in row["request"]["path"]:
        demands_of_a_response(answer)
    elif "event-stream" in answer.headers["content-type"]:
        demands_of_a_stream(answer.text)
    elif "chat/completions" in row["request"]["path"]:
        demands_of_a_whole_answer(answer.json())


def demands_of_a_whole_answer(answer: dict[str, Any]) -> None:
    assert isinstance(answer["id"], str)
    assert type(answer["created"]) is int
    assert all(type(answer["usage"][name]) is int for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    assert answer["choices"]
    for choice in answer["choices"]:
        assert type(choice["index"]) is int
        assert choice["finish_reason"] in FINISHES
        message = choice["message"]
        assert message["role"] == "assistant"
        assert message["content"] is None or isinstance(message["content"], str)
        for call in message.get("tool_calls", []):
            assert call["type"] == "function"
            assert call["id"]
            assert call["function"]["name"]
            assert isinstance(call["function"]["arguments"], str)


def demands_of_a_stream(text: str) -> None:
    events = text.removesuffix("\n\n").split("\n\n")
    assert events.pop() == "data: [DONE]"
    finishes: list[str] = []
    for event in (each for each in events if not each.startswith(":")):
        assert event.startswith("data: {")
        assert "\n" not in event
        chunk = json.loads(event.removeprefix("data: "))
        assert type(chunk["created"]) is int
        assert chunk["object"] == "chat.completion.chunk"
        for choice in chunk["choices"]:
            assert type(choice["index"]) is int
            assert isinstance(choice["delta"], dict)
            finishes += [] if choice["finish_reason"] is None else [choice["finish_reason"]]
            assert all(type(call["index"]) is int for call in choice["delta"].get("tool_calls", []))
    assert finishes
    assert set(finishes) <= FINISHES


def demands_of_a_response(answer: httpx.Response) -> None:
    """As OpenAI's own service has it: each event is named in its data too, and the last one holds the whole."""
    if "event-stream" in answer.headers["content-type"]:
        lines = answer.text.split("\n")
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        assert [f"event: {each['type']}" for each in events] == [each for each in lines if each.startswith("event: ")]
        assert events[-1]["type"] in {"response.completed", "response.incomplete"}
        body = events[-1]["response"]
    else:
        body = answer.json()
    assert (body["object"], type(body["created_at"]), type(body["usage"]["total_tokens"])) == ("response", int, int)
    assert body["output"]
    assert all(isinstance(each["id"], str) and each["type"] for each in body["output"])
