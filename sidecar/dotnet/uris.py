"""URIs as .NET's System.Uri reads and writes them: escaped, in lower case where it does not matter, without `..`."""

import re
import urllib.parse
from dataclasses import dataclass, replace
from typing import Any

from sidecar.dotnet.errors import Malformed, NotKnown
from sidecar.dotnet.text import utf8

_ABSOLUTE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?://(?P<user>[^/?#@]*@)?(?P<host>[^/?#:]*|\[[^\]]*\])(?::(?P<port>\d*))?)?"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_PORTS = {"http": "80", "https": "443", "file": ""}
_KEPT = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]")
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]")
_PIECE = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)


@dataclass(frozen=True)
class _Uri:
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


def _read(text: str) -> _Uri:
    """An absolute URI, escaped and in its normal form. Malformed says why it is none."""
    text = text.strip(" \t\r\n")
    found = _ABSOLUTE.fullmatch(text)
    if not text:
        raise Malformed("Invalid URI: The URI is empty.")
    if not found or found["host"] is None:
        raise Malformed("Invalid URI: The format of the URI could not be determined.")
    scheme = found["scheme"].lower()
    if scheme not in _PORTS:
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
    return _Uri(
        scheme, found["user"] or "", host.lower(), "" if port == _PORTS[scheme] else port, path, query, fragment
    )


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


def resolved(base: str, relative: str) -> str:
    """`relative` as it is meant where `base` is."""
    start = _read(base)
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
            return str(_read(text))
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


def parts(text: str) -> dict[str, Any]:
    found = _read(text)
    known: dict[str, Any] = {
        "scheme": found.scheme,
        "host": found.host,
        "port": int(found.port) if found.port else None,
    }
    return {**known, "path": found.path} | ({"query": found.query} if len(found.query) > 1 else {})


_WRITTEN = {"scheme": r"https?", "host": r"[a-z0-9.-]+", "path": r"[^%?#\\]*", "query": r"[^%#]*"}


def built(given: dict[str, Any]) -> str:
    """The URI that parts make. Malformed names a part that is missing."""
    given = {key.lower(): value for key, value in given.items()}
    for required in ("scheme", "host"):
        if required not in given:
            raise Malformed(required)
    texts = {name: given.get(name) for name in _WRITTEN}
    port = given.get("port")
    strange = given.keys() - {*_WRITTEN, "port"}
    for name, text in texts.items():
        if text is not None and not (isinstance(text, str) and re.fullmatch(_WRITTEN[name], text)):
            raise NotKnown(f"how buildUri() writes this {name}")
    if strange or not (port is None or (type(port) is int and 0 < port < 65536)):
        raise NotKnown("how buildUri() writes these parts")
    path = str(texts["path"] or "")
    shown = "" if port is None or str(port) == _PORTS[str(texts["scheme"])] else f":{port}"
    query = str(texts["query"] or "").removeprefix("?")
    return f"{texts['scheme']}://{texts['host']}{shown}/{path.removeprefix('/')}{'?' + query if query else ''}"


def component(text: str) -> str:
    return urllib.parse.quote(utf8(text), safe="~")


def component_text(text: str) -> str:
    if re.search(r"%u[0-9A-Fa-f]{4}", text):
        raise NotKnown("whether %u… stands for a character")
    return urllib.parse.unquote_plus(text)
