"""What SMB knows of a file beside its content: attributes and times, as a request states them and an answer shows them. Pure."""

import datetime
import re
from collections.abc import Mapping
from pathlib import Path

from sidecar.localcloud.files.tree import FilesError, Notes

_KNOWN = {
    name.lower(): name
    for name in (
        "ReadOnly",
        "Hidden",
        "System",
        "Archive",
        "Temporary",
        "Offline",
        "NotContentIndexed",
        "NoScrubData",
        "Directory",
    )
}
_TIMES = ("creation-time", "last-write-time", "change-time")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z")


def stated_attributes(headers: Mapping[str, str], before: Mapping[str, str], changed: int) -> dict[str, str]:
    """What a request states, over `before`; FilesError InvalidHeaderValue. `changed`: when the content was, in ns."""
    kept = dict(before)
    asked = headers.get("x-ms-file-attributes", "preserve")
    if asked.lower() == "none":
        kept.pop("attributes", None)
    elif asked.lower() != "preserve":
        kept["attributes"] = _attributes(asked)
    for name in _TIMES:
        header = f"x-ms-file-{name}"
        value = headers.get(header, "preserve")
        if value.lower() in ("preserve", "now"):
            if value.lower() == "now":
                kept.pop(name, None)
            continue
        if not _TIME.fullmatch(value):
            raise _refused(header, value)
        kept[name] = value
    if kept.keys() & {"last-write-time", "change-time"}:
        kept["changed"] = str(changed)
    else:
        kept.pop("changed", None)
    return kept


def shown_attributes(place: Path, notes: Notes) -> dict[str, str]:
    """The headers: what was stated, the times of a write only until the next one."""
    found, smb = place.stat(), notes.smb
    plain = {
        "creation-time": smb_time(found.st_mtime),
        "last-write-time": smb_time(found.st_mtime),
        "change-time": smb_time(found.st_ctime),
    }
    unchanged = smb.get("changed") == str(found.st_mtime_ns)
    stated = {name: value for name, value in smb.items() if name == "creation-time" or (name in _TIMES and unchanged)}
    default = "Directory" if place.is_dir() else "Archive"
    attributes = smb.get("attributes", default)
    if place.is_dir() and "Directory" not in attributes:
        attributes = f"{attributes} | Directory"
    return {
        "x-ms-file-attributes": attributes,
        **{f"x-ms-file-{name}": value for name, value in {**plain, **stated}.items()},
    }


def require_writable(notes: Notes) -> None:
    """FilesError ReadOnlyAttribute, for what changes or removes a file."""
    if "ReadOnly" in notes.smb.get("attributes", ""):
        raise FilesError(409, "ReadOnlyAttribute", "The specified resource is read-only and cannot be modified.")


def smb_time(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def _attributes(text: str) -> str:
    names = [part.strip() for part in re.split(r"[|,]", text)]
    if unknown := [name for name in names if name.lower() not in _KNOWN]:
        raise _refused("x-ms-file-attributes", unknown[0])
    return " | ".join(_KNOWN[name.lower()] for name in names)


def _refused(header: str, value: str) -> FilesError:
    return FilesError(
        400,
        "InvalidHeaderValue",
        f"The value for one of the HTTP headers is not in the correct format: {header} ('{value}').",
    )
