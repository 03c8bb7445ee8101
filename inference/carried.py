"""What the layers around a request hand on with it: who asks, and the ways past them that a stream needs."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope, Send

KEY = "slipway"  # in the ASGI scope, the one thing that every layer is given


def no_connection() -> None:
    raise RuntimeError("this request came over no connection of this server")


@dataclass(eq=False)
class Carried:
    """`known`: the request brought the key or a cookie. `send`: the connection's own, before any layer wrapped it. `abort`
    drops the connection, whether or not the client reads; `drop` does once it has read what was written."""

    known: bool = False
    send: Send | None = None
    abort: Callable[[], None] = no_connection
    drop: Callable[[], None] = no_connection


def carried(scope: Scope) -> Carried:
    """Of this request; made when the first layer asks."""
    found: Carried = scope.setdefault(KEY, Carried())
    return found
