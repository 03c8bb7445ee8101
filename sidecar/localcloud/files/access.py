"""Who may do what on the Files data plane: SharedKey, a SAS, or a token with backup intent."""

import datetime
import ipaddress
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.accounts import account_keys, takes_shared_keys
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import member, objects
from sidecar.localcloud.core.identity import STORAGE_AUDIENCE, Caller, verify
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.files.data_roles import Access, data_role
from sidecar.localcloud.files.sas import sas_permissions
from sidecar.localcloud.files.sharedkey import signed_by, string_to_sign
from sidecar.localcloud.files.tree import FilesError

Needs = Callable[[str, str, str], None]
"""(method, kind of resource, comp): raises where what was proved does not allow it."""

_CLOCK_SKEW = 15 * 60


def authenticate(
    cloud: LocalCloud,
    account: Resource,
    method: str,
    raw_path: str,
    query_string: str,
    headers: Mapping[str, str],
    *,
    address: str,
) -> Needs:
    """What the request proves; FilesError 401 or 403 where it proves nothing."""
    _require_network(account, address)
    query = parse_qsl(query_string, keep_blank_values=True)
    authorization = headers.get("authorization", "")
    kind, _, proof = authorization.partition(" ")
    if kind == "SharedKey":
        _shared_key(cloud, account, proof, method=method, raw_path=raw_path, query_string=query_string, headers=headers)
        return _everything
    if kind == "Bearer":
        return _permitted(data_role(cloud, account, _token(cloud, account, authorization, headers)))
    if any(name == "sig" for name, _ in query):
        return sas_permissions(cloud, account, dict(query), raw_path, address)
    raise FilesError(
        401,
        "NoAuthenticationInformation",
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        _challenge(cloud),
    )


def _require_network(account: Resource, address: str) -> None:
    """The account's rules of its network; who asks comes from this machine, and from no virtual network."""
    rules = member(account.properties, "networkAcls")
    allowed = [
        str(each.get("value")) for each in objects(rules, "ipRules") if str(each.get("action", "Allow")) == "Allow"
    ]
    closed = account.properties.get("publicNetworkAccess") in ("Disabled", "SecuredByPerimeter")
    if closed or (rules.get("defaultAction") == "Deny" and not any(_covers(each, address) for each in allowed)):
        raise FilesError(403, "AuthorizationFailure", "This request is not authorized to perform this operation.")


def _covers(stated: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(stated, strict=False)
    except ValueError:
        return False


def _everything(_method: str, _kind: str, _comp: str) -> None:
    return


def _shared_key(
    cloud: LocalCloud,
    account: Resource,
    proof: str,
    *,
    method: str,
    raw_path: str,
    query_string: str,
    headers: Mapping[str, str],
) -> None:
    failed = FilesError(
        403,
        "AuthenticationFailed",
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including "
        "the signature.",
    )
    if not takes_shared_keys(account):
        raise FilesError(
            403,
            "KeyBasedAuthenticationNotPermitted",
            "Key based authentication is not permitted on this storage account.",
        )
    name, _, given = proof.partition(":")
    if name != account.name:
        raise failed
    _check_date(cloud, headers)
    pairs = [(part.partition("=")[0], part.partition("=")[2]) for part in query_string.split("&") if part]
    text = string_to_sign(method, account.name, raw_path, pairs, headers)
    if not signed_by(list(account_keys(account).values()), text, given):
        raise failed


def _check_date(cloud: LocalCloud, headers: Mapping[str, str]) -> None:
    stated = headers.get("x-ms-date") or headers.get("date") or ""
    try:
        moment = datetime.datetime.strptime(stated, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=datetime.UTC)
    except ValueError as problem:
        raise FilesError(403, "AuthenticationFailed", "The Date header in the request is incorrect.") from problem
    if abs(moment.timestamp() - cloud.now()) > _CLOCK_SKEW:
        raise FilesError(403, "AuthenticationFailed", f"Request date header too old: '{stated}'.")


def _token(cloud: LocalCloud, account: Resource, authorization: str, headers: Mapping[str, str]) -> Caller:
    # An account's own audience is its host on Azure, or where it is here.
    own = (f"https://{account.name}.file.core.windows.net", f"{cloud.endpoints.files}/{account.name}")
    try:
        caller = verify(cloud.directory, cloud.endpoints.arm, authorization, (STORAGE_AUDIENCE, *own), cloud.now())
    except ArmError as error:
        raise FilesError(401, "InvalidAuthenticationInfo", error.message, _challenge(cloud)) from error
    if headers.get("x-ms-file-request-intent") != "backup":
        raise FilesError(400, "MissingRequiredHeader", "x-ms-file-request-intent: backup is required with a token.")
    return caller


def _challenge(cloud: LocalCloud) -> dict[str, str]:
    authority = f"{cloud.endpoints.arm}/{cloud.directory.tenants[0]}/oauth2/authorize"
    return {"WWW-Authenticate": f"Bearer authorization_uri={authority} resource_id={STORAGE_AUDIENCE}"}


def _permitted(access: Access) -> Needs:
    def needs(method: str, _kind: str, _comp: str) -> None:
        if access == "write" or (access == "read" and method in ("GET", "HEAD")):
            return
        raise FilesError(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        )

    return needs
