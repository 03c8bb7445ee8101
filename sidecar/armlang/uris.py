"""The functions of URIs and of data URIs."""

import base64
import binascii
import re
import urllib.parse
from typing import Any

from sidecar.armlang.values import ExpressionError, unknown
from sidecar.dotnet.errors import Malformed
from sidecar.dotnet.text import lower, utf8
from sidecar.dotnet.uris import PORTS, read_uri, resolved


def uri(base: str, relative: str) -> str:
    try:
        start = read_uri(base)
    except Malformed as problem:
        raise ExpressionError(
            f"The template language function 'uri' expects its first argument to be a uri string. The provided value is "
            f"'{base}'. Please see https://aka.ms/arm-function-datauri for usage details."
        ) from problem
    return resolved(start, relative)


def parse_uri(text: str) -> dict[str, Any]:
    try:
        found = read_uri(text)
    except Malformed as problem:
        raise ExpressionError(f"The specified URL '{text}' is not valid '{problem}'.") from problem
    parts: dict[str, Any] = {
        "scheme": found.scheme,
        "host": found.host,
        "port": int(found.port) if found.port else None,
    }
    return {**parts, "path": found.path} | ({"query": found.query} if len(found.query) > 1 else {})


def build_uri(parts: dict[str, Any]) -> str:
    given = {key.lower(): value for key, value in parts.items()}
    for required in ("scheme", "host"):
        if required not in given:
            raise ExpressionError(
                f"The input object to the 'buildUri' function is missing the required property '{required}''."
            )
    texts = {name: given.get(name) for name in ("scheme", "host", "path", "query")}
    port = given.get("port")
    strange = given.keys() - {"scheme", "host", "port", "path", "query"}
    pattern = {"scheme": r"https?", "host": r"[a-z0-9.-]+", "path": r"[^%?#\\]*", "query": r"[^%#]*"}
    for name, text in texts.items():
        if text is not None and not (isinstance(text, str) and re.fullmatch(pattern[name], text)):
            raise unknown(f"how buildUri() writes this {name}")
    if strange or not (port is None or (type(port) is int and 0 < port < 65536)):
        raise unknown("how buildUri() writes these parts")
    path = str(texts["path"] or "")
    shown = "" if port is None or str(port) == PORTS[str(texts["scheme"])] else f":{port}"
    query = str(texts["query"] or "").removeprefix("?")
    return f"{texts['scheme']}://{texts['host']}{shown}/{path.removeprefix('/')}{'?' + query if query else ''}"


def uri_component(text: str) -> str:
    return urllib.parse.quote(utf8(text), safe="~")


def uri_component_to_string(text: str) -> str:
    if re.search(r"%u[0-9A-Fa-f]{4}", text):
        raise unknown("whether %u… stands for a character")
    return urllib.parse.unquote_plus(text)


_DATA = re.compile(r"data:(?P<type>[^;,]*)(?P<more>(?:;[^;,]*)*),(?P<data>.*)", re.DOTALL | re.IGNORECASE)


def data_uri(value: Any) -> str:
    if not isinstance(value, str):
        raise unknown("how dataUri() writes a value that is no string")
    return f"data:text/plain;charset=utf-8;base64,{base64.b64encode(utf8(value)).decode()}"


def data_uri_to_string(text: str) -> str:
    see = "Please see https://aka.ms/arm-functions#dataUriToString for usage details."
    found = _DATA.fullmatch(text)
    if not found:
        raise ExpressionError(
            "The template language function 'dataUriToString' expects its parameter to be formatted as a valid data URI. "
            f"The provided value '{text}' was not formatted correctly. {see}"
        )
    marks = [each for each in found["more"].split(";") if each]
    for mark in marks:
        name, _, value = mark.partition("=")
        if name.lower() == "charset" and lower(value) not in ("utf8", "utf-8"):
            if lower(value) in ("ascii", "us-ascii"):
                raise unknown(f"the charset '{value}' of a data URI")
            raise ExpressionError(
                "The template language function 'dataUriToString' parameter is not valid. The provided charset "
                f"'{value}' is not supported. {see}"
            )
    if "base64" not in map(lower, marks):
        return urllib.parse.unquote(found["data"])
    try:
        return base64.b64decode(re.sub(r"[ \t\r\n]", "", found["data"]), validate=True).decode(errors="replace")
    except binascii.Error as problem:
        raise ExpressionError(
            "The template language function 'dataUriToString' was invoked with a parameter that is not valid. The value "
            "cannot be converted to the target type."
        ) from problem
