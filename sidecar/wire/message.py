"""What every message on the wire is made of: models with camelCase names, and sentences that the extension translates."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from sidecar.words.text import Text


class Message(BaseModel):
    """One JSON object on the wire: camelCase names, unknown fields refused. What is refused is in no error's words: it may be a
    token, a prompt or an answer."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )


class Operation(Message):
    """A request that takes a while; its progress names it by this."""

    operation: str


class Sentence(Message):
    """A message for a person: the extension translates the template and fills in the arguments, some of them such messages."""

    message: str
    args: dict[str, str | Sentence]


def sentence(text: Text) -> Sentence:
    args = {name: sentence(value) if isinstance(value, Text) else value for name, value in text.args}
    return Sentence(message=text.message, args=args)


def text_of(told: Sentence) -> Text:
    """The text that was sent."""
    args = {name: text_of(value) if isinstance(value, Sentence) else value for name, value in told.args.items()}
    return Text.again(told.message, args)
