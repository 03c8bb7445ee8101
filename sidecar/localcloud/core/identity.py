"""Who calls: tenants, principals, signed tokens, and the check that every ARM call passes."""

import base64
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json
from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.core.state import write_private

Role = Literal["Owner", "Contributor", "Reader"]
TOKEN_LIFETIME = 3600
ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
STORAGE_AUDIENCE = "https://storage.azure.com"
LOGS_AUDIENCE = "https://api.loganalytics.azure.com"


@dataclass(frozen=True)
class Subscription:
    id: str
    name: str
    tenant: str


@dataclass(frozen=True)
class Principal:
    """Who can sign in: the owner, or one that the settings state."""

    client_id: str
    client_secret: str
    object_id: str
    tenant: str
    role: Role


@dataclass(frozen=True)
class Caller:
    """Who a verified token speaks for."""

    object_id: str
    client_id: str
    tenant: str
    role: Role


@dataclass(frozen=True)
class Directory:
    """What the state folder's identity.json holds: made once, random, readable by the owner only."""

    tenants: tuple[str, ...]
    subscriptions: tuple[Subscription, ...]
    principals: tuple[Principal, ...]
    admin_token: str
    managed_identity_header: str
    signing_key: rsa.RSAPrivateKey

    @property
    def owner(self) -> Principal:
        return self.principals[0]

    @property
    def key_id(self) -> str:
        number = self.signing_key.public_key().public_numbers().n
        return f"{number & 0xFFFFFFFFFFFFFFFF:016x}"


def directory_in(file: Path, settings: Settings) -> Directory:
    """The directory of this state folder; what `settings` asks for beyond what is there is added."""
    saved = json.loads(file.read_text(encoding="utf-8")) if file.exists() else _new_directory()
    while len(saved["tenants"]) < settings.tenants:
        saved["tenants"].append(str(uuid.uuid4()))
    for tenant in saved["tenants"]:
        owned = [entry for entry in saved["subscriptions"] if entry["tenant"] == tenant]
        for number in range(len(owned), settings.subscriptions):
            first = tenant == saved["tenants"][0] and number == 0
            name = "Local cloud" if first else f"Local cloud {len(saved['subscriptions']) + 1}"
            saved["subscriptions"].append({"id": str(uuid.uuid4()), "name": name, "tenant": tenant})
    for stated in settings.subscription_ids:
        if all(entry["id"] != stated for entry in saved["subscriptions"]):
            saved["subscriptions"].append(
                {"id": stated, "name": f"Local cloud {stated[:8]}", "tenant": saved["tenants"][0]}
            )
    write_private(file, json.dumps(saved))
    further = tuple(
        Principal(
            entry.client_id,
            entry.client_secret,
            str(uuid.uuid5(uuid.NAMESPACE_OID, entry.client_id)),
            saved["tenants"][min(entry.tenant, len(saved["tenants"]) - 1)],
            entry.role,
        )
        for entry in settings.principals
    )
    key = serialization.load_pem_private_key(saved["signingKey"].encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{file}: the signing key is not an RSA key")
    owner = Principal(saved["clientId"], saved["clientSecret"], saved["objectId"], saved["tenants"][0], "Owner")
    return Directory(
        tuple(saved["tenants"]),
        tuple(Subscription(**entry) for entry in saved["subscriptions"]),
        (owner, *further),
        saved["adminToken"],
        saved["managedIdentityHeader"],
        key,
    )


def _new_directory() -> Json:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "tenants": [str(uuid.uuid4())],
        "subscriptions": [],
        "clientId": str(uuid.uuid4()),
        "objectId": str(uuid.uuid4()),
        "clientSecret": secrets.token_urlsafe(32),
        "adminToken": secrets.token_urlsafe(32),
        "managedIdentityHeader": secrets.token_urlsafe(24),
        "signingKey": pem.decode(),
    }


def issue(directory: Directory, issuer: str, principal: Principal, audience: str, now: float) -> str:
    """A signed token for `principal`, valid for an hour at `audience`."""
    header = {"typ": "JWT", "alg": "RS256", "kid": directory.key_id}
    claims = {
        "aud": audience,
        "iss": issuer,
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + TOKEN_LIFETIME,
        "appid": principal.client_id,
        "oid": principal.object_id,
        "sub": principal.object_id,
        "tid": principal.tenant,
        "idtyp": "app",
        "ver": "1.0",
    }
    signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
    signature = directory.signing_key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_encode(signature)}"


def verify(directory: Directory, authority: str, authorization: str, audiences: tuple[str, ...], now: float) -> Caller:
    """The caller that an Authorization header proves; ArmError 401 as ARM words it."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise _unauthorized(
            authority,
            directory,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        )
    claims = _claims(directory, authority, token)
    if str(claims.get("aud", "")).rstrip("/") not in audiences:
        raise _unauthorized(
            authority,
            directory,
            "InvalidAuthenticationTokenAudience",
            f"The access token has been obtained for wrong audience or resource '{claims.get('aud')}'. It should exactly "
            f"match with one of the allowed audiences {','.join(repr(audience) for audience in audiences)}.",
        )
    if not claims["nbf"] - 300 <= now:
        raise _unauthorized(
            authority,
            directory,
            "InvalidAuthenticationToken",
            f"The access token is not yet valid. Current time: {_time(now)}, valid from: {_time(claims['nbf'])}.",
        )
    if now >= claims["exp"]:
        raise _unauthorized(
            authority,
            directory,
            "ExpiredAuthenticationToken",
            f"The access token expiry UTC time '{_time(claims['exp'])}' is earlier than current UTC time '{_time(now)}'.",
        )
    known = [entry for entry in directory.principals if entry.client_id == claims["appid"]]
    if not known:
        raise _unauthorized(authority, directory, "InvalidAuthenticationToken", "The principal is unknown.")
    return Caller(claims["oid"], claims["appid"], claims["tid"], known[0].role)


def _claims(directory: Directory, authority: str, token: str) -> Mapping[str, Any]:
    problem = _unauthorized(authority, directory, "InvalidAuthenticationToken", "The access token is invalid.")
    signed, _, signature = token.rpartition(".")
    try:
        directory.signing_key.public_key().verify(
            _decode(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        return json.loads(_decode(signed.split(".")[1]))
    except (InvalidSignature, ValueError, IndexError) as invalid:
        raise problem from invalid


def claims_challenge(authority: str, tenant: str) -> ArmError:
    """What ARM says when the sign-in has to be done again for this tenant."""
    claims = _encode(
        json.dumps({"access_token": {"nbf": {"essential": True, "value": str(int(time.time()))}}}).encode()
    )
    header = (
        f'Bearer realm="", authorization_uri="{authority}/{tenant}", error="insufficient_claims", claims="{claims}"'
    )
    return ArmError(
        401,
        "InvalidAuthenticationToken",
        f"The access token has been revoked or is not sufficient for the tenant '{tenant}'. Sign in again.",
        headers={"WWW-Authenticate": header},
    )


def key_set(directory: Directory) -> Json:
    """The public half of the signing key, as OIDC publishes it."""
    numbers = directory.signing_key.public_key().public_numbers()
    modulus = _encode(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big"))
    exponent = _encode(numbers.e.to_bytes(3, "big"))
    return {
        "keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": directory.key_id, "n": modulus, "e": exponent}]
    }


def _unauthorized(authority: str, directory: Directory, code: str, message: str) -> ArmError:
    challenge = (
        f'Bearer authorization_uri="{authority}/{directory.tenants[0]}", error="invalid_token", '
        f'error_description="{code}"'
    )
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})


def _time(moment: float) -> str:
    return time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime(moment))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
