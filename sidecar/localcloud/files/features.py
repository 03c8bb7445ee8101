"""What a request asks of Azure Files that is not here: refused before its body is read, with the feature's name. Pure."""

import datetime
from collections.abc import Mapping

from sidecar.localcloud.files.tree import FilesError

# Headers that ask for something, whatever their value.
_HEADERS: Mapping[str, str] = {
    "x-ms-copy-source": "copying from a URL",
    "x-ms-source-range": "copying from a URL",
    "x-ms-source-content-crc64": "copying from a URL",
    "x-ms-structured-body": "structured bodies (crc64)",
    "x-ms-content-crc64": "checksums of the kind crc64",
    "x-ms-owner": "NFS",
    "x-ms-group": "NFS",
    "x-ms-mode": "NFS",
    "x-ms-file-file-type": "NFS",
    "x-ms-file-target-file": "hard links",
    "x-ms-link-text": "symbolic links",
    "x-ms-root-squash": "NFS",
    "x-ms-enable-snapshot-virtual-directory-access": "NFS",
    "x-ms-share-provisioned-iops": "provisioned performance",
    "x-ms-share-provisioned-bandwidth-mibps": "provisioned performance",
    "x-ms-share-paid-bursting-enabled": "provisioned performance",
    "x-ms-share-paid-bursting-max-bandwidth-mibps": "provisioned performance",
    "x-ms-share-paid-bursting-max-iops": "provisioned performance",
    "x-ms-file-property-semantics": "restoring of properties",
    "x-ms-encryption-key": "keys of the customer",
}
# Headers of which some values ask for nothing; the rest ask for the feature.
_VALUES: Mapping[str, tuple[frozenset[str], str]] = {
    "x-ms-file-permission": (frozenset(("inherit", "preserve")), "permissions of files (SDDL)"),
    "x-ms-file-permission-key": (frozenset(("inherit", "preserve", "0*0")), "permissions of files (SDDL)"),
    "x-ms-file-permission-format": (frozenset(("sddl",)), "permissions of files in another form"),
    "x-ms-enabled-protocols": (frozenset(("smb",)), "NFS"),
    "x-ms-file-request-intent": (frozenset(("backup",)), "another intent than backup"),
}
_COMP: Mapping[str, str] = {
    "lease": "leases",
    "snapshot": "snapshots",
    "undelete": "deleted shares that come back",
    "acl": "stored access policies",
    "filepermission": "permissions of files (SDDL)",
    "copy": "copying from a URL",
    "userdelegationkey": "keys for a user's signatures",
}
_RESTYPE: Mapping[str, str] = {"hardlink": "hard links", "symboliclink": "symbolic links"}
_QUERY: Mapping[str, str] = {"sharesnapshot": "snapshots", "prevsharesnapshot": "snapshots"}
_EMPTY: tuple[frozenset[str], str] = (frozenset(), "")


def require_known(headers: Mapping[str, str], query: Mapping[str, str]) -> None:
    """FilesError UnsupportedHeader or UnsupportedQueryParameter; both `headers` and `query` in lower case."""
    for name, value in headers.items():
        plain, feature = _VALUES.get(name, _EMPTY)
        feature = _HEADERS.get(name, "" if value.strip().lower() in plain else feature)
        if feature:
            raise FilesError(
                400,
                "UnsupportedHeader",
                f"One of the HTTP headers specified in the request is not supported: {name}. The local cloud has no {feature}.",
            )
    asked = [(name, _QUERY[name]) for name in query if name in _QUERY and query[name]]
    if feature := _COMP.get(query.get("comp", "")) or _RESTYPE.get(query.get("restype", "")):
        asked.append(("comp" if query.get("comp") in _COMP else "restype", feature))
    for name, feature in asked:
        raise FilesError(
            400,
            "UnsupportedQueryParameter",
            f"One of the query parameters specified in the request URI is not supported: {name}. The local cloud has no "
            f"{feature}.",
        )


def require_version(headers: Mapping[str, str]) -> None:
    """The service has versions since 2009; each is a date."""
    stated = headers.get("x-ms-version")
    if stated is None:
        return
    try:
        known = datetime.date.fromisoformat(stated) >= datetime.date(2009, 9, 19)
    except ValueError:
        known = False
    if not known:
        said = "The value for one of the HTTP headers is not in the correct format"
        raise FilesError(400, "InvalidHeaderValue", f"{said}: x-ms-version ('{stated}').")


def require_no_lease(headers: Mapping[str, str], kind: str) -> None:
    """Nothing is leased here: a request that states a lease is answered as Azure answers one on what is not."""
    if any(headers.get(name) for name in ("x-ms-lease-id", "x-ms-source-lease-id", "x-ms-destination-lease-id")):
        code = "LeaseNotPresentWithContainerOperation" if kind == "share" else "LeaseNotPresentWithFileOperation"
        raise FilesError(412, code, f"There is currently no lease on the {kind}.")
