"""The API versions of each type, with where each was found; any other is refused as Azure refuses it. Pure.

T: Microsoft's published types for Bicep; S: the SDKs that Slipway uses; R: recorded traffic of real Azure; N: requests
recorded of .NET's SDKs; O: Microsoft's OpenAPI files of that version; B: official Bicep templates.
"""

import re
from collections.abc import Mapping, Sequence

from sidecar.localcloud.core.errors import ArmError, invalid

_SOURCES: Mapping[str, Mapping[str, str]] = {
    "Microsoft.App": {
        "2026-07-01": "S N",
        "2026-03-02-preview": "S",
        "2026-01-01": "T S",
        "2025-10-02-preview": "T",
        "2025-07-01": "T",
        "2025-02-02-preview": "T",
        "2025-01-01": "T R N",
        "2024-10-02-preview": "T",
        "2024-08-02-preview": "T",
        "2024-03-01": "T O B",
        "2024-02-02-preview": "T",
        "2023-11-02-preview": "T B",
        "2023-08-01-preview": "T",
        "2023-05-02-preview": "T",
        "2023-05-01": "T",
        "2023-04-01-preview": "T",
        "2022-11-01-preview": "T",
        "2022-10-01": "T",
        "2022-06-01-preview": "T",
        "2022-03-01": "T",
        "2022-01-01-preview": "T",
    },
    "Microsoft.Storage": {
        "2026-09-01": "S N",
        "2026-06-01": "S",
        "2026-04-01": "S",
        "2025-08-01": "S",
        "2025-06-01": "T",
        "2025-01-01": "T",
        "2024-01-01": "T",
        "2023-05-01": "T O N B",
        "2023-04-01": "T",
        "2023-01-01": "T B",
        "2022-09-01": "T",
        "2022-05-01": "T",
        "2021-09-01": "T",
        "2021-08-01": "T",
        "2021-06-01": "T",
        "2021-04-01": "T",
        "2021-02-01": "T",
        "2021-01-01": "T",
        "2020-08-01-preview": "T",
        "2019-06-01": "T",
        "2019-04-01": "T",
        "2018-11-01": "T",
        "2018-07-01": "T",
        "2018-03-01-preview": "T",
        "2018-02-01": "T",
        "2017-10-01": "T",
        "2017-06-01": "T",
        "2016-12-01": "T",
        "2016-05-01": "T",
        "2016-01-01": "T",
        "2015-06-15": "T",
        "2015-05-01-preview": "T",
    },
    "Microsoft.OperationalInsights": {
        "2026-03-01": "T",
        "2025-07-01": "T S R",
        "2025-02-01": "T",
        "2023-09-01": "T O B",
        "2022-10-01": "T N B",
        "2021-12-01-preview": "T",
        "2021-06-01": "T",
        "2020-10-01": "T",
        "2020-08-01": "T N",
        "2020-03-01-preview": "T",
        "2015-11-01-preview": "T",
    },
    # ARM's own: deployments, groups, resources, providers, tags; subscriptions and tenants.
    "Microsoft.Resources": {
        "2026-06-01": "S",
        "2025-04-01": "T S N",
        "2025-03-01": "R",
        "2024-11-01": "T",
        "2024-07-01": "T O",
        "2024-03-01": "T B",
        "2023-07-01": "T",
        "2022-12-01": "O S N",
        "2022-09-01": "T N",
        "2021-04-01": "T R N",
        "2021-01-01": "T",
        "2020-10-01": "T",
        "2020-08-01": "T",
        "2020-06-01": "T",
        "2020-01-01": "O",
        "2019-11-01": "O",
        "2019-10-01": "T",
        "2019-08-01": "T",
        "2019-07-01": "T N",
        "2019-06-01": "O",
        "2019-05-10": "T",
        "2019-05-01": "T",
        "2019-03-01": "T",
        "2018-06-01": "O",
        "2018-05-01": "T",
        "2018-02-01": "T",
        "2017-05-10": "T",
        "2016-09-01": "T",
        "2016-07-01": "T",
        "2016-06-01": "O",
        "2016-02-01": "T",
        "2015-11-01": "T",
    },
}
# Types that came later than their namespace.
_SINCE: Mapping[str, str] = {
    "microsoft.app/jobs": "2022-11-01-preview",
    "microsoft.storage/storageaccounts/fileservices": "2019-04-01",
}
_SHAPE = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?", re.IGNORECASE)
_NAMES = {name.lower(): name for name in _SOURCES}


def versions(kind: str) -> Sequence[str]:
    """The versions of a type or namespace, newest first; none where nobody listed them here."""
    known = _SOURCES.get(_NAMES.get(kind.partition("/")[0].lower(), ""), {})
    lower = kind.lower()
    since = next((each for name, each in _SINCE.items() if lower == name or lower.startswith(f"{name}/")), "")
    return [each for each in known if each >= since]


def is_supported(kind: str, version: str) -> bool:
    """Whether Azure has `version` of a type; of a type whose versions are not listed, whether it has the form of one."""
    known = versions(kind)
    return version.lower() in known if known else _SHAPE.fullmatch(version) is not None


def require_version(kind: str, version: str, location: str, locations: str) -> None:
    """ArmError for a request on a resource, or on ARM itself, in a version that it does not have."""
    if is_supported(kind, version):
        return
    known, (_, _, named) = ", ".join(versions(kind)), kind.partition("/")
    if not named or kind.lower().startswith("microsoft.resources/"):
        raise invalid(
            f"The api-version '{version}' is invalid. The supported versions are '{known.replace(' ', '')}'.",
            "InvalidApiVersionParameter",
        )
    raise no_provider(kind, version, location, locations)


def no_provider(kind: str, version: str, location: str, locations: str) -> ArmError:
    return ArmError(
        400,
        "NoRegisteredProviderFound",
        f"No registered resource provider found for location '{location}' and API version '{version}' for type "
        f"'{kind.partition('/')[2]}'. The supported api-versions are '{', '.join(versions(kind))}'. The supported locations are "
        f"'{locations}'.",
    )


def type_of_path(path: str) -> str:
    """`Microsoft.App/containerApps` of a path at a provider; Microsoft.Resources of what ARM answers itself."""
    at = path.lower().rfind("/providers/")
    namespace, *rest = path[at + len("/providers/") :].strip("/").split("/") if at >= 0 else ("",)
    if not rest or rest[0].lower() in ("register", "unregister"):
        return "Microsoft.Resources"
    return "/".join((namespace, *rest[::2]))
