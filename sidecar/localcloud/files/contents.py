"""Azure Files: files, whole and in ranges."""

import base64
import os
import re
from dataclasses import replace

from starlette.responses import Response

from sidecar.localcloud.files.attributes import require_writable, shown_attributes, stated_attributes
from sidecar.localcloud.files.call import (
    RANGE_LIMIT,
    UNLEASED,
    FilesCall,
    already_there,
    byte_range,
    check_md5,
    check_sharing,
    check_space,
    content_headers,
    md5,
    properties_of,
    shown_content,
    shown_metadata,
    times_of,
)
from sidecar.localcloud.files.ranges import recorded, with_range, within, without_range, written_ranges
from sidecar.localcloud.files.sas import stated_by_signature
from sidecar.localcloud.files.tree import FilesError, Notes
from sidecar.localcloud.files.xml import range_list, xml_response


def create_file(call: FilesCall) -> Response:
    stated = call.headers.get("x-ms-content-length", "")
    if not stated.isdigit():
        raise FilesError(
            400, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified."
        )
    size = int(stated)
    if size > 4 * 1024**4:
        raise FilesError(400, "OutOfRangeInput", "One of the request inputs is out of range.")
    if call.body and len(call.body) > size:
        raise FilesError(400, "InvalidHeaderValue", "The body is longer than x-ms-content-length.")
    if call.headers.get("x-ms-type", "file").lower() != "file":
        raise FilesError(
            400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format: x-ms-type."
        )
    stated_attributes(call.headers, {}, 0)  # refused before anything is made
    tree = call.tree
    place = tree.parent_of(call.path) / tree.locate(call.path).name
    if place.is_dir():
        raise already_there(place, "file")
    check_md5(call)
    check_space(call, size - (place.stat().st_size if place.exists() else 0))
    check_sharing(call, place)
    require_writable(tree.read_notes(place))
    with place.open("wb") as file:
        file.write(call.body)
        file.truncate(size)
    smb = stated_attributes(call.headers, {}, place.stat().st_mtime_ns)
    notes = Notes(call.metadata, content_headers(call.headers), smb=smb)
    written = with_range((), 0, len(call.body) - 1, size) if call.body else []
    tree.write_notes(place, recorded(place, notes, written))
    extra = {"Content-MD5": base64.b64encode(md5(call.body)).decode()} if call.body else {}
    return Response(
        status_code=201, headers={**properties_of(place, notes), **extra, "x-ms-request-server-encrypted": "true"}
    )


def file_properties(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.file(call.path)
    notes = tree.read_notes(place)
    headers = {
        **properties_of(place, notes),
        **shown_content(notes),
        **shown_metadata(notes),
        "Content-Length": str(place.stat().st_size),
    }
    headers |= {**UNLEASED, "x-ms-type": "File", "x-ms-server-encrypted": "true"}
    return Response(headers={**headers, **stated_by_signature(call.query)})


def read_file(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.file(call.path)
    size = place.stat().st_size
    notes = tree.read_notes(place)
    shared = {**properties_of(place, notes), **shown_metadata(notes), **UNLEASED}
    shared |= {"x-ms-type": "File", "Accept-Ranges": "bytes", "x-ms-server-encrypted": "true"}
    asked = call.headers.get("x-ms-range") or call.headers.get("range")
    first, last = byte_range(asked, size) if asked else (0, size - 1)
    with place.open("rb") as file:
        file.seek(first)
        data = file.read(last - first + 1)
    content = shown_content(notes)
    whole_md5 = content.pop("Content-MD5", None)
    if asked:
        shared["Content-Range"] = f"bytes {first}-{last}/{size}"
        if whole_md5:
            shared["x-ms-content-md5"] = whole_md5
        if call.headers.get("x-ms-range-get-content-md5", "").lower() == "true":
            shared["Content-MD5"] = base64.b64encode(md5(data)).decode()
    elif whole_md5:
        shared["Content-MD5"] = whole_md5
    # As it was stored: a media type given to the response would get a charset added.
    media = {"Content-Type": content.pop("Content-Type", "application/octet-stream")}
    answer = {**shared, **content, **media, **stated_by_signature(call.query)}
    return Response(data, 206 if asked else 200, answer)


def put_range(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.file(call.path)
    size = place.stat().st_size
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", call.headers.get("x-ms-range") or call.headers.get("range") or "")
    if not found or int(found[1]) > int(found[2]):
        raise FilesError(
            400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format."
        )
    first, last = int(found[1]), int(found[2])
    if last >= size:
        raise FilesError(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    action = call.headers.get("x-ms-write", "").lower()
    if action not in ("update", "clear"):
        raise FilesError(400, "InvalidHeaderValue", "x-ms-write must be update or clear.")
    if action == "update" and (len(call.body) != last - first + 1 or len(call.body) > RANGE_LIMIT):
        raise FilesError(400, "InvalidHeaderValue", "The body's length is not that of the range.")
    check_md5(call)
    check_sharing(call, place)
    notes = tree.read_notes(place)
    require_writable(notes)
    shown = shown_attributes(place, notes)
    before = written_ranges(place, notes)
    with place.open("r+b") as file:
        file.seek(first)
        file.write(call.body if action == "update" else bytes(last - first + 1))
    changed = with_range if action == "update" else without_range
    after = recorded(place, notes, changed(before, first, last, size))
    if call.headers.get("x-ms-file-last-write-time", "").lower() == "preserve":
        kept = {"last-write-time": shown["x-ms-file-last-write-time"], "changed": str(place.stat().st_mtime_ns)}
        after = replace(after, smb={**after.smb, **kept})
    if after != notes:
        tree.write_notes(place, after)
    extra = {"Content-MD5": base64.b64encode(md5(call.body)).decode()} if action == "update" else {}
    return Response(status_code=201, headers={**properties_of(place, after), **extra})


def list_ranges(call: FilesCall) -> Response:
    place = call.tree.file(call.path)
    size = place.stat().st_size
    headers = {**times_of(place), "x-ms-content-length": str(size)}
    asked = call.headers.get("x-ms-range") or call.headers.get("range")
    first, last = byte_range(asked, size) if asked else (0, size - 1)
    response = xml_response(range_list(within(written_ranges(place, call.tree.read_notes(place)), first, last)))
    response.headers.update(headers)
    return response


def set_file_properties(call: FilesCall) -> Response:
    """HTTP headers, and the size where one is stated."""
    tree = call.tree
    place = tree.file(call.path)
    notes = tree.read_notes(place)
    length = call.headers.get("x-ms-content-length", "")
    if length.isdigit():
        check_space(call, int(length) - place.stat().st_size)
        check_sharing(call, place)
        require_writable(notes)
        written = within(written_ranges(place, notes), 0, int(length) - 1)
        os.truncate(place, int(length))
        notes = recorded(place, notes, written)
    smb = stated_attributes(call.headers, notes.smb, place.stat().st_mtime_ns)
    notes = replace(notes, headers=content_headers(call.headers), smb=smb)
    tree.write_notes(place, notes)
    return Response(headers=properties_of(place, notes))


def delete_file(call: FilesCall) -> Response:
    place = call.tree.file(call.path)
    check_sharing(call, place)
    require_writable(call.tree.read_notes(place))
    call.tree.remove(place)
    return Response(status_code=202)
