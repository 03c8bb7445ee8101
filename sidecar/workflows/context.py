"""What an action may use besides its parameters, and the sessions that it opens with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast, get_args, get_origin

from sidecar.core.journal import Event, Journal, Leaving
from sidecar.core.masking import Mask, mask_error
from sidecar.core.workspace import Target, open_workspace, read_config
from sidecar.gateway.patience import Patience
from sidecar.gateway.place import AppPlace, GroupPlace
from sidecar.gateway.session import Session, Settings, cloud_of
from sidecar.gateway.tenants import session_in
from sidecar.wire import protocol as wire
from sidecar.words.errors import SlipwayError
from sidecar.words.names import CloudName
from sidecar.words.text import Text

T = TypeVar("T")
M = TypeVar("M", bound=wire.Message)


@dataclass(frozen=True)
class Context:
    """What an action may use besides its parameters."""

    settings: Settings
    listen: Callable[[Event], None]
    stop: threading.Event
    leaving: Leaving = field(default_factory=Leaving)
    """Of the process that the action runs in."""
    tell: Callable[[wire.LogLine], None] = field(default=lambda _: None)
    """Lines of an app's logs: for whoever asked, and for no log of ours."""
    answer: Callable[[wire.ChatBegan | wire.ChatText], None] = field(default=lambda _: None)
    """What a model answers, piece by piece: likewise."""

    @property
    def patience(self) -> Patience:
        """Waits that hear the cancel of this action and tell whoever looks on; each sentence is in the log once."""
        told: set[str] = set()

        def say(text: Text) -> None:
            self.listen(Event("progress", "info", text))
            if str(text) not in told:
                told.add(str(text))
                self.listen(Event("log", "info", text))

        return Patience(self.stop, say, self.settings.wait_scale)


def place_of(session: Session, target: Target) -> AppPlace:
    return GroupPlace(session, target.subscription_id, target.resource_group).app(target.app)


def opened(cloud: CloudName, subscription_id: str | None, context: Context) -> Session:
    return session_in(context.settings, cloud, subscription_id, context.patience)


def session_for(folder: str, cloud: CloudName, context: Context) -> Session:
    """Where a project's own configuration says that its app is."""
    config = read_config(open_workspace(folder))
    return opened(cloud_of(context.settings, cloud, config.SUBSCRIPTION_ID), config.SUBSCRIPTION_ID, context)


def silent(context: Context) -> Journal:
    """For what only looks, or can be done again at any time: nothing is written down, and a cancel is heard."""
    return Journal(None, "", context.listen, context.stop)


def masked(journal: Journal, run: Callable[[], T]) -> T:
    """What a failure says holds nothing that the journal has found to be hidden."""
    try:
        return run()
    except SlipwayError as error:
        mask_error(error, journal.mask)
        raise


def without(message: M, journal: Journal) -> M:
    """The message, with nothing in it that the journal has found to be hidden."""
    return _without(message, type(message), journal.mask) if journal.mask else message


def _without(value: Any, kind: object, mask: Mask) -> Any:
    """Of a message what is free text; a word of a fixed list stays, and is no value of anybody's."""
    if isinstance(value, wire.Message):
        fields = type(value).model_fields
        held = {name: _without(getattr(value, name), each.annotation, mask) for name, each in fields.items()}
        return value.model_copy(update=held)
    kinds = (kind, *get_args(kind))
    if isinstance(value, str):
        return mask.said(value) if str in kinds else value
    inner = next((get_args(each)[-1] for each in kinds if get_origin(each) in (list, dict)), None)
    if isinstance(value, list):
        return [_without(each, inner, mask) for each in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _without(each, inner, mask) for key, each in cast("dict[str, object]", value).items()}
    return value
