"""URIs as .NET's System.Uri reads and writes them: escaped, in lower case where it does not matter, without `..`."""

import re
from dataclasses import dataclass, replace

from sidecar.dotnet.errors import Malformed, NotKnown
from sidecar.dotnet.text import utf8

_ABSOLUTE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?://(?P<user>[^/?#@]*@)?(?P<host>[^/?#:]*|\[[^\]]*\])(?::(?P<port>\d*))?)?"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
PORTS = {"http": "80", "https": "443", "file": ""}
_KEPT = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]")
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]")
_PIECE = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)


@dataclass(frozen=True)
class Uri:
    scheme: str
    user: str
    host: str
    port: str
    path: str
    query: str
    fragment: str

    def __str__(self) -> str:
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{self.user}{self.host}{port}{self.path}{self.query}{self.fragment}"


def read_uri(text: str) -> Uri:
    """An absolute URI, escaped and in its normal form. Malformed says why it is none."""
    text = text.strip(" \t\r\n")
    found = _ABSOLUTE.fullmatch(text)
    if not text:
        raise Malformed("Invalid URI: The URI is empty.")
    if not found or found["host"] is None:
        raise Malformed("Invalid URI: The format of the URI could not be determined.")
    scheme = found["scheme"].lower()
    if scheme not in PORTS:
        raise NotKnown(f"URIs of the scheme '{scheme}'")
    host = found["host"]
    if not re.fullmatch(r"[A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]", host) or (scheme == "file" and host):
        raise NotKnown(f"the host '{host}' of a URI")
    if scheme != "file" and not host:
        raise Malformed("Invalid URI: The hostname could not be parsed.")
    if int(found["port"] or 0) > 65535:
        raise Malformed("Invalid URI: Invalid port specified.")
    port = found["port"] or ""
    path = _dots(_escaped(found["path"].replace("\\", "/"), path=True)) or "/"
    query, fragment = _escaped(found["query"] or ""), _escaped(found["fragment"] or "")
    return Uri(scheme, found["user"] or "", host.lower(), "" if port == PORTS[scheme] else port, path, query, fragment)


def _escaped(text: str, *, path: bool = False) -> str:
    def piece(found: re.Match[str]) -> str:
        one = found[0]
        if len(one) == 3:
            plain = chr(int(one[1:], 16))
            unreserved = _UNRESERVED.fullmatch(plain) is not None
            if (unreserved and not path) or (not unreserved and one != one.upper()):
                raise NotKnown(f"whether '{one}' stays so in a URI")
            return plain if unreserved else one
        return one if _KEPT.fullmatch(one) else "".join(f"%{byte:02X}" for byte in utf8(one))

    return _PIECE.sub(piece, text)


def _dots(path: str) -> str:
    made: list[str] = []
    parts = path.split("/")
    for at, part in enumerate(parts):
        if part == ".." and len(made) > 1:
            made.pop()
        if part in (".", ".."):
            if at == len(parts) - 1:
                made.append("")
        else:
            made.append(part)
    return "/".join(made)


def resolved(start: Uri, relative: str) -> str:
    """`relative` as it is meant where `start` is."""
    text = relative.strip(" \t\r\n")
    if not text:
        return str(start)
    before = re.match(r"[^?#]*", text)
    end = before.end() if before else 0
    text = text[:end].replace("\\", "/") + text[end:]
    own = re.match(rf"{start.scheme}:(?!//)", text, re.IGNORECASE)
    text = text[own.end() :] if own else text
    if text.startswith("//"):
        text = f"{start.scheme}:{text}"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text):
        try:
            return str(read_uri(text))
        except Malformed as problem:
            raise NotKnown(f"the URI '{relative}'") from problem
    found = re.fullmatch(r"([^?#]*)(\?[^#]*)?(#.*)?", text, re.DOTALL)
    path, query, fragment = (each or "" for each in found.groups()) if found else ("", "", "")
    if not path:
        query = _escaped(query) or start.query
        return str(replace(start, query=query, fragment=_escaped(fragment)))
    joined = path if path.startswith("/") else f"{start.path.rpartition('/')[0]}/{path}"
    return str(
        replace(
            start, path=_dots(_escaped(joined, path=True)) or "/", query=_escaped(query), fragment=_escaped(fragment)
        )
    )
