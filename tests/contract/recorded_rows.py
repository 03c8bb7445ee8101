"""What is expected of a recorded request where it is not what the local cloud answered then, by the number of its line."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    status: int
    code: str = ""
    words: tuple[str, ...] = ()
    """What the answer's body or headers hold."""
    without: tuple[str, ...] = ()
    refused: bool = False
    """By name, because it is not here; on Azure it would be done."""


_UNKNOWN = Expected(404, "InvalidResourceType", refused=True)
_HEADER = Expected(400, "UnsupportedHeader", refused=True)
_OPERATION = Expected(400, "UnsupportedQueryParameter", refused=True)
_NO_TAGS = Expected(200, words=('"tags":{}',))

EXPECTED: Mapping[int, Expected] = {
    12: Expected(404, "InvalidResourceType", ("/providers",), refused=True),
    17: Expected(404, "InvalidResourceNamespace", ("Microsoft.Features",), refused=True),
    18: Expected(404, "InvalidResourceType", ("tagNames",), refused=True),
    30: _NO_TAGS,
    40: Expected(404, "InvalidResourceType", ("exportTemplate",), refused=True),
    45: Expected(200, words=("Standard_GRS", "Cool")),
    46: Expected(200, words=('"k":"v"',)),
    47: Expected(200, words=('"viatags":"1"',)),
    48: Expected(200, words=('"viatags":"1"',)),
    62: Expected(404, "ResourceNotFound", ("blobServices",), refused=True),
    65: Expected(404, "InvalidResourceType", ("regenerateSharedKey",), refused=True),
    72: Expected(400, "InvalidParameter", ("RetentionInDays",)),
    73: Expected(404, "InvalidResourceType", ("workspaces/tables",), refused=True),
    86: Expected(404, "InvalidResourceType", ("billingMeters",), refused=True),
    87: Expected(200, words=('"value":[]',)),
    88: Expected(200, words=('"value":[]',)),
    89: Expected(200, words=('"value":[]',)),
    90: Expected(404, "InvalidResourceType", ("detectors",), refused=True),
    92: Expected(404, "InvalidResourceType", ("checkNameAvailability",), refused=True),
    93: _UNKNOWN,
    94: _UNKNOWN,
    95: Expected(200, words=('"value":[]',)),
    96: Expected(200, words=('"value":[]',)),
    97: Expected(404, "InvalidResourceType", ("skus",), refused=True),
    98: Expected(404, "InvalidResourceType", ("usages",), refused=True),
    102: Expected(200, words=("createdTime", "changedTime", "provisioningState")),
    109: Expected(200, words=('"q":"r"',)),
    113: Expected(200, words=('"active":true',), without=('"active":false',)),
    125: Expected(400, "NoRegisteredProviderFound", ("2026-07-01",)),
    127: Expected(404, "InvalidResourceType", ("nothings",)),
    129: Expected(200, words=("app-442bb3",), without=("env-442bb3",)),
    130: Expected(200, words=("env-442bb3",), without=("app-442bb3",)),
    154: Expected(200, words=("222F4BC183F75837",)),
    157: Expected(200, without=("/deployments/inference",)),
    158: Expected(200, words=("templateHash",), without=("calculatedAt",)),
    164: Expected(400, "InvalidDeploymentName"),
    184: Expected(201),
    186: Expected(200, words=("aiacaappg2i4d",)),
    187: Expected(204),
    188: Expected(200, words=("aiacaappg2i4d",)),
    204: Expected(400, "InvalidQueryParameterValue", ("properties",), refused=True),
    212: Expected(200, words=("<Metadata>",)),
    215: Expected(200, words=("<NextMarker>dotnet-share2<",)),
    216: _OPERATION,
    217: _OPERATION,
    218: _OPERATION,
    219: _OPERATION,
    223: Expected(404, "ParentNotFound"),
    225: Expected(404, "ParentNotFound"),
    294: _HEADER,
    295: _HEADER,
    296: _HEADER,
    298: _HEADER,
    389: Expected(200, words=("<Name>t...</Name>",)),
    390: Expected(404, "ResourceNotFound"),
    401: Expected(200, words=("ReadOnly", "2021-01-01T00:00:00")),
    406: _OPERATION,
    407: Expected(400, refused=True, words=("hard links",)),
    421: Expected(400, "MissingRequiredHeader"),
    422: Expected(401, words=("authorization_uri",)),
    430: Expected(200, words=("max-age=5", "inline", "text/sas")),
    435: Expected(403, "AuthorizationSourceIPMismatch"),
    437: _OPERATION,
    446: Expected(201),
    447: Expected(404, "InvalidResourceType", ("deploymentStacks",), refused=True),
    448: Expected(404, "InvalidResourceType", ("deploymentStacks",), refused=True),
    449: Expected(404, "InvalidResourceType", ("deploymentStacks",), refused=True),
}
NEVER_SIGNED = frozenset((434,))
"""Recorded with a signature over something else."""
EXPIRED = frozenset((433,))
"""Recorded with a signature that had run out."""
WITHOUT_INTENT = frozenset((421,))
"""Recorded with a token and without the header that a token needs."""
