"""Azure Files: the service and its shares."""

import time
from collections.abc import Mapping

from starlette.responses import Response

from sidecar.localcloud.core.accounts import share_id
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.files.call import UNLEASED, FilesCall, endpoint_of, times_of
from sidecar.localcloud.files.tree import FilesError
from sidecar.localcloud.files.xml import shares_listing, xml_response
from sidecar.localcloud.resources.storage import make_share


def list_shares(call: FilesCall) -> Response:
    prefix = call.query.get("prefix", "")
    shares = call.cloud.store.under(call.account.id, "Microsoft.Storage/storageAccounts/fileServices/shares")
    found = [
        (share.name, int(share.properties["shareQuota"]), time.time())
        for share in sorted(shares, key=lambda each: each.name)
        if share.name.startswith(prefix)
    ]
    return xml_response(shares_listing(endpoint_of(call), found))


def service_properties(_call: FilesCall) -> Response:
    return xml_response("<StorageServiceProperties><Cors/></StorageServiceProperties>")


def create_share(call: FilesCall) -> Response:
    if call.cloud.store.get(share_id(call.account, call.share)):
        raise FilesError(409, "ShareAlreadyExists", "The specified share already exists.")
    quota = call.headers.get("x-ms-share-quota", "5120")
    given: Json = {"shareQuota": int(quota) if quota.isdigit() else 0}
    if call.metadata:
        given["metadata"] = call.metadata
    make_share(call.cloud, call.account, call.share, given)
    return Response(status_code=201, headers=times_of(call.tree.root))


def share_properties(call: FilesCall) -> Response:
    share = call.share_resource
    metadata: Mapping[str, str] = member(share.properties, "metadata")
    headers = {
        "x-ms-share-quota": str(share.properties["shareQuota"]),
        "x-ms-access-tier": "TransactionOptimized",
        "x-ms-enabled-protocols": "SMB",
        **UNLEASED,
        **{f"x-ms-meta-{name}": value for name, value in metadata.items()},
    }
    return Response(headers={**times_of(call.tree.root), **headers})


def share_metadata(call: FilesCall) -> Response:
    make_share(call.cloud, call.account, call.share_resource.name, {"metadata": call.metadata})
    return Response(headers=times_of(call.tree.root))


def share_quota(call: FilesCall) -> Response:
    quota = call.headers.get("x-ms-share-quota", "")
    if quota.isdigit():
        make_share(call.cloud, call.account, call.share_resource.name, {"shareQuota": int(quota)})
    return Response(headers=times_of(call.tree.root))


def share_stats(call: FilesCall) -> Response:
    return xml_response(f"<ShareStats><ShareUsageBytes>{call.tree.size()}</ShareUsageBytes></ShareStats>")


def delete_share(call: FilesCall) -> Response:
    share = call.share_resource
    call.cloud.discard_folder(call.tree.root)
    call.cloud.store.delete(share.id)
    return Response(status_code=202)
