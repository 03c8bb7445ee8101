"""The actions of a conversation with the deployed model, as both doors offer them. Nothing of it is written down."""

from __future__ import annotations

from sidecar.core.workspace import open_workspace, target_of
from sidecar.decisions.snippets import call
from sidecar.gateway.answering import Piece, Question, Who
from sidecar.wire import protocol as wire
from sidecar.words.errors import EndpointError
from sidecar.words.said import STATES
from sidecar.words.text import Text
from sidecar.workflows.awake import look
from sidecar.workflows.chat import WAKE, chat, models
from sidecar.workflows.context import Context, place_of, session_for, silent
from sidecar.workflows.observe import STOPPED


def chat_models_action(params: wire.ChatModelsParams, context: Context) -> wire.ChatModels:
    session = session_for(params.folder, params.cloud, context)
    found = models(open_workspace(params.folder), session, silent(context), wake=params.wake)
    return wire.ChatModels(
        state=found.state,
        app=found.app,
        url=found.url,
        release=found.release,
        models=[
            wire.ChatModel(name=each.name, base=each.parent is None, hash=each.hash, context=each.context)
            for each in found.models
        ],
        sentence=None if found.sentence is None else wire.sentence(found.sentence),
        cooldown=found.cooldown,
    )


def chat_action(params: wire.ChatParams, context: Context) -> wire.ChatAnswer:
    def hear(heard: Who | Piece) -> None:
        if isinstance(heard, Who):
            context.answer(
                wire.ChatBegan(operation=params.operation, model=heard.model, release=heard.release, hash=heard.hash)
            )
        else:
            context.answer(wire.ChatText(operation=params.operation, text=heard.text, thought=heard.thought))

    session = session_for(params.folder, params.cloud, context)
    workspace = open_workspace(params.folder)
    wake = WAKE in params.consents
    done = chat(workspace, session, _question(params.request), hear, silent(context), context.stop, wake=wake)
    return wire.ChatAnswer(finish=done.finish, prompt_tokens=done.prompt_tokens, answer_tokens=done.answer_tokens)


def chat_code_action(params: wire.ChatCodeParams, context: Context) -> wire.ChatCode:
    target = target_of(open_workspace(params.folder))
    seen = look(place_of(session_for(params.folder, params.cloud, context), target), target.endpoint)
    if not seen.url:
        raise EndpointError(
            Text("{app} has no address now: its state is {state}.", app=target.app, state=STATES["stopped"]),
            STOPPED,
            code="NoAddress",
        )
    return wire.ChatCode(code=call(params.language, seen.url, _question(params.request).body()))


def _question(request: wire.ChatRequest) -> Question:
    messages = [{"role": each.role, "content": each.content} for each in request.messages]
    return Question(request.model, messages, request.temperature, request.top_p, request.max_tokens, request.seed)
