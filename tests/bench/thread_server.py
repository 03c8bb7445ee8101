"""The pattern that the original shipped: a thread a request on one model, TextIteratorStreamer, no batching."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route


def main(folder: Path, port: int) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer

    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    async def chat(request: Request) -> StreamingResponse:
        asked = await request.json()
        prompt = tokenizer.apply_chat_template(asked["messages"], tokenize=False, add_generation_prompt=True)
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True)
        options = {
            **tokenizer(prompt, return_tensors="pt"),
            "streamer": streamer,
            "do_sample": False,
            "max_new_tokens": asked["max_tokens"],
            "pad_token_id": 0,
        }
        threading.Thread(target=model.generate, kwargs=options).start()

        def events():
            for text in streamer:
                yield f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n"
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    async def health(request: Request) -> StreamingResponse:
        return StreamingResponse(iter(()))

    app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/health", health)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
