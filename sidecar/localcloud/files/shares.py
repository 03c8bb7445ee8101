"""Azure Files: the service and its shares."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime

from starlette.responses import Response

from sidecar.localcloud.core.accounts import share_id
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.files.call import UNLEASED, FilesCall, endpoint_of, page_limit, times_of
from sidecar.localcloud.files.tree import FilesError
from sidecar.localcloud.files.xml import ListedShare, shares_listing, xml_response
from sidecar.localcloud.resources.storage import make_share


def list_shares(call: FilesCall) -> Response:
    prefix = call.query.get("prefix", "")
    shares = call.cloud.store.under(call.account.id, "Microsoft.Storage/storageAccounts/fileServices/shares")
    include = [each.strip().lower() for each in call.query.get("include", "").split(",") if each.strip()]
    if unknown := [each for each in include if each not in ("metadata", "snapshots", "deleted")]:
        raise FilesError(
            400,
            "InvalidQueryParameterValue",
            f"Value for one of the query parameters is not valid: include={unknown[0]}.",
        )
    found = [
        ListedShare(
            share.name,
            int(share.properties["shareQuota"]),
            datetime.fromisoformat(share.properties["lastModifiedTime"]).timestamp(),
            str(share.properties["accessTier"]),
            dict(member(share.properties, "metadata")) if "metadata" in include else None,
        )
        for share in sorted(shares, key=lambda each: each.name)
        if share.name.startswith(prefix)
    ]
    page = shares_listing(endpoint_of(call), found, prefix, page_limit(call), call.query.get("marker", ""))
    return xml_response(page)


def service_properties(_call: FilesCall) -> Response:
    return xml_response("<StorageServiceProperties><Cors/></StorageServiceProperties>")


def create_share(call: FilesCall) -> Response:
    if call.cloud.store.get(share_id(call.account, call.share)):
        raise FilesError(409, "ShareAlreadyExists", "The specified share already exists.")
    quota = call.headers.get("x-ms-share-quota", "5120")
    given: Json = {"shareQuota": int(quota) if quota.isdigit() else 0}
    if call.metadata:
        given["metadata"] = call.metadata
    given |= _stated_tier(call)
    make_share(call.cloud, call.account, call.share, given)
    return Response(status_code=201, headers=times_of(call.tree.root))


def share_properties(call: FilesCall) -> Response:
    share = call.share_resource
    metadata: Mapping[str, str] = member(share.properties, "metadata")
    changed = share.properties.get("accessTierChangeTime")
    tier_since = format_datetime(datetime.fromisoformat(changed), usegmt=True) if changed else ""
    headers = {
        **({"x-ms-access-tier-change-time": tier_since} if changed else {}),
        "x-ms-share-quota": str(share.properties["shareQuota"]),
        "x-ms-access-tier": str(share.properties["accessTier"]),
        "x-ms-enabled-protocols": "SMB",
        **UNLEASED,
        **{f"x-ms-meta-{name}": value for name, value in metadata.items()},
    }
    return Response(headers={**times_of(call.tree.root), **headers})


def share_metadata(call: FilesCall) -> Response:
    make_share(call.cloud, call.account, call.share_resource.name, {"metadata": call.metadata})
    return Response(headers=times_of(call.tree.root))


def share_quota(call: FilesCall) -> Response:
    """The quota and the access tier."""
    quota = call.headers.get("x-ms-share-quota")
    given = _stated_tier(call)
    if quota is not None:
        given["shareQuota"] = int(quota) if quota.isdigit() else 0
    if given:
        make_share(call.cloud, call.account, call.share_resource.name, given)
    return Response(headers=times_of(call.tree.root))


def _stated_tier(call: FilesCall) -> Json:
    tier = call.headers.get("x-ms-access-tier")
    return {} if tier is None else {"accessTier": tier, "accessTierChangeTime": utc_now()}


def share_stats(call: FilesCall) -> Response:
    return xml_response(f"<ShareStats><ShareUsageBytes>{call.tree.size()}</ShareUsageBytes></ShareStats>")


def delete_share(call: FilesCall) -> Response:
    share = call.share_resource
    call.cloud.discard_folder(call.tree.root)
    call.cloud.store.delete(share.id)
    return Response(status_code=202)
