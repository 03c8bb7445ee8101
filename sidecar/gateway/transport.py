"""How requests to ARM travel: their limits of time, their retries, a cancel that is heard while no answer comes, a token that is
renewed once where it is refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sidecar.gateway.credentials import Renewable
from sidecar.gateway.patience import LONGEST_RETRY_AFTER, Patience
from sidecar.words.errors import Cancelled
from sidecar.words.text import Text

CONNECT_SECONDS = 20
ANSWER_SECONDS = 100
"""Between two bytes of an answer. The SDK's own five minutes are a closed lid's, not a slow cloud's."""

TOLD_PAUSE = 3
"""Seconds. A longer pause between two tries is told."""

HEARD_SECONDS = 0.1
"""Between two looks whether somebody cancels."""

READS = frozenset({"GET", "HEAD"})
"""What may be left without its answer: nothing was changed."""

T = TypeVar("T")


KEPT_SECONDS = 5.0
"""For so long a connection that was used may be used again. One that is older may have died unseen, behind a closed lid."""


class Connections:
    """Connections of a session, kept from one request to the next: each new one reads this machine's whole certificate store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: Any = None
        self._used = 0.0

    def taken(self, **options: Any) -> Any:
        """What the SDK's transports keep connections in."""
        from azure.core.pipeline.transport import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
            RequestsTransport,
        )

        with self._lock:
            now = time.time()  # the other clock may stand still while the machine sleeps
            if self._kept is None or not 0 <= now - self._used <= KEPT_SECONDS:
                owner = RequestsTransport(**options)
                owner.open()
                self._kept = owner.session
            self._used = now
            return self._kept

    def used(self) -> None:
        with self._lock:
            self._used = time.time()


def transport(patience: Patience, connections: Connections, *, verify: str | bool, **options: Any) -> Any:
    """The SDK's transport, which a cancel leaves at once while something is read. A change is waited for: whether it was made has
    to be known."""
    from azure.core.pipeline.transport import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
        RequestsTransport,
    )

    class Heard(RequestsTransport):
        def send(self, request: Any, **kwargs: Any) -> Any:
            self.session = connections.taken(**options)
            try:
                if request.method not in READS or patience.stop.is_set():
                    return super().send(request, **kwargs)

                def ask() -> Any:
                    return RequestsTransport.send(self, request, **kwargs)

                return left_with(patience.stop, ask)
            finally:
                connections.used()

    return Heard(
        session=connections.taken(**options),
        session_owner=False,
        connection_verify=verify,
        connection_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        **options,
    )


def left_with(stop: threading.Event, ask: Callable[[], T]) -> T:
    """What is answered on a thread of its own; raises Cancelled once `stop` is set, whatever becomes of it."""
    answers: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((ask(), None))
        except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
            answers.put((None, error))

    threading.Thread(target=run, name="request", daemon=True).start()
    while True:
        try:
            answer, error = answers.get(timeout=HEARD_SECONDS)
        except Empty:
            if stop.is_set():
                raise Cancelled(
                    Text("Cancelled. Nothing more is started."), Text("Run the command again to go on from here.")
                ) from None
            continue
        if error is not None:
            raise error
        return answer  # pyright: ignore[reportReturnType]  (an answer without an error is one)


def retry_policy(patience: Patience) -> Any:
    from azure.core.pipeline.policies import RetryPolicy  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    class CappedRetry(RetryPolicy):
        """The SDK's retries, with a cap on what a server may ask to wait."""

        def get_retry_after(self, response: Any) -> Any:
            asked = super().get_retry_after(response)
            return min(asked, LONGEST_RETRY_AFTER) if asked else asked

        def sleep(self, settings: Any, transport: Any, response: Any = None) -> None:
            """Between two tries: told, and ended by a cancel."""
            pausing: Any = _Pause(patience)
            super().sleep(settings, pausing, response)

    return CappedRetry(retry_total=4, retry_backoff_factor=0.4, timeout=180)


class _Pause:
    """What the SDK takes for its transport when it sleeps."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def sleep(self, seconds: float) -> None:
        if seconds >= TOLD_PAUSE:
            self._patience.say(Text("The cloud asks for patience: again in {seconds} s…", seconds=round(seconds)))
        self._patience.wait(seconds)


def authentication(credential: Renewable, scope: str) -> Any:
    """Beside what the SDK knows (a challenge for claims): a token that is refused, as one is that has expired or been revoked
    meanwhile, is asked for anew, once a request."""
    from azure.mgmt.core.policies import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
        ARMChallengeAuthenticationPolicy,
    )

    class Renewing(ARMChallengeAuthenticationPolicy):
        def on_challenge(self, request: Any, response: Any) -> bool:
            if super().on_challenge(request, response):
                return True
            credential.renew()
            self.authorize_request(request, scope)
            return True

    return Renewing(credential, scope)
