"""Messages of a conversation with the deployed model. What is asked and answered is in no log."""

from __future__ import annotations

from sidecar.wire.message import Message, Operation, Sentence
from sidecar.words.names import ChatFinish, ChatRole, CloudName, SnippetLanguage, State


class ChatModelsParams(Operation):
    """`wake`: the person has agreed to wake an app that sleeps. Without it looking wakes nothing."""

    folder: str
    cloud: CloudName
    wake: bool


class ChatModel(Message):
    """`base`: no adapter. `hash`: SHA-256 of an adapter's files. `context`: tokens that fit. None: the server does not tell."""

    name: str
    base: bool
    hash: str | None
    context: int | None


class ChatModels(Message):
    """`models`: empty where nothing is awake to name one; then `sentence` says why, where more than the state is known."""

    state: State
    app: str | None
    url: str | None
    release: str | None
    models: list[ChatModel]
    sentence: Sentence | None
    cooldown: int


class ChatMessage(Message):
    role: ChatRole
    content: str


class ChatRequest(Message):
    """What is not stated (None) is the server's own choice."""

    model: str
    messages: list[ChatMessage]
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    seed: int | None


class ChatParams(Operation):
    """Goes on until the answer is whole, or it is cancelled: then what was answered so far stands."""

    folder: str
    cloud: CloudName
    request: ChatRequest
    consents: list[str]


class ChatBegan(Message):
    """Who answers, as the server says. `hash`: of an adapter's files."""

    operation: str
    model: str
    release: str | None
    hash: str | None


class ChatText(Message):
    """The next piece of an answer. `thought`: of what the model thinks before it answers."""

    operation: str
    text: str
    thought: bool


class ChatAnswer(Message):
    """How it ended. Tokens are None where the server does not count them."""

    finish: ChatFinish
    prompt_tokens: int | None
    answer_tokens: int | None


class ChatCodeParams(Message):
    folder: str
    cloud: CloudName
    language: SnippetLanguage
    request: ChatRequest


class ChatCode(Message):
    """The key stands not in it: SLIPWAY_API_KEY holds it."""

    code: str
