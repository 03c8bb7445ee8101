"""The chat page's own requests, as its script in a browser sends them: what it keeps goes along, and a turn is one request."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import httpx

TURN = "/gradio_api/queue/turn"


@dataclass
class ChatPage:
    """One page in one browser. `http` may be asked at another replica each time."""

    http: httpx.Client
    model: str
    kept: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The conversation, as the page shows it."""

    def step(self, name: str) -> dict[str, Any]:
        """Of the steps that the page is made of, the one that is called so."""
        steps = self.http.get("/config").json()["dependencies"]
        return next(each for each in steps if name in str(each["api_name"]))

    def ask(self, question: str) -> str:
        """A turn of the conversation; the page shows question and answer."""
        *_, last = self.events(question)
        assert last["msg"] == "close_stream", last
        name, _, said = str(self.kept[-1]["content"][0]["text"]).partition("\n\n")
        assert name == f"`{self.model}`", "who answers stands above the answer"
        return said

    def events(self, question: str, tokens: int = 64, temperature: float = 0) -> Generator[dict[str, Any]]:
        """As they come, the first being what joining the queue gave."""
        asked = [{"kept": question}, {"kept": self.kept}, self.model, "", tokens, temperature, 1, 0]
        body = {"data": asked, "fn_index": self.step("_submit_fn")["id"], "session_hash": f"turn{len(self.kept)}"}
        with self.http.stream("POST", TURN, json=body) as answer:
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    event = json.loads(line.removeprefix("data: "))
                    if event.get("msg") == "process_completed":
                        self.kept = event["output"]["data"][1]
                    yield event
