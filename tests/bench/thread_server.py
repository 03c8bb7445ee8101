"""The pattern that the original shipped: a thread a request on one model, TextIteratorStreamer, no batching.

Beside it, at `/batch`, bare `generate` on a whole batch.
"""

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
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

    async def batch(request: Request) -> JSONResponse:
        """Bare `generate`: one call for all prompts, padded to the left, nothing streamed."""
        asked = await request.json()
        prompts = [
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            for messages in asked["conversations"]
        ]
        tokenizer.pad_token_id, tokenizer.padding_side = 0, "left"
        inputs = tokenizer(prompts, return_tensors="pt", padding=True)
        options = {"do_sample": False, "max_new_tokens": asked["max_tokens"], "pad_token_id": 0}
        made = await asyncio.to_thread(lambda: model.generate(**inputs, **options))
        return JSONResponse({"tokens": int(made.shape[0] * (made.shape[1] - inputs["input_ids"].shape[1]))})

    async def health(request: Request) -> StreamingResponse:
        return StreamingResponse(iter(()))

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/batch", batch, methods=["POST"]),
            Route("/health", health),
        ]
    )
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
