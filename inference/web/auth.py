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
    _used: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def configured(self) -> bool:
        return bool(self.key)

    @property
    def cookie(self) -> str:
        """The cookie's name. Every port of a host has the same cookies, so that endpoints with other keys need other names."""
        return f"slipway-{self._derived('cookie name').hex()[:8]}"

    def admits(self, scope: Scope) -> bool:
        """Whether a request carries the key as bearer token, or a valid cookie."""
        if not self.configured:
            return False
        headers: dict[bytes, bytes] = dict(scope["headers"])
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and self.knows(given.strip()):
            return True
        # A browser sends the cookie from pages of this site's other ports and hosts too; they may not act with it.
        sender = headers.get(b"sec-fetch-site", b"none")
        if sender not in {b"none", b"same-origin"} and scope.get("method", "GET") not in {"GET", "HEAD"}:
            return False
        return self.valid_cookie(value_of(self.cookie, headers.get(b"cookie", b"").decode("latin-1")))

    def knows(self, given: str) -> bool:
        return self.configured and hmac.compare_digest(digest(given), digest(self.key))

    def new_cookie(self) -> str:
        return self._sign("cookie", int(self.clock()) + COOKIE_LIFETIME, secrets.token_urlsafe(9))

    def valid_cookie(self, value: str) -> bool:
        return self._verify("cookie", value) is not None

    def new_ticket(self) -> str:
        return self._sign("ticket", int(self.clock()) + TICKET_LIFETIME, secrets.token_urlsafe(16))

    def take_ticket(self, value: str) -> bool:
        """True once for each valid ticket."""
        expiry = self._verify("ticket", value)
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


def login_page(message: str = "") -> str:
    """The static page that stands at `/` for those without a cookie; it loads nothing."""
    note = f'<p role="alert" class="wrong">{message}</p>' if message else ""
    return PAGE.replace("{title}", "Sign in").replace(
        "{body}",
        "<h1>Inference endpoint</h1><p>Enter the API key of this endpoint to open its chat.</p>"
        f'{note}<form method="post" action="login"><label for="key">API key</label>'
        '<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>'
        "<button>Sign in</button></form>"
        "<p class=hint>In VS Code, <b>Go to Inference Endpoint</b> opens this page already signed in.</p>",
    )


def notice_page(title: str, text: str, refresh: int) -> str:
    """A page that says what is going on, and asks again after `refresh` seconds (0: it does not)."""
    meta = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    return (
        PAGE.replace("<meta charset", f"{meta}<meta charset")
        .replace("{title}", title)
        .replace("{body}", f"<h1>{title}</h1><p role=status>{text}</p>")
    )


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="data:,"><style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: light-dark(#f6f7f9, #15181d) }
main { width: min(24rem, 100% - 4rem); padding: 2rem; border-radius: 12px; background: light-dark(#fff, #1e232b);
  box-shadow: 0 2px 16px #0002 }
h1 { font-size: 1.3rem; margin: 0 0 .5rem } label { display: block; font-weight: 600; margin: 1rem 0 .25rem }
input, button { font: inherit; width: 100%; box-sizing: border-box; padding: .6rem; border-radius: 8px }
input { border: 1px solid light-dark(#aab, #556) } .hint { font-size: .85rem; opacity: .75 }
button { margin-top: 1rem; border: 0; background: #0b62c4; color: #fff; font-weight: 600; cursor: pointer }
.wrong { color: light-dark(#b00020, #ff8a8a) }
</style></head><body><main>{body}</main></body></html>
"""
