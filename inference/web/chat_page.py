"""The chat page: Gradio at `/`, several turns, streamed, with the model and the sampling to choose."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.types import ASGIApp

from inference.api.completions import encode_chat, room
from inference.api.generation import Generation, raise_failure
from inference.engine.schedule.sequence import SamplingParams
from inference.messages import ApiError
from inference.service import Served, Service
from inference.web.kept import Choice, KeepingInterface, Log
from inference.web.speaker import answered, spoken
from inference.web.whole_turn import SCRIPT

STYLE = """
footer { display: none !important }
h1 { font-size: 1.25rem !important; font-weight: 600; margin: 0 !important; overflow-wrap: anywhere }
.gradio-container { width: 100% !important; max-width: 60rem !important; margin: 0 auto !important }
"""
NARROW = "<style>@media (max-width: 40rem) { .gradio-container .main { padding: .75rem !important } }</style>"
# Open, the options scroll within themselves, and leave half of the screen to the conversation.
SIDE_BY_SIDE = """<style>
#options .label-wrap.open + * { max-height: max(10rem, calc(50dvh - 10rem)); overflow-y: auto }
body:has(#options .label-wrap.open) #log { height: max(12rem, calc(50dvh - 7rem)) !important }
</style>"""
READABLE = """<style>
body:not(.dark) button[role="tab"][aria-selected="true"] { color: var(--primary-700) !important }
.dark button[role="tab"][aria-selected="true"] { color: var(--primary-300) !important }
</style>"""  # its own blue is too pale for a text of this size
HEAD = f"{NARROW}{SIDE_BY_SIDE}{READABLE}<script>{SCRIPT}</script>"
ASK = "Ask the model something…"
FONT = ["system-ui", "sans-serif"]  # nothing is fetched
MONO = ["ui-monospace", "monospace"]

Turn = Callable[..., AsyncGenerator[str]]


class Conversation(KeepingInterface):
    """Gradio's, which empties the input's placeholder with its text and never brings it back."""

    def _clear_and_save_textbox(self, message: Any) -> tuple[Any, Any]:
        ui: Any = gr
        return ui.Textbox("", interactive=False, placeholder=ASK), message


def chat_app(service: Service) -> tuple[ASGIApp, AbstractAsyncContextManager[Any]]:
    """The page as an ASGI app, and the context in which it must run."""
    ui: Any = gr
    blocks = page(service)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    theme: Any = ui.themes.Default(primary_hue="blue", neutral_hue="slate", font=FONT, font_mono=MONO)
    mounted: FastAPI = ui.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        show_error=True,
        theme=theme,
        css=STYLE,
        head=HEAD,  # in `css`, Gradio puts its own container before every selector
    )
    return mounted, mounted.router.lifespan_context(mounted)


def page(service: Service) -> Any:
    ui: Any = gr
    with ui.Blocks(title="Slipway chat", analytics_enabled=False, fill_height=True) as blocks:
        heading = ui.HTML(titled_page(service, first_choice(service.model())))
        # A box of plain text: the reasons hold names of files and tensors, which anybody may have chosen.
        refused = ui.Textbox(label="On the share, but not served", interactive=False, visible=False, max_lines=6)
        with ui.Accordion("Model and sampling", open=False, render=True, elem_id="options"):
            model, *sampling = controls(service)
        with ui.Tab("Chat"):
            conversation = Conversation(
                named_turn(service),
                textbox=ui.Textbox(  # its label and the buttons' words are what a screen reader says
                    label="Message",
                    show_label=False,
                    container=False,
                    scale=7,
                    autofocus=True,
                    placeholder=ASK,
                    submit_btn="Send",
                    stop_btn="Stop",
                ),
                additional_inputs=[model, *sampling],
                chatbot=Log(
                    label="Conversation",
                    show_label=False,
                    height="max(16rem, calc(100dvh - 16rem))",
                    buttons=["copy"],
                    elem_id="log",
                ),
                analytics_enabled=False,
                flagging_mode="never",
                concurrency_limit=None,
                api_visibility="private",
            )
        with ui.Tab("Compare"):
            compare_tab(service, model, sampling)
        asked_elsewhere(service, model, sampling)
        conversation.tell_of_a_stop()
        conversation.keep_over_a_reload(blocks)

        def state(chosen: str) -> Any:
            """Adapters come and go while the server runs, and some are refused."""
            now = service.model().names()
            why = refusals(service)
            return ui.Dropdown(choices=now, value=chosen if chosen in now else now[0]), ui.Textbox(
                why, visible=bool(why)
            )

        def told(chosen: str) -> Any:
            return ui.HTML(titled_page(service, chosen))

        blocks.load(state, [model], [model, refused], api_name=False, queue=False, show_progress="hidden")
        model.change(told, [model], [heading], api_name=False, queue=False, show_progress="hidden")
    blocks.queue(default_concurrency_limit=None, max_size=service.settings.max_running + service.settings.max_waiting)
    # It looks for work a thousand times a second, on the event loop that streams everybody's tokens. Its own pace on Windows
    # is enough.
    queue: Any = blocks._queue
    queue.sleep_when_free, queue.progress_update_sleep_when_free = 0.05, 0.1
    return blocks


def asked_elsewhere(service: Service, model: Any, sampling: list[Any]) -> None:
    """The same for programs: Gradio's clients know this page by its `/chat`, and leave it to the process to remember."""
    ui: Any = gr
    message, said = ui.Textbox(label="Message", visible=False), ui.Textbox(label="Answer", visible=False)
    history, button = ui.State([]), ui.Button(visible=False)
    inputs = [message, history, model, *sampling]
    button.click(remembering(turn(service)), inputs, [said, history], api_name="chat", concurrency_limit=None)


def remembering(answer: Turn) -> Callable[..., AsyncGenerator[tuple[str, list[dict[str, Any]]]]]:
    async def remembered(
        message: str, history: list[dict[str, Any]] | None, *more: Any
    ) -> AsyncGenerator[tuple[str, list[dict[str, Any]]]]:
        before = [*(history or []), {"role": "user", "content": message}]
        async with aclosing(answer(message, history or [], *more)) as texts:
            async for text in texts:
                yield text, [*before, {"role": "assistant", "content": text}]

    return remembered


def controls(service: Service) -> list[Any]:
    """The model to choose and how to draw, in the order in which `turn` and `comparison` take them."""
    ui: Any = gr
    served = service.model()
    most = max(16, min(served.engine.context, 16384))  # what a prompt leaves no room for is not given
    authors = served.sampling.differing()  # where they say something; else what suits most chats
    return [
        Choice(
            served.names(), value=first_choice(served), label="Model or adapter", info=reach(service), interactive=True
        ),
        ui.Textbox("", label="System prompt", lines=2),
        ui.Slider(1, most, value=min(512, most), step=1, label="Max new tokens"),
        ui.Slider(0, 2, value=authors.get("temperature", 0.7), step=0.05, label="Temperature"),
        ui.Slider(0.05, 1, value=authors.get("top_p", 0.95), step=0.05, label="Top-p"),
        ui.Slider(0, 200, value=authors.get("top_k", 50), step=1, label="Top-k (0: all)"),
    ]


def reach(service: Service) -> str | None:
    """Where there may be others beside this replica: which of them answers."""
    if not service.settings.replica:
        return None
    return (
        "Any replica of this app answers with what is on the share. What the API has loaded may be on one of them only."
    )


def first_choice(served: Served) -> str:
    """An adapter where there is one: it is what was fine-tuned."""
    names = served.names()
    return names[1] if len(names) > 1 else names[0]


def compare_tab(service: Service, model: Any, sampling: list[Any]) -> None:
    ui: Any = gr
    served = service.model()
    question = ui.Textbox(label="Question", placeholder="Ask the base and the model chosen above", lines=1)
    with ui.Row():
        left = ui.Textbox(label=f"Base: {served.base}", lines=8, min_width=280, interactive=False)
        right = ui.Textbox(label=f"Chosen model: {first_choice(served)}", lines=8, min_width=280, interactive=False)
    model.change(titled, [model], [right], api_name=False, queue=False, show_progress="hidden")
    inputs = [question, model, *sampling]
    question.submit(comparison(service), inputs, [left, right], api_name="compare", concurrency_limit=None)


def refusals(service: Service) -> str:
    """A line for each adapter that is on the share and not served, with the reason; empty where there is none."""
    return "\n".join(f"{name}: {reason}" for name, reason in sorted(service.model().adapters.refused.items()))


def titled_page(service: Service, chosen: str) -> str:
    """The heading says who answers. Names are anybody's: nothing in them is HTML."""
    base = service.model().base
    beside = "" if chosen == base else f" <small>(adapter of {escape(base)})</small>"
    return f"<h1>Chat with {escape(chosen)}{beside}</h1>"


def titled(chosen: str) -> Any:
    ui: Any = gr
    return ui.Textbox(label=f"Chosen model: {chosen}")


def turn(service: Service) -> Turn:
    """One turn of the chat: yields the answer as far as it is there."""

    async def answer(  # noqa: PLR0917  (Gradio passes the fields of its form by position)
        message: str,
        history: list[dict[str, Any]],
        model: str,
        system: str,
        max_new_tokens: float,
        temperature: float,
        top_p: float,
        top_k: float,
    ) -> AsyncGenerator[str]:
        messages = [{"role": "system", "content": system}] if system.strip() else []
        messages += [{"role": str(m["role"]), "content": text_of(m["content"])} for m in history]
        messages.append({"role": "user", "content": message})
        try:
            async for text in stream(service, model, messages, wished(max_new_tokens, temperature, top_p, top_k)):
                yield text
        except ApiError as error:
            raise gr.Error(error.message, print_exception=False) from error

    return answer


def named_turn(service: Service) -> Turn:
    """A turn as the page shows it: who answers stands above each answer, and is nothing that the model is told."""
    plain = turn(service)

    async def answer(message: str, history: list[dict[str, Any]], model: str, *more: Any) -> AsyncGenerator[str]:
        before = answered([(str(each["role"]), text_of(each["content"])) for each in history])
        async with aclosing(plain(message, before, model, *more)) as texts:
            async for text in texts:
                yield spoken(model, text)

    return answer


def comparison(service: Service) -> Callable[..., AsyncGenerator[tuple[str, str]]]:
    """One question to the base and to the chosen model, both answers streamed side by side."""

    async def compare(  # noqa: PLR0917  (Gradio passes the fields of its form by position)
        question: str,
        model: str,
        system: str,
        max_new_tokens: float,
        temperature: float,
        top_p: float,
        top_k: float,
    ) -> AsyncGenerator[tuple[str, str]]:
        messages = [{"role": "system", "content": system}] if system.strip() else []
        messages.append({"role": "user", "content": question})
        try:
            base = service.model().base
        except ApiError as error:
            raise gr.Error(error.message, print_exception=False) from error
        if model == base:
            raise gr.Error(f"Choose an adapter above: {base} beside itself compares nothing.", print_exception=False)
        params = wished(max_new_tokens, temperature, top_p, top_k)
        streams = [stream(service, name, messages, params) for name in (base, model)]
        async with aclosing(side_by_side(*streams)) as texts:  # also when whoever asked has left
            async for left, right in texts:
                yield left, right

    return compare


async def side_by_side(*streams: AsyncGenerator[str]) -> AsyncGenerator[tuple[str, ...]]:
    """The texts of several streams, each time that one has grown. One that is refused lets the others end, and is told then."""
    texts = [""] * len(streams)
    changed: asyncio.Queue[bool] = asyncio.Queue()

    async def follow(place: int, given: AsyncGenerator[str]) -> None:
        try:
            async for text in given:
                texts[place] = text
                changed.put_nowait(True)
        finally:
            changed.put_nowait(False)

    tasks = [asyncio.create_task(follow(place, given)) for place, given in enumerate(streams)]
    try:
        running = len(tasks)
        while running:
            running -= not await changed.get()
            yield tuple(texts)
        await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [error for error in ended if isinstance(error, ApiError)]
    for error in ended:
        if error is not None and error not in refused:
            raise error
    if refused:
        raise gr.Error("; ".join(error.message for error in refused), print_exception=False)


def wished(max_new_tokens: float, temperature: float, top_p: float, top_k: float) -> SamplingParams:
    """What the sliders say."""
    return SamplingParams(max_tokens=int(max_new_tokens), temperature=temperature, top_p=top_p, top_k=int(top_k))


async def stream(
    service: Service, model: str, messages: list[dict[str, Any]], wish: SamplingParams
) -> AsyncGenerator[str]:
    served = service.model()
    with service.holding(model) as adapter:
        prompt = await encode_chat(served.engine, served.tokenizer(adapter), messages, None)
        most = min(wish.max_tokens, room(service, len(prompt), None))
        authors = served.sampling  # of what has no slider
        params = replace(wish, max_tokens=most, min_p=authors.min_p, repetition_penalty=authors.repetition_penalty)
        text = ""
        with Generation(service, adapter, [prompt], params) as generation:
            async for batch in generation.deltas():
                for _, delta in batch:
                    raise_failure(delta)
                    text += delta.text
                if batch:
                    yield text


def text_of(content: Any) -> str:
    """A message's text: Gradio keeps it plain or in parts."""
    if isinstance(content, str):
        return content
    parts: Any = [content] if isinstance(content, dict) else content
    return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in parts)
