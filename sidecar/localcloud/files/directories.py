"""Azure Files: directories, their listings; metadata and renames, which are alike for files."""

import os
from dataclasses import replace
from urllib.parse import unquote

from starlette.responses import Response

from sidecar.localcloud.files.attributes import require_writable, stated_attributes
from sidecar.localcloud.files.call import (
    FilesCall,
    already_there,
    check_sharing,
    content_headers,
    endpoint_of,
    page_limit,
    properties_of,
    shown_metadata,
)
from sidecar.localcloud.files.tree import Dots, FilesError, Notes, not_found, one_case, split_path
from sidecar.localcloud.files.xml import Entry, listing, xml_response


def create_directory(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.parent_of(call.path) / (tree.locate(call.path).name)
    if place.exists():
        raise already_there(place, "directory")
    smb = stated_attributes(call.headers, {}, 0)
    place.mkdir()
    if smb.get("changed"):
        smb["changed"] = str(place.stat().st_mtime_ns)
    notes = Notes(call.metadata, smb=smb)
    tree.write_notes(place, notes)
    return Response(status_code=201, headers=properties_of(place, notes))


def directory_properties(call: FilesCall) -> Response:
    place = call.tree.directory(call.path)
    notes = call.tree.read_notes(place)
    shown = {**properties_of(place, notes), **shown_metadata(notes), "x-ms-server-encrypted": "true"}
    return Response(headers=shown)


def set_metadata(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.directory(call.path) if call.query.get("restype") == "directory" else tree.file(call.path)
    notes = replace(tree.read_notes(place), metadata=call.metadata)
    tree.write_notes(place, notes)
    return Response(headers=properties_of(place, notes))


def set_directory_properties(call: FilesCall) -> Response:
    place = call.tree.directory(call.path)
    before = call.tree.read_notes(place)
    notes = replace(before, smb=stated_attributes(call.headers, before.smb, place.stat().st_mtime_ns))
    call.tree.write_notes(place, notes)
    return Response(headers=properties_of(place, notes))


def delete_directory(call: FilesCall) -> Response:
    tree = call.tree
    place = tree.directory(call.path)
    if place == tree.root:
        raise FilesError(400, "InvalidUri", "The root directory of a share can't be deleted.")
    if any(place.iterdir()):
        raise FilesError(409, "DirectoryNotEmpty", "The specified directory is not empty.")
    tree.remove(place)
    return Response(status_code=202)


def list_directory(call: FilesCall) -> Response:
    tree = call.tree
    folder = tree.directory(call.path)
    prefix = call.query.get("prefix", "")
    entries: list[Entry] = []
    for entry in os.scandir(folder):
        if not one_case(entry.name).startswith(one_case(prefix)) or (entry.is_symlink() and not entry.is_file()):
            continue
        found = entry.stat()
        size = None if entry.is_dir() else found.st_size
        entries.append(Entry(entry.name, size, found.st_mtime, str(found.st_ino)))
    entries.sort(key=lambda each: one_case(each.name))
    page = listing(
        endpoint_of(call),
        call.share,
        call.path,
        entries,
        prefix=prefix,
        limit=page_limit(call),
        include=call.query.get("include", ""),
        marker=call.query.get("marker", ""),
    )
    return xml_response(page)


def rename(call: FilesCall) -> Response:
    """To the request's path, from the one in x-ms-file-rename-source."""
    tree = call.tree
    source_url = unquote(call.headers.get("x-ms-file-rename-source", "").split("?")[0])
    inside = f"/{call.account.name}/{call.share}/".lower()
    at = source_url.lower().find(inside)
    if at < 0:
        raise FilesError(400, "InvalidHeaderValue", "The rename source is not in this share.")
    dots: Dots = "keep" if call.headers.get("x-ms-source-allow-trailing-dot", "").lower() == "true" else "drop"
    source = replace(tree, dots=dots).locate(source_url[at + len(inside) :])
    if not source.exists():
        raise not_found()
    target = tree.parent_of(call.path) / tree.locate(call.path).name
    overwrite = call.headers.get("x-ms-file-rename-replace-if-exists", "").lower() == "true"
    wanted = split_path(call.path, tree.dots)[-1]
    if target.exists() and target != source:
        if not overwrite:
            raise FilesError(409, "ResourceAlreadyExists", "The specified resource already exists.")
        if target.is_dir() or source.is_dir():
            raise FilesError(
                409, "ResourceTypeMismatch", "The specified resource type does not match the type of the existing one."
            )
        check_sharing(call, target)
        if call.headers.get("x-ms-file-rename-ignore-readonly", "").lower() != "true":
            require_writable(tree.read_notes(target))
    if source.is_dir() and target.is_relative_to(source) and target != source:
        raise FilesError(409, "InvalidRename", "A directory can't be moved into itself.")
    check_sharing(call, source)
    tree.move(source, target if target != source else target.with_name(wanted))
    place = target if target != source else target.with_name(wanted)
    notes, media = tree.read_notes(place), content_headers(call.headers)
    smb = stated_attributes(call.headers, notes.smb, place.stat().st_mtime_ns)
    stated = replace(notes, metadata=call.metadata or notes.metadata, headers={**notes.headers, **media}, smb=smb)
    if stated != notes:
        tree.write_notes(place, stated)
    return Response(headers=properties_of(place, stated))


def list_handles(call: FilesCall) -> Response:
    del call
    return xml_response("<EnumerationResults><Entries/><NextMarker/></EnumerationResults>")


def close_handles(call: FilesCall) -> Response:
    del call
    return Response(headers={"x-ms-number-of-handles-closed": "0", "x-ms-number-of-handles-failed": "0"})
