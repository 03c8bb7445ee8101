"""Which other sites' pages may call the API from a browser: nobody's, unless a setting names them."""

from dataclasses import dataclass
from typing import cast

from starlette.responses import Response
from starlette.types import Scope

Headers = list[tuple[bytes, bytes]]

CALLED = ("/v1/", "/openai/", "/tokenize", "/detokenize", "/version", "/metrics")
"""The API. The chat page, the login and the supervisor are for pages of this site alone."""
EVERYBODY = "*"
SHOWN = b"x-request-id, x-slipway-model, x-slipway-adapter-hash, x-slipway-release, retry-after"
ALLOWED = b"access-control-allow-origin"
DAY = "86400"  # for which a browser need not ask again


@dataclass(frozen=True)
class Cors:
    """A page brings the key itself; cookies are never allowed, so that no other site acts as who is logged in here."""

    origins: frozenset[str] = frozenset()

    def headers(self, scope: Scope) -> Headers:
        """For an answer; none where the page's site may not read it."""
        given = self._given(scope) if self.origins else ""
        if not given or not scope["path"].startswith(CALLED):
            return []
        everybody = EVERYBODY in self.origins
        if not everybody and given not in self.origins:
            return [(b"vary", b"Origin")]
        who = b"*" if everybody else given.encode("latin-1")
        told = [(ALLOWED, who), (b"access-control-expose-headers", SHOWN)]
        return told if everybody else [*told, (b"vary", b"Origin")]

    def preflight(self, scope: Scope) -> Response | None:
        """The answer to a browser that asks before the call itself, without the key; None where it is no such question."""
        headers = dict(cast("Headers", scope["headers"]))
        wanted = headers.get(b"access-control-request-method")
        if (
            scope["method"] != "OPTIONS"
            or wanted is None
            or not any(name == ALLOWED for name, _ in self.headers(scope))
        ):
            return None
        answer = Response(status_code=204)
        answer.headers["access-control-allow-methods"] = "GET, POST, OPTIONS"
        answer.headers["access-control-max-age"] = DAY
        asked = headers.get(b"access-control-request-headers", b"").decode("latin-1")
        answer.headers["access-control-allow-headers"] = asked or "authorization, content-type"
        return answer

    @staticmethod
    def _given(scope: Scope) -> str:
        return dict(cast("Headers", scope["headers"])).get(b"origin", b"").decode("latin-1")
