"""SharedKey: the signature over a request of the Files data plane, rebuilt byte by byte; and the signature of a SAS."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

_SIGNED = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


def string_to_sign(
    method: str, account: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str]
) -> str:
    """What a SharedKey signature covers. `path` is as it stands in the request, percent signs included; `headers` lower case."""
    values = [headers.get(name, "") for name in _SIGNED]
    # A length of zero is signed as nothing since version 2015-02-21; a Date beside x-ms-date is not signed.
    values[_SIGNED.index("content-length")] = (
        headers.get("content-length", "").replace("0", "") and headers["content-length"]
    )
    if "x-ms-date" in headers:
        values[_SIGNED.index("date")] = ""
    ours = sorted((name, value) for name, value in headers.items() if name.startswith("x-ms-"))
    canonical_headers = "".join(f"{name}:{value.strip()}\n" for name, value in ours)
    grouped: dict[str, list[str]] = {}
    for name, value in query:
        grouped.setdefault(name.lower(), []).append(unquote(value))
    canonical_query = "".join(f"\n{name}:{','.join(sorted(grouped[name]))}" for name in sorted(grouped))
    return "\n".join([method, *values]) + f"\n{canonical_headers}/{account}{path}{canonical_query}"


def signature(key: str, text: str) -> str:
    """HMAC-SHA256 of `text` with an account key, both in base64."""
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def signed_by(keys: Sequence[str], text: str, given: str) -> bool:
    """Whether `given` is the signature of `text` under one of the keys; compared in constant time."""
    try:
        base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return False
    return any(hmac.compare_digest(signature(key, text).encode(), given.encode()) for key in keys)
