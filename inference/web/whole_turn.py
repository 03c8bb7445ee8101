"""A turn of the chat page in one request, so that it does not matter which replica answers which.

Gradio asks twice: it joins a queue, and reads what comes of it from another address, of the same process. An ingress that spreads
requests takes the two to different replicas. So the page's script sends what would join to `TURN`, whose answer is both: first
what joining gave, then the stream. Each turn is a session of its own for Gradio; what a conversation remembers is in the page.
"""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

QUEUE = "/gradio_api/queue"
TURN = f"{QUEUE}/turn"
CANCEL = "/gradio_api/cancel"

SCRIPT = """
(() => {
  const plain = window.fetch.bind(window);
  const sessions = new Map(); // by Gradio's name for the page: what its turns have told and nobody has read
  const running = new Map(); // by event: its turn

  const told = (message) => `data: ${JSON.stringify(message)}\\n\\n`;
  const channelOf = (session) => {
    if (!sessions.has(session)) sessions.set(session, { session, parts: [], turns: new Set(), sink: null });
    return sessions.get(session);
  };
  function put(channel, text) {
    if (channel.sink === null) channel.parts.push(text);
    else channel.sink.enqueue(new TextEncoder().encode(text));
  }
  function endWhenDone(channel) {
    if (channel.turns.size > 0 || channel.sink === null) return;
    put(channel, told({ msg: "close_stream", event_id: null }));
    channel.sink.close();
    leave(channel);
  }
  function leave(channel) {
    channel.sink = null;
    for (const turn of channel.turns) turn.stop.abort();
    if (sessions.get(channel.session) === channel) sessions.delete(channel.session);
  }

  async function relay(turn, text) {
    const { channel, reader, event } = turn;
    try {
      for (;;) {
        for (let end = text.indexOf("\\n\\n"); end >= 0; end = text.indexOf("\\n\\n")) {
          const part = text.slice(0, end + 2);
          text = text.slice(end + 2);
          if (JSON.parse(part.slice(6)).msg !== "close_stream") put(channel, part); // other turns may go on
        }
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
      }
    } catch (error) {
      if (turn.stopped) put(channel, told({ msg: "process_completed", event_id: event, output: {}, success: true }));
      else put(channel, told({ msg: "unexpected_error", event_id: event, message: "The connection was lost.", success: false }));
    }
    channel.turns.delete(turn);
    running.delete(event);
    endWhenDone(channel);
  }

  async function join(address, init) {
    const asked = JSON.parse(init.body);
    const channel = channelOf(asked.session_hash);
    const turn = { channel, stop: new AbortController(), stopped: false };
    channel.turns.add(turn);
    try {
      const body = JSON.stringify({ ...asked, session_hash: `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}` });
      const to = address.href.replace("/queue/join", "/queue/turn");
      const answer = await plain(to, { ...init, body, signal: turn.stop.signal });
      if (!answer.ok) return answer;
      turn.reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (!text.includes("\\n\\n")) {
        const { value, done } = await turn.reader.read();
        if (done) throw new TypeError("the answer ended before it began");
        text += value;
      }
      const end = text.indexOf("\\n\\n");
      const joined = JSON.parse(text.slice(6, end));
      turn.event = joined.event_id;
      running.set(turn.event, turn);
      relay(turn, text.slice(end + 2));
      return Response.json(joined);
    } finally {
      if (turn.event === undefined) {
        channel.turns.delete(turn);
        endWhenDone(channel);
      }
    }
  }

  function read(address, request) {
    const channel = channelOf(address.searchParams.get("session_hash"));
    request.signal.addEventListener("abort", () => leave(channel));
    const body = new ReadableStream({
      start(sink) {
        channel.sink = sink;
        for (const part of channel.parts.splice(0)) put(channel, part);
        endWhenDone(channel);
      },
      cancel: () => leave(channel),
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  function cancel(init) {
    const turn = running.get(JSON.parse(init.body).event_id);
    if (turn !== undefined) {
      turn.stopped = true;
      turn.stop.abort();
    }
    return Response.json({ success: true });
  }

  window.fetch = async (input, init) => {
    const request = input instanceof Request;
    const address = new URL(request ? input.url : input, location.href);
    if (address.origin === location.origin) {
      if (address.pathname.endsWith("/gradio_api/queue/join")) return join(address, init);
      if (address.pathname.endsWith("/gradio_api/queue/data")) return read(address, request ? input : new Request(address, init));
      if (address.pathname.endsWith("/gradio_api/cancel")) return cancel(init);
    }
    return plain(input, init);
  };
})();
"""


async def answer(app: ASGIApp, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
    """Joins the queue of Gradio's `app` with the body, and answers with what comes of both. Whoever leaves ends it."""
    given: list[Message] = []

    async def keep(message: Message) -> None:
        given.append(message)

    await app(inside(scope, "POST", f"{QUEUE}/join"), once(body, receive), keep)
    joined = b"".join(message.get("body", b"") for message in given[1:])
    if given[0]["status"] != 200:
        for message in given:
            await send(message)
        return
    first = b"data: " + joined + b"\n\n"

    async def both(message: Message) -> None:
        await send(message)
        if message["type"] == "http.response.start":
            await send({"type": "http.response.body", "body": first, "more_body": True})

    asked = json.loads(body)
    left = asyncio.Event()

    async def gone() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    async def end_when_left() -> None:
        """Gradio itself looks every ten seconds whether somebody still reads."""
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()
        event = json.loads(joined)["event_id"]
        told = json.dumps({"event_id": event, "session_hash": asked["session_hash"], "fn_index": asked["fn_index"]})
        await app(inside(scope, "POST", CANCEL), once(told.encode(), gone), ignored)

    watching = asyncio.create_task(end_when_left())
    try:
        query = urlencode({"session_hash": asked["session_hash"]})
        await app(inside(scope, "GET", f"{QUEUE}/data", query), gone, both)
    finally:
        watching.cancel()


async def ignored(message: Message) -> None:
    """Nobody is there any more to be told."""


def inside(scope: Scope, method: str, path: str, query: str = "") -> MutableMapping[str, Any]:
    """A request of the same sender at another address of the same app."""
    headers = [pair for pair in scope["headers"] if not pair[0].startswith(b"content-")]
    return {
        **scope,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [*headers, (b"content-type", b"application/json")] if method == "POST" else headers,
    }


def once(body: bytes, then: Receive) -> Receive:
    """A request's body as if it had not been read yet."""
    left = [body]

    async def receive() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await then()

    return receive
