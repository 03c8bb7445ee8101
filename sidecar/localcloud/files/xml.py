"""The XML that the Files service answers with: errors and listings."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape, quoteattr

from starlette.responses import Response

from sidecar.localcloud.files.attributes import smb_time
from sidecar.localcloud.files.tree import FilesError, one_case

# What XML 1.0 has no place for; lone surrogates are bytes of a file name that are no UTF-8.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = '<?xml version="1.0" encoding="utf-8"?>'


@dataclass(frozen=True)
class Entry:
    """A file or directory in a listing."""

    name: str
    size: int | None
    """None for a directory."""
    modified: float
    identity: str


def error_response(error: FilesError, method: str) -> Response:
    headers = {**error.headers, "x-ms-error-code": error.code}
    if method == "HEAD":
        return Response(status_code=error.status, headers=headers)  # no body, and so no type: an SDK would parse it
    body = f"{_HEAD}<Error><Code>{error.code}</Code><Message>{_text(error.message)}</Message></Error>"
    return Response(body, error.status, headers, "application/xml")


def xml_response(body: str) -> Response:
    return Response(_HEAD + body, media_type="application/xml")


def listing(
    endpoint: str,
    share: str,
    directory: str,
    entries: Sequence[Entry],
    *,
    prefix: str,
    limit: int,
    include: str,
    marker: str,
) -> str:
    """One page of a directory: the entries after `marker`, `limit` at most, the marker of the next page at its end."""
    last = unquote(marker, errors="surrogateescape")
    after = [entry for entry in entries if one_case(entry.name) > last] if last else list(entries)
    page, rest = after[:limit], after[limit:]
    body = "".join(_entry(entry, include.lower()) for entry in page)
    shown = quoteattr(_quoted(directory) if _NOT_XML.search(directory) else directory)
    following = _quoted(one_case(page[-1].name)) if rest and page else ""
    return (
        f"<EnumerationResults ServiceEndpoint={quoteattr(endpoint)} ShareName={quoteattr(share)} "
        f"DirectoryPath={shown}>{_named('Prefix', prefix)}<MaxResults>{limit}</MaxResults>"
        f"<Entries>{body}</Entries><NextMarker>{following}</NextMarker></EnumerationResults>"
    )


@dataclass(frozen=True)
class ListedShare:
    name: str
    quota: int
    """GiB"""
    modified: float
    tier: str
    metadata: Mapping[str, str] | None
    """None: not asked for."""


def shares_listing(endpoint: str, shares: Sequence[ListedShare], prefix: str, limit: int, marker: str) -> str:
    """One page of an account's shares: those from `marker` on, `limit` at most."""
    after = [share for share in shares if share.name >= marker]
    body = "".join(
        f"<Share><Name>{escape(share.name)}</Name><Properties>"
        f"<Last-Modified>{formatdate(share.modified, usegmt=True)}</Last-Modified>"
        f'<Etag>"{etag_number(share.modified)}"</Etag><Quota>{share.quota}</Quota><AccessTier>{share.tier}</AccessTier>'
        "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
        f"</Properties>{_metadata(share.metadata)}</Share>"
        for share in after[:limit]
    )
    following = after[limit].name if len(after) > limit else ""
    return (
        f"<EnumerationResults ServiceEndpoint={quoteattr(endpoint)}>{_named('Prefix', prefix)}<MaxResults>{limit}</MaxResults>"
        f"<Shares>{body}</Shares><NextMarker>{escape(following)}</NextMarker></EnumerationResults>"
    )


def _metadata(metadata: Mapping[str, str] | None) -> str:
    if metadata is None:
        return ""
    return f"<Metadata>{''.join(f'<{name}>{_text(value)}</{name}>' for name, value in metadata.items())}</Metadata>"


def range_list(ranges: Sequence[tuple[int, int]]) -> str:
    body = "".join(f"<Range><Start>{first}</Start><End>{last}</End></Range>" for first, last in ranges)
    return f"<Ranges>{body}</Ranges>"


def etag_of(place: Path) -> str:
    return f'"{etag_number(place.stat().st_mtime)}"'


def etag_number(modified: float) -> str:
    return f"0x8D{int(modified * 1e7):X}"


def _named(tag: str, name: str) -> str:
    """A name as an element; one that XML can't hold is escaped as in a URL, and says so, as Azure does."""
    return (
        f'<{tag} Encoded="true">{_quoted(name)}</{tag}>' if _NOT_XML.search(name) else f"<{tag}>{escape(name)}</{tag}>"
    )


def _text(name: str) -> str:
    return escape(_quoted(name) if _NOT_XML.search(name) else name)


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogateescape")


def _entry(entry: Entry, include: str) -> str:
    kind = "Directory" if entry.size is None else "File"
    properties = "" if entry.size is None else f"<Content-Length>{entry.size}</Content-Length>"
    if "timestamps" in include:
        moment = smb_time(entry.modified)
        properties += "".join(
            f"<{name}>{moment}</{name}>" for name in ("CreationTime", "LastAccessTime", "LastWriteTime", "ChangeTime")
        )
        properties += f"<Last-Modified>{formatdate(entry.modified, usegmt=True)}</Last-Modified>"
    if "etag" in include:
        properties += f'<Etag>"{etag_number(entry.modified)}"</Etag>'
    attributes = ""
    if "attributes" in include:
        attributes = f"<Attributes>{'Directory' if entry.size is None else 'Archive'}</Attributes>"
    return (
        f"<{kind}><FileId>{entry.identity}</FileId>{_named('Name', entry.name)}"
        f"<Properties>{properties}</Properties>{attributes}</{kind}>"
    )
