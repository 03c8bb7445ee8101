"""Who may come in: the API key, the cookie that stands for it, and one-time login links."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import Scope

COOKIE_LIFETIME = 7 * 24 * 3600
TICKET_LIFETIME = 60


@dataclass(eq=False)
class Gate:
    """Judges requests by the key. Cookies and tickets are signed with a key derived from it, so that they hold on every
    replica and after a restart; that a ticket works once is remembered by the replica that took it.
    """

    key: str
    clock: Callable[[], float] = time.time
    previous: "Gate | None" = None
    """Of the key before this one, while callers change: it admits whom it admitted, and gives out nothing new."""
    _used: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def configured(self) -> bool:
        return bool(self.key)

    @property
    def cookie(self) -> str:
        """The cookie's name. Every port of a host has the same cookies, so that endpoints with other keys need other names."""
        return f"slipway-{self._derived('cookie name').hex()[:8]}"

    def admits(self, scope: Scope) -> bool:
        """Whether a request carries the key, as bearer token or as Azure's clients do (`api-key`), or a valid cookie."""
        if not self.configured:
            return False
        headers: dict[bytes, bytes] = dict(scope["headers"])
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and self.knows(given.strip()):
            return True
        if (azures := headers.get(b"api-key")) is not None and self.knows(azures.decode("latin-1").strip()):
            return True
        # A browser sends the cookie from pages of this site's other ports and hosts too; they may not act with it.
        sender = headers.get(b"sec-fetch-site", b"none")
        if sender not in {b"none", b"same-origin"} and scope.get("method", "GET") not in {"GET", "HEAD"}:
            return False
        if self.valid_cookie(value_of(self.cookie, headers.get(b"cookie", b"").decode("latin-1"))):
            return True
        return self.previous is not None and self.previous.admits(scope)

    def knows(self, given: str) -> bool:
        same = self.configured and hmac.compare_digest(digest(given), digest(self.key))
        return same or (self.previous is not None and self.previous.knows(given))

    def new_cookie(self) -> str:
        return self._sign("cookie", int(self.clock()) + COOKIE_LIFETIME, secrets.token_urlsafe(9))

    def valid_cookie(self, value: str) -> bool:
        return self._verify("cookie", value) is not None

    def new_ticket(self) -> str:
        return self._sign("ticket", int(self.clock()) + TICKET_LIFETIME, secrets.token_urlsafe(16))

    def take_ticket(self, value: str) -> bool:
        """True once for each valid ticket."""
        expiry = self._verify("ticket", value)
        if expiry is None and self.previous is not None:
            return self.previous.take_ticket(value)
        now = self.clock()
        self._used = {used: until for used, until in self._used.items() if until >= now}
        if expiry is None or value in self._used:
            return False
        self._used[value] = expiry
        return True

    def _sign(self, purpose: str, expiry: int, nonce: str) -> str:
        return f"{expiry}.{nonce}.{self._signature(purpose, expiry, nonce)}"

    def _verify(self, purpose: str, value: str) -> float | None:
        """The expiry of a value that was signed for this purpose and still holds."""
        expiry, _, rest = value.partition(".")
        nonce, _, signature = rest.rpartition(".")
        if not self.configured or not expiry.isdecimal() or len(expiry) > 12 or not nonce:
            return None
        if expiry != str(int(expiry)):  # another spelling would be another ticket to who remembers the used ones
            return None
        expected = self._signature(purpose, int(expiry), nonce)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            return None
        return int(expiry) if int(expiry) >= self.clock() else None

    def _signature(self, purpose: str, expiry: int, nonce: str) -> str:
        return hmac.digest(self._derived(purpose), f"{expiry}.{nonce}".encode(), "sha256").hex()

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self.key.encode(), f"slipway {purpose}".encode(), "sha256")


def value_of(cookie: str, header: str) -> str:
    """One cookie's value. The others may hold anything: every server on this host, whatever its port, can set some."""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == cookie:
            return value.strip('"')
    return ""


def digest(text: str) -> bytes:
    """Equal lengths, so that the comparison takes the same time for every guess."""
    return hashlib.sha256(text.encode()).digest()


def gate_for(key: str, previous: str) -> Gate:
    """`previous`: empty, or as the key itself: there is none."""
    return Gate(key, previous=Gate(previous) if key and previous and previous != key else None)
