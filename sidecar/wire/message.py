"""What every message on the wire is made of: models with camelCase names, and sentences that the extension translates."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from sidecar.words.text import Text


class Message(BaseModel):
    """One JSON object on the wire: camelCase names, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Operation(Message):
    """A request that takes a while; its progress names it by this."""

    operation: str


class Sentence(Message):
    """A message for a person: the extension translates the template and fills in the arguments."""

    message: str
    args: dict[str, str]

    def spoken(self) -> str:
        """In English."""
        return str(Text.again(self.message, self.args))


def sentence(text: Text) -> Sentence:
    return Sentence(message=text.message, args=dict(text.args))
